-- Users, tokens, channels, stream keys, broadcasts, chat history and the bookkeeping of the outbox bridge.
-- Identifiers are UUIDv7 made by the application. Secrets are stored as hex SHA-256 only.

create table users (
    user_id uuid primary key,
    username varchar(50) not null,
    email varchar(255),
    password_hash varchar(255),
    is_partner boolean not null default false,
    suspended boolean not null default false,
    badges text[] not null default '{}',
    created_at timestamptz not null default now()
);
create unique index users_username on users (lower(username));
create unique index users_email on users (lower(email));

create table tokens (
    token_id uuid primary key,
    token_hash char(64) not null unique,
    user_id uuid not null references users,
    scopes text[] not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz
);
create index tokens_user on tokens (user_id);

create table channels (
    channel_id uuid primary key,
    name varchar(30) not null unique check (name ~ '^[a-z0-9]([a-z0-9_-]{0,28}[a-z0-9])?$'),
    user_id uuid not null unique references users,
    title varchar(255) not null default '',
    category varchar(100) not null default '',
    announced_stream_id uuid,
    suspended boolean not null default false,
    created_at timestamptz not null default now()
);

create table broadcasts (
    stream_id uuid primary key,
    channel_id uuid not null references channels,
    user_id uuid not null references users,
    title varchar(255) not null,
    category varchar(100) not null default '',
    status text not null check (status in ('created', 'live', 'interrupted', 'ended')),
    status_at timestamptz not null default '-infinity',
    edge_id text not null default '',
    started_at timestamptz,
    ended_at timestamptz,
    viewer_count integer not null default 0,
    vod_url varchar(500),
    created_at timestamptz not null default now()
);
create index broadcasts_by_user on broadcasts (user_id, started_at desc);
create index broadcasts_top on broadcasts (status, viewer_count desc);
create index broadcasts_by_category on broadcasts (category, status);
create index broadcasts_on_air on broadcasts (channel_id) where status in ('live', 'interrupted');

create table stream_keys (
    key_id uuid primary key,
    key_hash char(64) not null unique,
    channel_id uuid not null references channels,
    stream_id uuid references broadcasts,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz
);
create index stream_keys_channel on stream_keys (channel_id);
create index stream_keys_stream on stream_keys (stream_id) where stream_id is not null;

-- No foreign keys: an edge accepted these messages already, and nothing may keep them out.
create table chat_messages (
    message_id uuid primary key,
    stream_id uuid,
    channel_id uuid not null,
    user_id text not null,
    username text not null,
    body text not null,
    badges jsonb not null default '[]',
    emotes jsonb not null default '[]',
    reply_to text,
    sent_at timestamptz not null
);
-- message_id sorts by time, so one index serves "before", "after" and the newest.
create index chat_messages_stream on chat_messages (stream_id, message_id);
create index chat_messages_channel on chat_messages (channel_id, message_id);

create table applied_events (
    event_id text primary key,
    applied_at timestamptz not null default now()
);
create index applied_events_age on applied_events (applied_at);

create table dead_letters (
    dead_letter_id bigint generated always as identity primary key,
    edge_id text not null,
    subject text not null,
    seq bigint not null,
    reason text not null,
    data bytea not null,
    received_at timestamptz not null default now()
);
create unique index dead_letters_entry on dead_letters (edge_id, seq, sha256(data));
create index dead_letters_age on dead_letters (received_at);

-- The response is sealed with a key made from the caller's own token: it may hold a secret shown once.
create table idempotency_keys (
    token_id uuid not null references tokens,
    key varchar(255) not null,
    request_hash char(64) not null,
    status integer,
    response bytea,
    created_at timestamptz not null default now(),
    primary key (token_id, key)
);
create index idempotency_keys_age on idempotency_keys (created_at);
