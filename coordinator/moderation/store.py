"""SQL of moderation."""

import msgspec
from psycopg.rows import class_row

from appliance.contracts.moderation import MemberRecord, RoomEvent, RoomRecord
from coordinator.db import Connection
from coordinator.moderation.models import StoredRow
from coordinator.times import from_ms

_MAX_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


async def insert_event(connection: Connection, event: RoomEvent) -> bool:
    """Whether this event was never stored."""
    cursor = await connection.execute(
        "insert into moderation_events (event_id, channel_id, edge_id, event, actor_id, target_id, message_id,"
        " reason, happened_at, document) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " on conflict (event_id) do nothing",
        (
            event.event_id,
            event.room,
            event.edge_id,
            str(event.event),
            event.actor_id,
            event.target_id,
            event.message_id,
            event.reason,
            from_ms(event.timestamp),
            _json(event),
        ),
    )
    return cursor.rowcount == 1


async def events(connection: Connection, channel_id: str, before: str, target: str, limit: int) -> list[RoomEvent]:
    """Events of a room older than the id `before` (empty: of all), newest first."""
    cursor = await connection.execute(
        "select document from moderation_events where channel_id = %s and event_id < %s"
        " and (%s = '' or target_id = %s) order by event_id desc limit %s",
        (channel_id, before or _MAX_ID, target, target, limit),
    )
    return [msgspec.convert(row[0], RoomEvent) for row in await cursor.fetchall()]


async def room(connection: Connection, channel_id: str) -> RoomRecord:
    """The record of a room, an empty one when there is none."""
    cursor = await connection.execute("select record from chat_rooms where channel_id = %s", (channel_id,))
    row = await cursor.fetchone()
    return RoomRecord(channel_id=channel_id) if row is None else msgspec.convert(row[0], RoomRecord)


async def lock_room(connection: Connection, channel_id: str) -> RoomRecord:
    """As `room`; nobody else changes it until the unit's end."""
    await connection.execute(
        "insert into chat_rooms (channel_id, record) values (%s, %s) on conflict do nothing",
        (channel_id, _json(RoomRecord(channel_id=channel_id))),
    )
    cursor = await connection.execute(
        "select record from chat_rooms where channel_id = %s for update", (channel_id,)
    )
    row = await cursor.fetchone()
    assert row is not None
    return msgspec.convert(row[0], RoomRecord)


async def save_room(connection: Connection, record: RoomRecord) -> None:
    await connection.execute(
        "insert into chat_rooms (channel_id, record) values (%s, %s)"
        " on conflict (channel_id) do update set record = excluded.record, changed_at = now()",
        (record.channel_id, _json(record)),
    )


async def member(connection: Connection, channel_id: str, user_id: str) -> MemberRecord:
    """The record of a user in a room, an empty one when there is none."""
    cursor = await connection.execute(
        "select record from chat_members where channel_id = %s and user_id = %s", (channel_id, user_id)
    )
    row = await cursor.fetchone()
    empty = MemberRecord(channel_id=channel_id, user_id=user_id)
    return empty if row is None else msgspec.convert(row[0], MemberRecord)


async def lock_member(connection: Connection, channel_id: str, user_id: str) -> MemberRecord:
    """As `member`; nobody else changes it until the unit's end."""
    empty = MemberRecord(channel_id=channel_id, user_id=user_id)
    await connection.execute(
        "insert into chat_members (channel_id, user_id, record) values (%s, %s, %s) on conflict do nothing",
        (channel_id, user_id, _json(empty)),
    )
    cursor = await connection.execute(
        "select record from chat_members where channel_id = %s and user_id = %s for update", (channel_id, user_id)
    )
    row = await cursor.fetchone()
    assert row is not None
    return msgspec.convert(row[0], MemberRecord)


async def save_member(connection: Connection, record: MemberRecord) -> str:
    """The id by which the directory finds it."""
    cursor = await connection.execute(
        "insert into chat_members (channel_id, user_id, record) values (%s, %s, %s)"
        " on conflict (channel_id, user_id) do update set record = excluded.record, changed_at = now()"
        " returning member_id::text",
        (record.channel_id, record.user_id, _json(record)),
    )
    row = await cursor.fetchone()
    assert row is not None
    return str(row[0])


async def members(connection: Connection, channel_id: str, limit: int) -> list[MemberRecord]:
    """Those with a role or a restriction, the newest first."""
    async with connection.cursor(row_factory=class_row(StoredRow)) as cursor:
        await cursor.execute(
            "select member_id::text as id, record from chat_members where channel_id = %s"
            " and (record ? 'role' or record ? 'restriction') order by changed_at desc, member_id limit %s",
            (channel_id, limit),
        )
        return [msgspec.convert(row.record, MemberRecord) for row in await cursor.fetchall()]


async def forget_old(connection: Connection) -> None:
    """The audit trail is kept a year."""
    await connection.execute("delete from moderation_events where happened_at < now() - interval '1 year'")
