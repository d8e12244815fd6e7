-- What viewers of a broadcast got, by minute: sums of one edge, picture height and player in `cell` (QualityCell).
-- No foreign keys: a batch may come before the event that tells of its broadcast.
create table quality_minutes (
    stream_id uuid not null,
    minute timestamptz not null,
    edge_id text not null,
    height integer not null,
    player text not null,
    cell jsonb not null,
    primary key (stream_id, minute, edge_id, height, player)
);
create index quality_minutes_age on quality_minutes (minute);

-- Viewers at one edge: samples taken every ten seconds.
create table quality_viewers (
    stream_id uuid not null,
    minute timestamptz not null,
    edge_id text not null,
    most integer not null,
    total bigint not null,
    samples integer not null,
    primary key (stream_id, minute, edge_id)
);
create index quality_viewers_age on quality_viewers (minute);

-- A viewer's session as one origin process saw it. `session` is a hash that only its edge could make.
create table quality_sessions (
    stream_id uuid not null,
    session text not null,
    began_at timestamptz not null,
    ended_at timestamptz not null,
    edge_id text not null,
    summary jsonb not null,
    primary key (stream_id, session, began_at)
);
create index quality_sessions_age on quality_sessions (ended_at);
