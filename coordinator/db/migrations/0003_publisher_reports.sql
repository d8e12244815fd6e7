-- How each publisher of a broadcast fared: its session, last measurement, advice and problems as the edge told them.
-- No foreign key to broadcasts: what never went live has none, and that is when its streamer wants to know why.
create table publisher_reports (
    session_id uuid primary key,
    stream_id uuid not null,
    channel_id uuid not null references channels,
    ended_at timestamptz not null,
    report jsonb not null
);
create index publisher_reports_stream on publisher_reports (stream_id, ended_at desc);
create index publisher_reports_age on publisher_reports (ended_at);
