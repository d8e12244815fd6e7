"""SQL of the chat history.

A message and what removes it may come from two edges at once. Whoever stores either holds the room's lock, messages
shared and removals alone, so that one of the two always finds the other.
"""

import zlib
from collections.abc import Iterable, Sequence

import msgspec
from psycopg.rows import class_row

from coordinator.chat_history.models import MessageRow, Page, Removal
from coordinator.db import Connection, Database

_MAX_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_MIN_ID = "00000000-0000-0000-0000-000000000000"
_LOCK_CLASS = 0x63686174  # any number that nobody else uses in this database
_LOCKS = 256  # rooms share them: a transaction takes few, and rooms seldom meet
_COLUMNS = (
    "message_id, stream_id, channel_id, user_id, username, body, badges, emotes, reply_to, sent_at, parent,"
    " mentions"
)
_REMOVED_BY = """
    coalesce(
        (select r.event_id from chat_removals r
         where r.channel_id = m.channel_id and r.message_id = m.message_id limit 1),
        (select r.event_id from chat_removals r
         where r.channel_id = m.channel_id and r.message_id is null and r.user_id in ('', m.user_id)
           and r.since < m.sent_at and m.sent_at <= r.until limit 1)
    )"""


class PostgresChatStore:
    """In the database of everything else, in transactions of its own."""

    name = "postgresql"

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self) -> None:
        """The database is opened by its owner."""

    async def close(self) -> None:
        """The database is closed by its owner."""

    async def add(self, rows: Sequence[MessageRow]) -> None:
        """As the port says."""
        if not rows:
            return
        columns = (
            [row.message_id for row in rows],
            [row.stream_id for row in rows],
            [row.channel_id for row in rows],
            [row.user_id for row in rows],
            [row.username for row in rows],
            [row.body for row in rows],
            [_json(row.badges) for row in rows],
            [_json(row.emotes) for row in rows],
            [row.reply_to for row in rows],
            [row.sent_at for row in rows],
            [None if row.parent is None else _json(row.parent) for row in rows],
            [None if row.mentions is None else _json(row.mentions) for row in rows],
        )
        async with self._database.transaction() as connection:
            await _lock(connection, "pg_advisory_xact_lock_shared", {row.channel_id for row in rows})
            await connection.execute(
                f"insert into chat_messages ({_COLUMNS}, removed_by) select m.*, {_REMOVED_BY}"  # noqa: S608
                " from unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[],"
                " %s::jsonb[], %s::jsonb[], %s::text[], %s::timestamptz[], %s::jsonb[], %s::jsonb[])"
                f" as m ({_COLUMNS}) on conflict (message_id) do nothing",
                columns,
            )

    async def remove(self, removals: Sequence[Removal]) -> None:
        """As the port says."""
        if not removals:
            return
        async with self._database.transaction() as connection:
            await _lock(connection, "pg_advisory_xact_lock", {removal.channel_id for removal in removals})
            for removal in removals:
                await _remove(connection, removal)

    async def before(self, channel_id: str, stream_id: str, before: str, limit: int) -> Page:
        """As the port says."""
        rows = await self._read(channel_id, stream_id, _MIN_ID, before or _MAX_ID, limit + 1, "desc")
        return Page(rows[:limit][::-1], len(rows) > limit)

    async def after(self, channel_id: str, stream_id: str, after: str, before: str, limit: int) -> Page:
        """As the port says."""
        rows = await self._read(channel_id, stream_id, after or _MIN_ID, before or _MAX_ID, limit + 1, "asc")
        return Page(rows[:limit], len(rows) > limit)

    async def _read(
        self, channel_id: str, stream_id: str, after: str, before: str, limit: int, order: str
    ) -> list[MessageRow]:
        async with (
            self._database.transaction() as connection,
            connection.cursor(row_factory=class_row(MessageRow)) as cursor,
        ):
            of_stream, owners = ("stream_id = %s and", (stream_id,)) if stream_id else ("", ())
            await cursor.execute(
                f"select {_COLUMNS} from chat_messages where {of_stream} channel_id = %s"  # noqa: S608
                f" and removed_by is null and message_id > %s and message_id < %s"
                f" order by message_id {order} limit %s",
                (*owners, channel_id, after, before, limit),
            )
            return await cursor.fetchall()

    async def ping(self) -> None:
        """As the port says."""
        await self._database.ping()

    async def forget_old(self) -> None:
        """Removals wait a year for messages that an edge could not deliver."""
        async with self._database.transaction() as connection:
            await connection.execute("delete from chat_removals where until < now() - interval '1 year'")


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


async def _lock(connection: Connection, function: str, rooms: Iterable[str]) -> None:
    """Locks of rooms until the transaction ends, in an order that is the same for everybody."""
    numbers = sorted({zlib.crc32(room.encode()) % _LOCKS for room in rooms})
    query = f"select {function}(%s, number) from unnest(%s::int[]) as number"  # noqa: S608 - one of two names
    await connection.execute(query, (_LOCK_CLASS, numbers))


async def _remove(connection: Connection, removal: Removal) -> None:
    values = {
        "event": removal.event_id,
        "room": removal.channel_id,
        "message": removal.message_id or None,
        "user": removal.user_id,
        "since": removal.since,
        "until": removal.until,
    }
    await connection.execute(
        "insert into chat_removals (event_id, channel_id, message_id, user_id, since, until)"
        " values (%(event)s, %(room)s, %(message)s, %(user)s, %(since)s, %(until)s)"
        " on conflict (event_id) do nothing",
        values,
    )
    which = (
        "message_id = %(message)s"
        if removal.message_id
        else ("sent_at > %(since)s and sent_at <= %(until)s and (%(user)s = '' or user_id = %(user)s)")
    )
    await connection.execute(
        f"update chat_messages set removed_by = %(event)s"  # noqa: S608 - one of two texts
        f" where channel_id = %(room)s and removed_by is null and {which}",
        values,
    )
