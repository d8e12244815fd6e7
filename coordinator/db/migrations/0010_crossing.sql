-- What edges tell each other as it was, and whether a held message was decided.
create index moderation_events_crossing on moderation_events (happened_at)
    where event in ('announce', 'raid', 'held', 'approve', 'deny');
create index moderation_events_decided on moderation_events (channel_id, message_id)
    where event in ('approve', 'deny');
