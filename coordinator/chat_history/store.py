"""SQL of the chat history."""

from collections.abc import Sequence

import msgspec
from psycopg.rows import class_row

from coordinator.chat_history.models import MessageRow
from coordinator.db import Connection

_MAX_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_MIN_ID = "00000000-0000-0000-0000-000000000000"


async def insert_messages(connection: Connection, rows: Sequence[MessageRow]) -> int:
    """Stores messages, each once by its id; returns how many were new."""
    columns = (
        [row.message_id for row in rows],
        [row.stream_id for row in rows],
        [row.channel_id for row in rows],
        [row.user_id for row in rows],
        [row.username for row in rows],
        [row.body for row in rows],
        [msgspec.json.encode(row.badges).decode() for row in rows],
        [msgspec.json.encode(row.emotes).decode() for row in rows],
        [row.reply_to for row in rows],
        [row.sent_at for row in rows],
        [None if row.parent is None else msgspec.json.encode(row.parent).decode() for row in rows],
        [None if row.mentions is None else msgspec.json.encode(row.mentions).decode() for row in rows],
    )
    cursor = await connection.execute(
        "insert into chat_messages (message_id, stream_id, channel_id, user_id, username, body, badges,"
        " emotes, reply_to, sent_at, parent, mentions)"
        " select * from unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[],"
        " %s::jsonb[], %s::jsonb[], %s::text[], %s::timestamptz[], %s::jsonb[], %s::jsonb[])"
        " on conflict (message_id) do nothing",
        columns,
    )
    return cursor.rowcount


async def messages_before(
    connection: Connection, stream_id: str, before: str | None, limit: int
) -> list[MessageRow]:
    """The newest messages older than the id `before` (None: of all), newest first."""
    async with connection.cursor(row_factory=class_row(MessageRow)) as cursor:
        await cursor.execute(
            "select message_id, stream_id, channel_id, user_id, username, body, badges, emotes, reply_to,"
            " sent_at, parent, mentions from chat_messages where stream_id = %s and removed_by is null"
            " and message_id < %s"
            " order by message_id desc limit %s",
            (stream_id, before or _MAX_ID, limit),
        )
        return await cursor.fetchall()


async def messages_after(
    connection: Connection, stream_id: str, after: str | None, before: str | None, limit: int
) -> list[MessageRow]:
    """The oldest messages between the ids `after` and `before` (both exclusive), oldest first."""
    async with connection.cursor(row_factory=class_row(MessageRow)) as cursor:
        await cursor.execute(
            "select message_id, stream_id, channel_id, user_id, username, body, badges, emotes, reply_to,"
            " sent_at, parent, mentions from chat_messages where stream_id = %s and removed_by is null"
            " and message_id > %s and message_id < %s"
            " order by message_id limit %s",
            (stream_id, after or _MIN_ID, before or _MAX_ID, limit),
        )
        return await cursor.fetchall()
