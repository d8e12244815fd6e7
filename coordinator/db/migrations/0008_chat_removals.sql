-- What moderators took away, for messages that come later than their removal: another edge's outbox is another queue.
create table chat_removals (
    event_id uuid primary key,
    channel_id uuid not null,
    message_id uuid,
    user_id text not null,
    since timestamptz not null,
    until timestamptz not null
);
create index chat_removals_message on chat_removals (channel_id, message_id) where message_id is not null;
create index chat_removals_user on chat_removals (channel_id, user_id, until) where message_id is null;
create index chat_removals_age on chat_removals (until);
