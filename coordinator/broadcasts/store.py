"""SQL of broadcasts."""

from datetime import datetime

import msgspec
from psycopg.rows import class_row

from appliance.contracts.events import PublisherReport
from coordinator.broadcasts.models import BroadcastRow
from coordinator.db import Connection


async def insert_created(
    connection: Connection, stream_id: str, channel_id: str, user_id: str, title: str, category: str
) -> None:
    """An announced stream; its channel shows it as the one to come."""
    await connection.execute(
        "insert into broadcasts (stream_id, channel_id, user_id, title, category, status)"
        " values (%s, %s, %s, %s, %s, 'created')",
        (stream_id, channel_id, user_id, title, category),
    )
    await connection.execute(
        "update channels set announced_stream_id = %s, title = %s, category = %s where channel_id = %s",
        (stream_id, title, category, channel_id),
    )


async def clear_announced(connection: Connection, stream_id: str, channel_id: str) -> bool:
    """The stream is no longer to come. Whether the channel had announced it."""
    cursor = await connection.execute(
        "update channels set announced_stream_id = null where channel_id = %s and announced_stream_id = %s",
        (channel_id, stream_id),
    )
    return cursor.rowcount == 1


async def upsert_status(
    connection: Connection,
    stream_id: str,
    channel_id: str,
    edge_id: str,
    status: str,
    at: datetime,
) -> bool:
    """Records a step of the moment `at`. An earlier step than the last one leaves the status; an end stays.

    False: there is no such channel, or the stream is not of this channel.
    """
    cursor = await connection.execute(
        "insert into broadcasts as b (stream_id, channel_id, user_id, title, category, status, status_at,"
        " edge_id, started_at, ended_at)"
        " select %(stream_id)s, channel_id, user_id, title, category, %(status)s, %(at)s, %(edge_id)s,"
        "  case when %(status)s <> 'ended' then %(at)s::timestamptz end,"
        "  case when %(status)s = 'ended' then %(at)s::timestamptz end"
        " from channels where channel_id = %(channel_id)s"
        " on conflict (stream_id) do update set"
        " status = case when b.status = 'ended' or (b.status_at > excluded.status_at"
        "  and excluded.status <> 'ended') then b.status else excluded.status end,"
        " edge_id = case when b.status = 'ended' or b.status_at > excluded.status_at"
        "  then b.edge_id else excluded.edge_id end,"
        " status_at = greatest(b.status_at, excluded.status_at),"
        " started_at = least(b.started_at, excluded.started_at),"
        " ended_at = coalesce(b.ended_at, excluded.ended_at)"
        " where b.channel_id = excluded.channel_id",
        {"stream_id": stream_id, "channel_id": channel_id, "edge_id": edge_id, "status": status, "at": at},
    )
    return cursor.rowcount == 1


async def broadcast_by_id(connection: Connection, stream_id: str) -> BroadcastRow | None:
    async with connection.cursor(row_factory=class_row(BroadcastRow)) as cursor:
        await cursor.execute(
            "select b.stream_id, b.channel_id, c.name as channel, b.user_id, b.title, b.category, b.status,"
            " b.edge_id, b.started_at, b.ended_at, b.vod_url"
            " from broadcasts b join channels c using (channel_id) where b.stream_id = %s",
            (stream_id,),
        )
        return await cursor.fetchone()


async def insert_report(connection: Connection, report: PublisherReport, ended_at: datetime) -> bool:
    """Keeps a publisher's report. False: there is no such channel. A repeat is kept once."""
    session = report.session
    cursor = await connection.execute(
        "insert into publisher_reports as r (session_id, stream_id, channel_id, ended_at, report)"
        " select %(session_id)s, %(stream_id)s, channel_id, %(ended_at)s, %(report)s"
        " from channels where channel_id = %(channel_id)s"
        " on conflict (session_id) do update set report = excluded.report where r.channel_id = excluded.channel_id",
        {
            "session_id": session.session_id,
            "stream_id": session.broadcast_id,
            "channel_id": session.channel_id,
            "ended_at": ended_at,
            "report": msgspec.json.encode(report).decode(),
        },
    )
    return cursor.rowcount == 1


async def reports_of(connection: Connection, stream_id: str, channel_id: str, limit: int) -> list[PublisherReport]:
    """The reports of a stream's publishers, the newest first."""
    cursor = await connection.execute(
        "select report::text from publisher_reports where stream_id = %s and channel_id = %s"
        " order by ended_at desc limit %s",
        (stream_id, channel_id, limit),
    )
    return [msgspec.json.decode(text, type=PublisherReport) for (text,) in await cursor.fetchall()]
