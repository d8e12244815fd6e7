"""Sums of what players report, by broadcast, minute, picture height and player; and each session's own."""

import enum
from dataclasses import dataclass, field

from appliance.contracts.quality import QualityCell, SessionSummary
from edge.origin.metrics import Tally
from edge.origin.quality.beacon import Beacon

_MINUTE_MS = 60_000
_SILENT_MS = 60_000  # a session that told nothing for so long is over
MOST_SESSIONS = 50_000
MOST_CELLS = 20_000
MOST_SUMMARIES = 20_000


class Counted(enum.Enum):
    """What a report was: heard before, one more, or the one that tells the start-up of its session."""

    AGAIN = enum.auto()
    MORE = enum.auto()
    STARTED = enum.auto()


CellKey = tuple[str, int, int, str]


@dataclass(slots=True)
class _Session:
    began_ms: int
    seq: int = -1
    minute_ms: int = -1
    told_ms: int = 0
    player: str = ""
    startup_ms: int | None = None
    sums: dict[str, int] = field(default_factory=dict)

    def add(self, beacon: Beacon) -> None:
        for name, value in (
            ("played_ms", beacon.played_ms),
            ("stalls", beacon.stalls),
            ("stall_ms", beacon.stalled_ms),
            ("switches", beacon.switches),
            ("dropped_frames", beacon.dropped_frames),
            ("errors", len(beacon.errors)),
        ):
            self.sums[name] = self.sums.get(name, 0) + value


class Sums:
    """Of one process, since they were taken last. Times in Unix milliseconds; a session is its 64 bit hash."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._cells: dict[CellKey, QualityCell] = {}
        self._sessions: dict[tuple[str, int], _Session] = {}
        self._over: list[SessionSummary] = []

    def shed(self, beacon: Beacon, at_ms: int) -> None:
        """A report that was left out."""
        cell = self._cell(beacon, at_ms)
        if cell is not None:
            cell.shed += 1

    def add(self, session: int, beacon: Beacon, at_ms: int) -> Counted:
        """A report. A player that heard no answer sends it again: it counts once, as a start-up does."""
        known = self._session(session, beacon, at_ms)
        if known is not None and beacon.seq <= known.seq:
            self._tally.event("beacon_again")
            return Counted.AGAIN
        started = beacon.startup_ms is not None and (known is None or known.startup_ms is None)
        cell = self._cell(beacon, at_ms)
        if cell is not None:
            _add(cell, beacon)
            if known is None or known.minute_ms != cell.minute_ms:
                cell.sessions += 1
            if started and beacon.startup_ms is not None:
                cell.startup_ms.add(beacon.startup_ms)
        if known is not None:
            known.seq, known.told_ms, known.minute_ms = beacon.seq, at_ms, at_ms - at_ms % _MINUTE_MS
            known.startup_ms = beacon.startup_ms if known.startup_ms is None else known.startup_ms
            known.add(beacon)
            if beacon.leaving:
                self._end(beacon.stream_id, session, at_ms)
        return Counted.STARTED if started else Counted.MORE

    def take(self, at_ms: int, *, last: bool = False) -> tuple[list[QualityCell], list[SessionSummary]]:
        """What was added up since the last call, and the sessions that are over: at the `last` call all of them."""
        for (broadcast_id, session), one in list(self._sessions.items()):
            if last or at_ms - one.told_ms >= _SILENT_MS:
                self._end(broadcast_id, session, one.told_ms)
        cells, self._cells = list(self._cells.values()), {}
        over, self._over = self._over, []
        return cells, over

    def _cell(self, beacon: Beacon, at_ms: int) -> QualityCell | None:
        minute_ms = at_ms - at_ms % _MINUTE_MS
        key = beacon.stream_id, minute_ms, beacon.lines, beacon.kind
        cell = self._cells.get(key)
        if cell is None:
            if len(self._cells) >= MOST_CELLS:
                self._tally.event("over_cells")
                return None
            cell = self._cells[key] = QualityCell(
                broadcast_id=beacon.stream_id, minute_ms=minute_ms, height=beacon.lines, player=beacon.kind
            )
        return cell

    def _session(self, session: int, beacon: Beacon, at_ms: int) -> _Session | None:
        found = self._sessions.get((beacon.stream_id, session))
        if found is None:
            if len(self._sessions) >= MOST_SESSIONS:
                self._tally.event("over_sessions")
                return None
            found = self._sessions[beacon.stream_id, session] = _Session(
                max(0, at_ms - beacon.span_ms), player=beacon.player
            )
        return found

    def _end(self, broadcast_id: str, session: int, at_ms: int) -> None:
        one = self._sessions.pop((broadcast_id, session))
        if len(self._over) >= MOST_SUMMARIES:
            self._tally.event("over_summaries")
            return
        self._over.append(
            SessionSummary(
                session=f"{session:016x}",
                broadcast_id=broadcast_id,
                player=one.player,
                began_ms=one.began_ms,
                ended_ms=at_ms,
                startup_ms=one.startup_ms,
                **one.sums,
            )
        )


def _add(cell: QualityCell, beacon: Beacon) -> None:
    cell.beacons += 1
    cell.played_ms += beacon.played_ms
    cell.stalls += beacon.stalls
    cell.stall_ms += beacon.stalled_ms
    cell.switches += beacon.switches
    cell.dropped_frames += beacon.dropped_frames
    if beacon.latency_ms is not None:
        cell.latency_ms.add(beacon.latency_ms)
    if beacon.bitrate is not None:
        cell.bitrate.add(beacon.bitrate)
    for error in beacon.errors:
        cell.errors[error.kind] = cell.errors.get(error.kind, 0) + 1
