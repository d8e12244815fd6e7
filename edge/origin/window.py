"""The window of one rendition: chunks of the part log put together to parts and segments.

Sans-I/O: chunks and `now` (monotonic seconds) in. Chunks come in log order; a repeated one is ignored.
Durations are kept in ticks of the rendition's timescale, so nothing is rounded twice.
"""

import bisect
import collections
import dataclasses

from appliance.contracts.media import ChunkFlag, ChunkHeader
from edge.protocols.hls.reload import WHOLE, Position

MICRO = 1_000_000
_FILL_AT_MOST = 64  # segments; a longer hole starts the window anew


@dataclasses.dataclass(slots=True)
class StoredPart:
    """A run of chunks. `closed` when the last one is there; `gap` when its media is missing."""

    serial: int
    index: int
    independent: bool
    chunks: list[bytes] = dataclasses.field(default_factory=list)
    ticks: int = 0
    closed: bool = False
    gap: bool = False


@dataclasses.dataclass(slots=True)
class StoredSegment:
    """A run of parts; a gap has none. `ticks` counts closed parts only. `holed` when one of them is missing."""

    msn: int
    init: int
    pdt_us: int
    discontinuity: bool
    gap: bool = False
    parts: list[StoredPart] = dataclasses.field(default_factory=list)
    ticks: int = 0
    size: int = 0
    complete: bool = False
    holed: bool = False

    def body(self) -> tuple[bytes, ...]:
        """The segment: its parts' chunks, one after the other, not copied."""
        return tuple(chunk for part in self.parts for chunk in part.chunks)


class Discontinuities:
    """Where a broadcast is discontinuous: shared by its renditions, so that they agree segment by segment.

    Ingest counts its own in the log. The transcoder repeats them, and adds those of its renditions' records.
    """

    def __init__(self) -> None:
        self._msns: list[int] = []
        self._announced: list[int] = []
        self._forgotten = 0  # those that came before what the log still holds

    def add(self, msn: int) -> None:
        at = bisect.bisect_left(self._msns, msn)
        if at == len(self._msns) or self._msns[at] != msn:
            self._msns.insert(at, msn)

    def announce(self, msn: int) -> None:
        """The transcoder says that there is one at segment `msn`."""
        if msn not in self._announced:
            bisect.insort(self._announced, msn)

    def __contains__(self, msn: int) -> bool:
        at = bisect.bisect_left(self._msns, msn)
        return (at < len(self._msns) and self._msns[at] == msn) or msn in self._announced

    def learn(self, msn: int, count: int) -> None:
        """Ingest counted `count` up to segment `msn`, that one's own included."""
        self._forgotten = max(self._forgotten, count - bisect.bisect_right(self._msns, msn))

    def before(self, msn: int) -> int:
        """How many there were before segment `msn`: its playlist's EXT-X-DISCONTINUITY-SEQUENCE."""
        announced = sum(1 for other in self._announced if other < msn and other not in self._msns)
        return self._forgotten + bisect.bisect_left(self._msns, msn) + announced


@dataclasses.dataclass(frozen=True, slots=True)
class WindowRules:
    """How much a playlist lists and how long media outlives its line."""

    target_duration_s: int
    window_s: float
    min_segments: int


