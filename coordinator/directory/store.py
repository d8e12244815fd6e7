"""SQL that reads records for the directory.

Each query serves two callers: a page of everything (`after`), or chosen ids (`ids`). Keys, tokens and
streams that ended, expired or were revoked stay a week, so that every edge has heard of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from appliance.contracts.moderation import ANNOUNCED_MS, HELD_MS
from coordinator.db import Connection

FIRST = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class KeyRow:
    id: str
    key_hash: str
    channel_id: str
    channel: str
    user_id: str
    stream_id: str | None
    expires_at: datetime | None
    revoked: bool
    standby: bool


@dataclass(frozen=True, slots=True)
class TokenRow:
    id: str
    token_hash: str
    user_id: str
    username: str
    scopes: list[str]
    badges: list[str]
    expires_at: datetime | None
    revoked: bool


@dataclass(frozen=True, slots=True)
class ChannelRow:
    id: str
    channel: str
    user_id: str
    title: str
    category: str
    stream_id: str | None
    suspended: bool
    partner: bool
    profile: str
    access: str
    access_changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class StreamRow:
    id: str
    channel_id: str
    channel: str
    status: str
    status_ms: int


@dataclass(frozen=True, slots=True)
class GrantKeyRow:
    id: str
    key_id: str
    public_key: str
    revoked: bool


@dataclass(frozen=True, slots=True)
class RevocationRow:
    id: str
    user_id: str
    channel_id: str | None
    until: datetime


async def keys(connection: Connection, after: str, ids: Sequence[str] | None, limit: int) -> list[KeyRow]:
    async with connection.cursor(row_factory=class_row(KeyRow)) as cursor:
        await cursor.execute(
            "select k.key_id as id, k.key_hash, k.channel_id, c.name as channel, c.user_id, k.stream_id,"
            " k.expires_at, k.revoked_at is not null as revoked, k.standby"
            " from stream_keys k join channels c using (channel_id)"
            " where k.key_id > %(after)s::uuid"
            " and (%(ids)s::uuid[] is null or k.key_id = any (%(ids)s::uuid[]))"
            " and least(k.revoked_at, k.expires_at, 'infinity') > now() - interval '7 days'"
            " order by k.key_id limit %(limit)s",
            {"after": after, "ids": ids, "limit": limit},
        )
        return await cursor.fetchall()


async def tokens(connection: Connection, after: str, ids: Sequence[str] | None, limit: int) -> list[TokenRow]:
    async with connection.cursor(row_factory=class_row(TokenRow)) as cursor:
        await cursor.execute(
            "select t.token_id as id, t.token_hash, t.user_id, u.username, t.scopes, u.badges, t.expires_at,"
            " t.revoked_at is not null as revoked from tokens t join users u using (user_id)"
            " where t.token_id > %(after)s::uuid"
            " and (%(ids)s::uuid[] is null or t.token_id = any (%(ids)s::uuid[]))"
            " and least(t.revoked_at, t.expires_at, 'infinity') > now() - interval '7 days'"
            " order by t.token_id limit %(limit)s",
            {"after": after, "ids": ids, "limit": limit},
        )
        return await cursor.fetchall()


async def channels(connection: Connection, after: str, ids: Sequence[str] | None, limit: int) -> list[ChannelRow]:
    async with connection.cursor(row_factory=class_row(ChannelRow)) as cursor:
        await cursor.execute(
            "select c.channel_id as id, c.name as channel, c.user_id, c.title, c.category,"
            " c.announced_stream_id as stream_id, c.suspended or u.suspended as suspended,"
            " u.is_partner as partner, c.profile, c.access, c.access_changed_at"
            " from channels c join users u using (user_id) where c.channel_id > %(after)s::uuid"
            " and (%(ids)s::uuid[] is null or c.channel_id = any (%(ids)s::uuid[]))"
            " order by c.channel_id limit %(limit)s",
            {"after": after, "ids": ids, "limit": limit},
        )
        return await cursor.fetchall()


async def streams(connection: Connection, after: str, ids: Sequence[str] | None, limit: int) -> list[StreamRow]:
    async with connection.cursor(row_factory=class_row(StreamRow)) as cursor:
        await cursor.execute(
            "select b.stream_id as id, b.channel_id, c.name as channel, b.status,"
            " coalesce((extract(epoch from nullif(b.status_at, '-infinity')) * 1000)::bigint, 0) as status_ms"
            " from broadcasts b join channels c using (channel_id) where b.stream_id > %(after)s::uuid"
            " and (%(ids)s::uuid[] is null or b.stream_id = any (%(ids)s::uuid[]))"
            " and coalesce(b.ended_at, 'infinity') > now() - interval '7 days'"
            " order by b.stream_id limit %(limit)s",
            {"after": after, "ids": ids, "limit": limit},
        )
        return await cursor.fetchall()


async def grant_keys(
    connection: Connection, after: str, ids: Sequence[str] | None, limit: int
) -> list[GrantKeyRow]:
    async with connection.cursor(row_factory=class_row(GrantKeyRow)) as cursor:
        await cursor.execute(
            "select grant_key_id as id, key_id, public_key, revoked_at is not null as revoked from grant_keys"
            " where grant_key_id > %(after)s::uuid"
            " and (%(ids)s::uuid[] is null or grant_key_id = any (%(ids)s::uuid[])) and retires_at > now()"
            " order by grant_key_id limit %(limit)s",
            {"after": after, "ids": ids, "limit": limit},
        )
        return await cursor.fetchall()


async def revocations(
    connection: Connection, after: str, ids: Sequence[str] | None, limit: int
) -> list[RevocationRow]:
    """Those that a grant could still be renewed against."""
    async with connection.cursor(row_factory=class_row(RevocationRow)) as cursor:
        await cursor.execute(
            "select revocation_id as id, user_id, channel_id, until from grant_revocations"
            " where revocation_id > %(after)s::uuid"
            " and (%(ids)s::uuid[] is null or revocation_id = any (%(ids)s::uuid[]))"
            " and until > now() - interval '1 day' order by revocation_id limit %(limit)s",
            {"after": after, "ids": ids, "limit": limit},
        )
        return await cursor.fetchall()


@dataclass(frozen=True, slots=True)
class StateRow:
    id: str
    channel_id: str
    user_id: str
    record: str


@dataclass(frozen=True, slots=True)
class FollowRow:
    id: str
    channel_id: str
    user_id: str
    username: str
    since: datetime


@dataclass(frozen=True, slots=True)
class SubscriberRow:
    id: str
    channel_id: str
    user_id: str
    tier: int
    since: datetime
    until: datetime
    renewed: datetime
    username: str
    giver_id: str | None
    giver: str | None


async def rooms(connection: Connection, after: str, ids: Sequence[str] | None, limit: int) -> list[StateRow]:
    """The id of all rooms together is FIRST itself, so that one comes first."""
    async with connection.cursor(row_factory=class_row(StateRow)) as cursor:
        await cursor.execute(
            "select channel_id::text as id, channel_id::text, '' as user_id, record::text from chat_rooms"
            " where (channel_id > %(after)s::uuid or %(after)s = %(first)s)"
            " and (%(ids)s::uuid[] is null or channel_id = any (%(ids)s::uuid[]))"
            " order by channel_id limit %(limit)s",
            {"after": after, "first": FIRST, "ids": ids, "limit": limit},
        )
        return await cursor.fetchall()


async def members(connection: Connection, after: str, ids: Sequence[str] | None, limit: int) -> list[StateRow]:
    """Those with a role or a restriction; one that lost both stays a week."""
    async with connection.cursor(row_factory=class_row(StateRow)) as cursor:
        await cursor.execute(
            "select member_id::text as id, channel_id::text, user_id, record::text from chat_members"
            " where member_id > %(after)s::uuid"
            " and (%(ids)s::uuid[] is null or member_id = any (%(ids)s::uuid[]))"
            " and (record ? 'role' or record ? 'restriction' or changed_at > now() - interval '7 days')"
            " order by member_id limit %(limit)s",
            {"after": after, "ids": ids, "limit": limit},
        )
        return await cursor.fetchall()


async def happenings(connection: Connection, after: str, ids: Sequence[str] | None, limit: int) -> list[StateRow]:
    """What edges tell each other as it was, while it matters: announcements and raids a few minutes, what waits for
    a moderator and what became of it a day."""
    async with connection.cursor(row_factory=class_row(StateRow)) as cursor:
        await cursor.execute(
            "select event_id::text as id, channel_id::text, '' as user_id, document::text as record"
            " from moderation_events e where event_id > %(after)s::uuid"
            " and (%(ids)s::uuid[] is null or event_id = any (%(ids)s::uuid[]))"
            " and event in ('announce', 'raid', 'held', 'approve', 'deny')"
            " and happened_at > now() - make_interval(secs => %(held_s)s)"
            " and (event not in ('announce', 'raid') or happened_at > now() - make_interval(secs => %(told_s)s))"
            " and (event <> 'held' or not exists (select from moderation_events d"
            "  where d.channel_id = e.channel_id and d.message_id = e.message_id"
            "  and d.event in ('approve', 'deny')))"
            " order by event_id limit %(limit)s",
            {"after": after, "ids": ids, "limit": limit, "held_s": HELD_MS / 1000, "told_s": ANNOUNCED_MS / 1000},
        )
        return await cursor.fetchall()


async def follows(connection: Connection, after: str, ids: Sequence[str] | None, limit: int) -> list[FollowRow]:
    async with connection.cursor(row_factory=class_row(FollowRow)) as cursor:
        await cursor.execute(
            "select follow_id::text as id, channel_id::text, user_id::text, username, followed_at as since"
            " from follows join users using (user_id) where follow_id > %(after)s::uuid"
            " and (%(ids)s::uuid[] is null or follow_id = any (%(ids)s::uuid[]))"
            " order by follow_id limit %(limit)s",
            {"after": after, "ids": ids, "limit": limit},
        )
        return await cursor.fetchall()


async def subscribers(
    connection: Connection, after: str, ids: Sequence[str] | None, limit: int
) -> list[SubscriberRow]:
    """Each subscription gives the record of its user and channel, made of all that these two have."""
    async with connection.cursor(row_factory=class_row(SubscriberRow)) as cursor:
        await cursor.execute(
            "select s.subscription_id::text as id, s.channel_id::text, s.user_id::text, l.tier, l.since, l.until,"
            " l.renewed, u.username, l.giver_id::text, g.username as giver"
            " from subscriptions s join users u using (user_id) join lateral ("
            "  select (array_agg(tier order by least(ended_at, expires_at) desc, tier desc))[1] as tier,"
            "  min(started_at) as since, max(started_at) as renewed,"
            "  (array_agg(gifted_by order by started_at desc))[1] as giver_id,"
            "  max(least(ended_at, expires_at)) as until from subscriptions"
            "  where user_id = s.user_id and channel_id = s.channel_id) l on true"
            " left join users g on g.user_id = l.giver_id"
            " where s.subscription_id > %(after)s::uuid"
            " and (%(ids)s::uuid[] is null or s.subscription_id = any (%(ids)s::uuid[]))"
            " and least(s.ended_at, s.expires_at) > now() - interval '7 days'"
            " order by s.subscription_id limit %(limit)s",
            {"after": after, "ids": ids, "limit": limit},
        )
        return await cursor.fetchall()
