"""Rules of quality: what a batch adds, and what a minute of a stream was like."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from appliance.contracts.errors import BadInputError, ForbiddenError
from appliance.contracts.ids import is_uuid7
from appliance.contracts.quality import HEIGHTS, PLAYERS, QualityBatch, QualityCell
from appliance.contracts.sketch import Sketch
from coordinator.accounts.models import Caller
from coordinator.broadcasts.service import Broadcasts
from coordinator.quality import store
from coordinator.quality.models import QualityMinute, QualityQuery, Share, Spread, StreamQuality, ViewersOf
from coordinator.quality.store import Place, ViewersRow
from coordinator.times import from_ms
from coordinator.unit import Unit

_MAX_MINUTES = 1440
_MINUTE_MS = 60_000
_END_MS = 4_102_444_800_000  # the year 2100


class Qualities:
    """What viewers got."""

    def __init__(self, broadcasts: Broadcasts) -> None:
        self._broadcasts = broadcasts

    async def apply(self, unit: Unit, batch: QualityBatch) -> None:
        """Adds a batch. BadInputError: something in it can never be stored; then nothing of it is."""
        minute = from_ms(batch.at_ms - batch.at_ms % _MINUTE_MS)
        cells = _by_place(batch)
        sessions = [(one, from_ms(one.began_ms), from_ms(one.ended_ms)) for one in batch.sessions]
        samples = [(one.broadcast_id, one.viewers) for one in batch.viewers]
        named = {one.broadcast_id for one in batch.sessions} | {name for name, _ in samples}
        named |= {cell.broadcast_id for cell in batch.cells}
        if not all(is_uuid7(name) for name in named):
            raise BadInputError("the batch names no stream", code="event_ids")
        if any("\x00" in text for one in batch.sessions for text in (one.session, one.player)):
            raise BadInputError("the batch has a session without a proper name", code="event_ids")
        if cells:
            known = await store.cells_for_update(unit.connection, list(cells))
            for place, cell in known.items():
                cells[place].merge(cell)
            await store.put_cells(unit.connection, cells)
        if sessions:
            await store.insert_sessions(unit.connection, batch.edge_id, sessions)
        if samples:
            await store.add_viewers(unit.connection, batch.edge_id, minute, samples)

    async def timeline(self, unit: Unit, caller: Caller, stream_id: str, query: QualityQuery) -> StreamQuality:
        """A stream's minutes, for its owner and operators. BadInputError, ForbiddenError, NotFoundError."""
        if not 1 <= query.limit <= _MAX_MINUTES:
            raise BadInputError(f"limit is 1 to {_MAX_MINUTES}", code="invalid_limit")
        since, until = from_ms(query.since), from_ms(query.until or _END_MS)
        row = await self._broadcasts.require(unit, stream_id)
        if not caller.may_act_for(row.user_id):
            raise ForbiddenError("that is somebody else's stream")
        minutes = await store.minutes_of(unit.connection, stream_id, since, until, query.limit)
        if not minutes:
            return StreamQuality(stream_id=stream_id, minutes=[])
        first, last = minutes[-1], minutes[0]
        cells: dict[datetime, list[QualityCell]] = defaultdict(list)
        for minute, cell in await store.cells_of(unit.connection, stream_id, first, last):
            cells[minute].append(cell)
        viewers: dict[datetime, list[ViewersRow]] = defaultdict(list)
        for seen in await store.viewers_of(unit.connection, stream_id, first, last):
            viewers[seen.minute].append(seen)
        return StreamQuality(
            stream_id=stream_id,
            minutes=[_minute(minute, cells[minute], viewers[minute]) for minute in reversed(minutes)],
        )


def _by_place(batch: QualityBatch) -> dict[Place, QualityCell]:
    found: dict[Place, QualityCell] = {}
    for cell in batch.cells:
        if cell.player not in PLAYERS or cell.height not in (0, *HEIGHTS) or cell.minute_ms % _MINUTE_MS:
            raise BadInputError("a cell is of no minute, height or player", code="quality_cell")
        if any("\x00" in kind for kind in cell.errors):
            raise BadInputError("a kind of error has no proper name", code="quality_cell")
        place = Place(cell.broadcast_id, from_ms(cell.minute_ms), batch.edge_id, cell.height, cell.player)
        if place in found:
            found[place].merge(cell)
        else:
            found[place] = cell
    return found


def _minute(minute: datetime, cells: list[QualityCell], viewers: list[ViewersRow]) -> QualityMinute:
    total = QualityCell(broadcast_id="", minute_ms=0, height=0, player="")
    heights: dict[str, list[QualityCell]] = defaultdict(list)
    players: dict[str, list[QualityCell]] = defaultdict(list)
    for cell in cells:
        total.merge(cell)
        heights[str(cell.height)].append(cell)
        players[cell.player].append(cell)
    came = total.beacons + total.shed
    watched = total.played_ms + total.stall_ms
    return QualityMinute(
        minute=minute,
        viewers=_viewers(viewers),
        sessions=total.sessions,
        reports=total.beacons,
        kept=total.beacons / came if came else 1.0,
        played_s=total.played_ms / 1000,
        stalls=total.stalls,
        stalled_s=total.stall_ms / 1000,
        stall_ratio=total.stall_ms / watched if watched else 0.0,
        switches=total.switches,
        dropped_frames=total.dropped_frames,
        startup_ms=_spread(total.startup_ms),
        latency_ms=_spread(total.latency_ms),
        bitrate=_spread(total.bitrate),
        errors=total.errors,
        heights={name: _share(found) for name, found in heights.items()},
        players={name: _share(found) for name, found in players.items()},
    )


def _viewers(rows: list[ViewersRow]) -> ViewersOf | None:
    if not rows:
        return None
    return ViewersOf(most=sum(one.most for one in rows), mean=sum(one.total / one.samples for one in rows))


def _share(cells: Iterable[QualityCell]) -> Share:
    found = list(cells)
    return Share(
        played_s=sum(cell.played_ms for cell in found) / 1000,
        stalls=sum(cell.stalls for cell in found),
        stalled_s=sum(cell.stall_ms for cell in found) / 1000,
    )


def _spread(sketch: Sketch) -> Spread | None:
    p50, p95, p99 = sketch.quantile(0.5), sketch.quantile(0.95), sketch.quantile(0.99)
    if p50 is None or p95 is None or p99 is None:
        return None
    return Spread(count=sketch.count, p50=round(p50, 1), p95=round(p95, 1), p99=round(p99, 1))