class RenditionWindow:
    """Segments of a rendition: the oldest listed to the one in progress, and retired ones still served."""

    def __init__(self, timescale: int, rules: WindowRules, discontinuities: Discontinuities) -> None:
        self.timescale = timescale
        self.segments: collections.deque[StoredSegment] = collections.deque()
        self.version = 0  # grows with every change of the playlist
        self.bytes = 0
        self.ended = False
        self.repeated = 0
        self.filled = 0
        self.next_serial = 0
        self._rules = rules
        self._discontinuities = discontinuities
        self._retired: collections.deque[tuple[float, StoredSegment]] = collections.deque()
        self._parts: dict[int, StoredPart] = {}
        self._by_msn: dict[int, StoredSegment] = {}
        self._last: tuple[int, int, int] = (-1, -1, -1)
        self._positioned = -1
        self._position: Position | None = None

    # -- what is there

    @property
    def position(self) -> Position | None:
        """How far the playlist goes; None while it lists nothing."""
        if self._positioned != self.version:
            self._positioned, self._position = self.version, self._find_position()
        return self._position

    @property
    def lists_whole_segment(self) -> bool:
        """Whether the playlist has the line of a segment: that appears with the next one's first part."""
        position = self.position
        return position is not None and (position.part == WHOLE or position.msn > self.segments[0].msn)

    def _find_position(self) -> Position | None:
        for segment in reversed(self.segments):
            if segment.gap or (self.ended and segment.complete):
                return Position(segment.msn, WHOLE)
            closed = len(segment.parts) - (1 if segment.parts and not segment.parts[-1].closed else 0)
            if closed:
                return Position(segment.msn, closed - 1)
        return None

    def part(self, serial: int) -> StoredPart | None:
        """A finished part that is listed or was not long ago, and has media."""
        part = self._parts.get(serial)
        return part if part is not None and part.closed and not part.gap else None

    def segment(self, msn: int) -> StoredSegment | None:
        """A finished segment, listed or retired not long ago, that has media."""
        segment = self._by_msn.get(msn)
        return segment if segment is not None and segment.complete and not (segment.gap or segment.holed) else None

    def discontinuity_sequence(self) -> int:
        """Of the first listed segment."""
        return self._discontinuities.before(self.segments[0].msn) if self.segments else 0

    def micros(self, ticks: int) -> int:
        """Ticks in microseconds, rounded down: a part is never declared longer than it is."""
        return ticks * MICRO // self.timescale

    def listed_s(self) -> float:
        """The playlist's duration."""
        return sum(segment.ticks for segment in self.segments) / self.timescale

    # -- what comes

    def accept(self, header: ChunkHeader, data: bytes, now: float) -> bool:
        """Takes the next chunk. True when the playlist changed: a part was finished or a gap listed."""
        key = (header.msn, header.part, header.chunk)
        if key <= self._last or self.ended:
            self.repeated += 1
            return False
        self._last = key
        if header.flags & ChunkFlag.DISCONTINUITY and header.dsn >= 0:
            self._discontinuities.add(header.msn)
        elif header.flags & ChunkFlag.DISCONTINUITY:
            self._discontinuities.announce(header.msn)
        if header.dsn >= 0:
            self._discontinuities.learn(header.msn, header.dsn)
        before = self.version
        if header.is_gap_segment:
            self._gap(header)
        else:
            self._media(header, data)
        if self.version != before:
            self._prune(now)
        return self.version != before

    def _media(self, header: ChunkHeader, data: bytes) -> None:
        segment = self._open_segment()
        gap = bool(header.flags & ChunkFlag.GAP)
        if segment is None or segment.msn != header.msn:
            if not data and not gap:
                return
            if header.part or header.chunk:
                return  # its beginning is older than the log: the next segment is the first whole one
            segment = self._begin(header)
        if data or gap:
            self._chunk(segment, header, data)
        if header.flags & (ChunkFlag.LAST_OF_PART | ChunkFlag.LAST_OF_SEGMENT):
            self._close_part(segment)
        if header.flags & ChunkFlag.LAST_OF_SEGMENT:
            segment.complete = True

    def _chunk(self, segment: StoredSegment, header: ChunkHeader, data: bytes) -> None:
        part = segment.parts[-1] if segment.parts else None
        if part is None or part.closed or part.index != header.part:
            self._close_part(segment)
            independent = bool(header.flags & ChunkFlag.INDEPENDENT)
            part = StoredPart(header.serial, header.part, independent)
            segment.parts.append(part)
            self._parts[header.serial] = part
            self.next_serial = max(self.next_serial, header.serial)
        if header.flags & ChunkFlag.GAP:
            part.gap = segment.holed = True
        if data:
            part.chunks.append(data)
        part.ticks += header.duration
        segment.size += len(data)
        self.bytes += len(data)

    def _close_part(self, segment: StoredSegment) -> None:
        if not segment.parts or segment.parts[-1].closed:
            return
        part = segment.parts[-1]
        part.closed = True
        segment.ticks += part.ticks
        self.next_serial = max(self.next_serial, part.serial + 1)
        self.version += 1

    def _gap(self, header: ChunkHeader) -> None:
        segment = self._open_segment()
        if segment is not None and segment.msn == header.msn:
            self._close_part(segment)
            segment.complete = True
            return
        if self.segments and self.segments[-1].msn >= header.msn:
            return  # more of a segment that is finished already
        segment = self._begin(header)
        segment.gap = segment.complete = True
        segment.ticks = header.duration
        self.next_serial = max(self.next_serial, header.serial)
        self.version += 1

    def _open_segment(self) -> StoredSegment | None:
        return self.segments[-1] if self.segments and not self.segments[-1].complete else None

    def _begin(self, header: ChunkHeader) -> StoredSegment:
        self._finish_open()
        self._fill(header)
        discontinuous = header.msn in self._discontinuities
        segment = StoredSegment(header.msn, header.init, header.pdt_us, discontinuous)
        self._put(segment)
        return segment

    def _finish_open(self) -> None:
        segment = self._open_segment()
        if segment is not None:
            self._close_part(segment)
            segment.complete = True
            if not segment.parts:
                segment.gap = True

    def _fill(self, header: ChunkHeader) -> None:
        """Numbers that never came are listed as gaps, because a playlist's numbers have no holes."""
        if not self.segments or self.segments[-1].msn + 1 == header.msn:
            return
        last = self.segments[-1]
        missing = header.msn - last.msn - 1
        end_us = last.pdt_us + self.micros(last.ticks)
        each_us = max(0, header.pdt_us - end_us) // missing
        self.filled += missing
        if missing > _FILL_AT_MOST or each_us > (self._rules.target_duration_s + 0.49) * MICRO:
            self._start_anew()
            return
        for index in range(missing):
            gap = StoredSegment(last.msn + 1 + index, last.init, end_us + index * each_us, False, gap=True)
            gap.discontinuity = gap.msn in self._discontinuities
            gap.ticks = each_us * self.timescale // MICRO
            gap.complete = True
            self._put(gap)
        self.version += 1

    def _start_anew(self) -> None:
        while self.segments:
            self._forget(self.segments.popleft())
        self.version += 1

    def _put(self, segment: StoredSegment) -> None:
        self.segments.append(segment)
        self._by_msn[segment.msn] = segment

    # -- what goes

    def end(self) -> None:
        """The broadcast is over: what was begun is finished with what came, and nothing follows."""
        if self.ended:
            return
        segment = self._open_segment()
        if segment is not None and segment.parts and not segment.parts[-1].closed:
            lost = segment.parts.pop()  # never finished, so its URI was never answered
            self._parts.pop(lost.serial, None)
        if segment is not None and not segment.parts:
            self._forget(self.segments.pop())
        self._finish_open()
        self.ended = True
        self.version += 1

    def _prune(self, now: float) -> None:
        rules = self._rules
        shortest = max(rules.window_s, 3.0 * rules.target_duration_s)
        listed = self.listed_s()
        while len(self.segments) > rules.min_segments + 1:
            head = self.segments[0]
            if listed - head.ticks / self.timescale < shortest:
                break
            listed -= head.ticks / self.timescale
            self.retire_head(now)
        self.expire(now)

    def retire_head(self, now: float) -> None:
        """Takes the oldest segment off the playlist; its media is served for one playlist duration more."""
        served_s = self.listed_s() + self.segments[0].ticks / self.timescale
        segment = self.segments.popleft()
        self._retired.append((now + served_s, segment))
        self.version += 1

    def expire(self, now: float) -> None:
        """Forgets retired segments whose time is over."""
        while self._retired and self._retired[0][0] <= now:
            self._forget(self._retired.popleft()[1])

    def forget_oldest(self) -> bool:
        """Frees the oldest retired segment before its time. False when there is none."""
        if not self._retired:
            return False
        self._forget(self._retired.popleft()[1])
        return True

    def _forget(self, segment: StoredSegment) -> None:
        self.bytes -= segment.size
        self._by_msn.pop(segment.msn, None)
        for part in segment.parts:
            self._parts.pop(part.serial, None)
