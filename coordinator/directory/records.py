"""Rows of the database as records of the directory: the key and the JSON of each."""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import msgspec

from appliance.contracts import directory, subjects
from appliance.contracts.grants import GrantKeyRecord, RevocationRecord
from appliance.contracts.moderation import FollowRecord, SubscriberRecord
from coordinator.db import Connection
from coordinator.directory import store
from coordinator.times import to_ms
from coordinator.unit import Kind

DIRECTORY_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


class Record(NamedTuple):
    """What lies in the bucket under `key`; `id` is the row's id, by which pages go on."""

    id: str
    key: str
    data: bytes


Reader = Callable[[Connection, str, Sequence[str] | None, int], Awaitable[list[Record]]]


async def _keys(connection: Connection, after: str, ids: Sequence[str] | None, limit: int) -> list[Record]:
    return [
        Record(
            row.id,
            subjects.stream_key_key(row.key_hash),
            msgspec.json.encode(
                directory.KeyRecord(
                    key_id=row.id,
                    channel_id=row.channel_id,
                    channel=row.channel,
                    user_id=row.user_id,
                    stream_id=row.stream_id or "",
                    expires_at_ms=to_ms(row.expires_at),
                    revoked=row.revoked,
                    standby=row.standby,
                )
            ),
        )
        for row in await store.keys(connection, after, ids, limit)
    ]


async def _tokens(connection: Connection, after: str, ids: Sequence[str] | None, limit: int) -> list[Record]:
    return [
        Record(
            row.id,
            subjects.token_key(row.token_hash),
            msgspec.json.encode(
                directory.TokenRecord(
                    token_id=row.id,
                    user_id=row.user_id,
                    username=row.username,
                    scopes=row.scopes,
                    badges=row.badges,
                    expires_at_ms=to_ms(row.expires_at),
                    revoked=row.revoked,
                )
            ),
        )
        for row in await store.tokens(connection, after, ids, limit)
    ]


async def _channels(connection: Connection, after: str, ids: Sequence[str] | None, limit: int) -> list[Record]:
    return [
        Record(
            row.id,
            subjects.channel_key(row.id),
            msgspec.json.encode(
                directory.ChannelRecord(
                    channel_id=row.id,
                    channel=row.channel,
                    user_id=row.user_id,
                    title=row.title,
                    category=row.category,
                    stream_id=row.stream_id or "",
                    suspended=row.suspended,
                    partner=row.partner,
                    profile=directory.Profile(row.profile),
                    access=directory.Access(row.access),
                    access_changed_ms=to_ms(row.access_changed_at),
                )
            ),
        )
        for row in await store.channels(connection, after, ids, limit)
    ]


async def _streams(connection: Connection, after: str, ids: Sequence[str] | None, limit: int) -> list[Record]:
    return [
        Record(
            row.id,
            subjects.stream_key(row.id),
            msgspec.json.encode(
                directory.StreamRecord(
                    stream_id=row.id,
                    channel_id=row.channel_id,
                    channel=row.channel,
                    state=row.status,
                    state_ms=row.status_ms,
                )
            ),
        )
        for row in await store.streams(connection, after, ids, limit)
    ]


async def _grant_keys(connection: Connection, after: str, ids: Sequence[str] | None, limit: int) -> list[Record]:
    return [
        Record(
            row.id,
            subjects.grant_key(row.key_id),
            msgspec.json.encode(GrantKeyRecord(key_id=row.key_id, public=row.public_key, revoked=row.revoked)),
        )
        for row in await store.grant_keys(connection, after, ids, limit)
    ]


async def _revocations(connection: Connection, after: str, ids: Sequence[str] | None, limit: int) -> list[Record]:
    return [
        Record(
            row.id,
            subjects.revocation_key(row.id),
            msgspec.json.encode(
                RevocationRecord(user_id=row.user_id, channel_id=row.channel_id or "", until_ms=to_ms(row.until))
            ),
        )
        for row in await store.revocations(connection, after, ids, limit)
    ]


async def _rooms(connection: Connection, after: str, ids: Sequence[str] | None, limit: int) -> list[Record]:
    found = await store.rooms(connection, after, ids, limit)
    return [Record(row.id, subjects.room_key(row.id), row.record.encode()) for row in found]


async def _members(connection: Connection, after: str, ids: Sequence[str] | None, limit: int) -> list[Record]:
    found = await store.members(connection, after, ids, limit)
    return [
        Record(row.id, subjects.member_key(row.channel_id, row.user_id), row.record.encode())
        for row in found
        if DIRECTORY_TOKEN.match(row.user_id)
    ]


async def _follows(connection: Connection, after: str, ids: Sequence[str] | None, limit: int) -> list[Record]:
    return [
        Record(
            row.id,
            subjects.follow_key(row.channel_id, row.user_id),
            msgspec.json.encode(
                FollowRecord(
                    channel_id=row.channel_id,
                    user_id=row.user_id,
                    since_ms=to_ms(row.since),
                    username=row.username,
                )
            ),
        )
        for row in await store.follows(connection, after, ids, limit)
    ]


async def _subscribers(connection: Connection, after: str, ids: Sequence[str] | None, limit: int) -> list[Record]:
    return [
        Record(
            row.id,
            subjects.subscriber_key(row.channel_id, row.user_id),
            msgspec.json.encode(
                SubscriberRecord(
                    channel_id=row.channel_id,
                    user_id=row.user_id,
                    tier=row.tier,
                    since_ms=to_ms(row.since),
                    until_ms=to_ms(row.until),
                    renewed_ms=to_ms(row.renewed),
                    username=row.username,
                    giver_id=row.giver_id or "",
                    giver=row.giver or "",
                )
            ),
        )
        for row in await store.subscribers(connection, after, ids, limit)
    ]


async def _happenings(connection: Connection, after: str, ids: Sequence[str] | None, limit: int) -> list[Record]:
    found = await store.happenings(connection, after, ids, limit)
    return [Record(row.id, subjects.happened_key(row.channel_id, row.id), row.record.encode()) for row in found]


# In this order: an edge that knows a key should know its channel, and who finds the room of a new channel
# brings the token that was made with it.
READERS: dict[Kind, Reader] = {
    Kind.REVOCATION: _revocations,
    Kind.GRANT_KEY: _grant_keys,
    Kind.ROOM: _rooms,
    Kind.MEMBER: _members,
    Kind.HAPPENING: _happenings,
    Kind.FOLLOW: _follows,
    Kind.SUBSCRIBER: _subscribers,
    Kind.TOKEN: _tokens,
    Kind.CHANNEL: _channels,
    Kind.STREAM: _streams,
    Kind.KEY: _keys,
}
