-- Who may watch a channel; grants that were issued before the last time it was closed further are void.
alter table channels
    add column access text not null default 'public' check (access in ('public', 'followers', 'subscribers')),
    add column access_changed_at timestamptz;

create table follows (
    user_id uuid not null references users,
    channel_id uuid not null references channels,
    followed_at timestamptz not null,
    primary key (user_id, channel_id)
);
create index follows_channel on follows (channel_id);

create table subscriptions (
    subscription_id uuid primary key,
    user_id uuid not null references users,
    channel_id uuid not null references channels,
    tier smallint not null check (tier between 1 and 3),
    started_at timestamptz not null,
    expires_at timestamptz not null,
    ended_at timestamptz
);
create index subscriptions_user on subscriptions (user_id, channel_id);

-- Public halves of the keys that sign grants; the private ones never leave the coordinators that made them.
create table grant_keys (
    grant_key_id uuid primary key,
    key_id char(16) not null unique,
    public_key char(64) not null,
    signs_from timestamptz not null,
    signs_until timestamptz not null,
    retires_at timestamptz not null,
    revoked_at timestamptz
);

-- Grants of a user that were issued until `until` are void, on one channel or on all.
create table grant_revocations (
    revocation_id uuid primary key,
    user_id uuid not null references users,
    channel_id uuid references channels,
    until timestamptz not null
);
create unique index grant_revocations_of
    on grant_revocations (user_id, coalesce(channel_id, '00000000-0000-0000-0000-000000000000'));
create index grant_revocations_age on grant_revocations (until);
