"""SQL of what viewers got."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from appliance.contracts.quality import QualityCell, SessionSummary
from coordinator.db import Connection


class Place(NamedTuple):
    """Where a cell is kept."""

    stream_id: str
    minute: datetime
    edge_id: str
    height: int
    player: str


class ViewersRow(NamedTuple):
    """Samples of one edge."""

    minute: datetime
    most: int
    total: int
    samples: int


async def cells_for_update(connection: Connection, places: Sequence[Place]) -> dict[Place, QualityCell]:
    """What is kept at these places, locked until the transaction ends."""
    cursor = await connection.execute(
        "select q.stream_id::text, q.minute, q.edge_id, q.height, q.player, q.cell::text from quality_minutes q"
        " join unnest(%s::uuid[], %s::timestamptz[], %s::text[], %s::int[], %s::text[])"
        " as w (stream_id, minute, edge_id, height, player) using (stream_id, minute, edge_id, height, player)"
        " for update of q",
        tuple(list(column) for column in zip(*places, strict=True)),
    )
    return {Place(*row[:5]): msgspec.json.decode(row[5], type=QualityCell) for row in await cursor.fetchall()}


async def put_cells(connection: Connection, cells: Mapping[Place, QualityCell]) -> None:
    """Writes cells over what was there."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "insert into quality_minutes (stream_id, minute, edge_id, height, player, cell)"
            " values (%s, %s, %s, %s, %s, %s)"
            " on conflict (stream_id, minute, edge_id, height, player) do update set cell = excluded.cell",
            [(*place, msgspec.json.encode(cell).decode()) for place, cell in cells.items()],
        )


async def add_viewers(
    connection: Connection, edge_id: str, minute: datetime, samples: Sequence[tuple[str, int]]
) -> None:
    """One sample of the viewers of several streams, by stream id."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "insert into quality_viewers as v (stream_id, minute, edge_id, most, total, samples)"
            " values (%s, %s, %s, %s, %s, 1)"
            " on conflict (stream_id, minute, edge_id) do update set most = greatest(v.most, excluded.most),"
            " total = v.total + excluded.total, samples = v.samples + 1",
            [(stream_id, minute, edge_id, viewers, viewers) for stream_id, viewers in samples],
        )


async def insert_sessions(
    connection: Connection, edge_id: str, sessions: Sequence[tuple[SessionSummary, datetime, datetime]]
) -> None:
    """Summaries with their beginnings and ends; a repeat is kept once."""
    async with connection.cursor() as cursor:
        await cursor.executemany(
            "insert into quality_sessions (stream_id, session, began_at, ended_at, edge_id, summary)"
            " values (%s, %s, %s, %s, %s, %s) on conflict do nothing",
            [
                (one.broadcast_id, one.session, began, ended, edge_id, msgspec.json.encode(one).decode())
                for one, began, ended in sessions
            ],
        )


async def minutes_of(
    connection: Connection, stream_id: str, since: datetime, until: datetime, limit: int
) -> list[datetime]:
    """The newest minutes of which anything is known, the newest first."""
    cursor = await connection.execute(
        "select minute from quality_minutes where stream_id = %(id)s and minute >= %(since)s and minute < %(until)s"
        " union select minute from quality_viewers"
        " where stream_id = %(id)s and minute >= %(since)s and minute < %(until)s"
        " order by minute desc limit %(limit)s",
        {"id": stream_id, "since": since, "until": until, "limit": limit},
    )
    return [row[0] for row in await cursor.fetchall()]


async def cells_of(
    connection: Connection, stream_id: str, first: datetime, last: datetime
) -> list[tuple[datetime, QualityCell]]:
    """Every edge's cells of a stream, `last` included."""
    cursor = await connection.execute(
        "select minute, cell::text from quality_minutes where stream_id = %s and minute between %s and %s",
        (stream_id, first, last),
    )
    return [(minute, msgspec.json.decode(text, type=QualityCell)) for minute, text in await cursor.fetchall()]


async def viewers_of(connection: Connection, stream_id: str, first: datetime, last: datetime) -> list[ViewersRow]:
    """Every edge's viewers of a stream, `last` included."""
    cursor = await connection.execute(
        "select minute, most, total, samples from quality_viewers"
        " where stream_id = %s and minute between %s and %s",
        (stream_id, first, last),
    )
    return [ViewersRow(*row) for row in await cursor.fetchall()]


async def forget_old(connection: Connection) -> None:
    """Drops sessions after a month, minutes after three."""
    await connection.execute("delete from quality_sessions where ended_at < now() - interval '30 days'")
    await connection.execute("delete from quality_minutes where minute < now() - interval '90 days'")
    await connection.execute("delete from quality_viewers where minute < now() - interval '90 days'")
