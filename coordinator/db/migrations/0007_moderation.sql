-- What holds in chat rooms and for their users (appliance.contracts.moderation), and who did what, when and why.
-- No foreign keys: an edge decided by these already, and nothing may keep them out.
create table chat_rooms (
    channel_id uuid primary key,
    record jsonb not null,
    changed_at timestamptz not null default now()
);

create table chat_members (
    member_id uuid primary key default gen_random_uuid(),
    channel_id uuid not null,
    user_id text not null,
    record jsonb not null,
    changed_at timestamptz not null default now(),
    unique (channel_id, user_id)
);

-- `event` is the whole RoomEvent; the columns are for looking things up.
create table moderation_events (
    event_id uuid primary key,
    channel_id uuid not null,
    edge_id text not null,
    event text not null,
    actor_id text not null,
    target_id text not null,
    message_id text not null,
    reason text not null,
    happened_at timestamptz not null,
    document jsonb not null
);
create index moderation_events_channel on moderation_events (channel_id, event_id);
create index moderation_events_target on moderation_events (channel_id, target_id, event_id);
create index moderation_events_age on moderation_events (happened_at);

-- The event that took a message away; what is gone is shown to nobody but kept as evidence.
alter table chat_messages add column removed_by uuid, add column parent jsonb, add column mentions jsonb;

-- Each follow and subscription has a record in the directory, found by an id of its own.
alter table follows add column follow_id uuid not null default gen_random_uuid();
create unique index follows_id on follows (follow_id);
