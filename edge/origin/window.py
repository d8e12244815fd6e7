"""The window of one rendition: chunks of the part log put together to parts and segments.

Sans-I/O: chunks and `now` (monotonic seconds) in. Chunks come in log order; a repeated one is ignored.
Durations are kept in ticks of the rendition's timescale, so nothing is rounded twice.
"""

from collections.abc import Iterable, Iterator

from appliance.contracts.media import ChunkFlag, ChunkHeader
from appliance.contracts.spool import SpooledSegment
from edge.origin.segments import SegmentRow
from edge.origin.stored import MICRO, Discontinuities, Place, StoredPart, StoredSegment, WindowRules, recalled
from edge.protocols.hls.reload import WHOLE, Position

_FILL_AT_MOST = 64  # segments; a longer hole starts the window anew
_SPOOL_LATE_S = 30.0  # how much longer segments stay in memory for a recorder that is late
_PLACES_AHEAD = 64  # places known before their segments: the recorder reads the same log


class RenditionWindow:
    """Segments of a rendition: the oldest listed to the one in progress, and retired ones still served.

    The older ones may be released: they are listed, and their bytes lie in the spool.
    """

    def __init__(self, timescale: int, rules: WindowRules, discontinuities: Discontinuities) -> None:
        self.timescale = timescale
        self.segments = SegmentRow()
        self.version = 0  # grows with every change of the playlist
        self.bytes = 0
        self.ended = False
        self.repeated = 0
        self.filled = 0
        self.next_serial = 0
        self._rules = rules
        self._discontinuities = discontinuities
        self._ticks = 0  # of all that is listed
        self._released_ticks = 0
        self._places: dict[int, Place] = {}  # of segments that are not here yet
        self._parts: dict[int, StoredPart] = {}
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
    def ends_in_gap(self) -> bool:
        """Whether the newest part that is listed, or the segment where there is no part, has no media."""
        newest = self._newest()
        return newest is not None and newest.gap

    @property
    def ends_in_gap_part(self) -> bool:
        """The same of parts alone. Whole segments are gaps between two publishers, over when they are told."""
        newest = self._newest()
        return isinstance(newest, StoredPart) and newest.gap

    def _newest(self) -> StoredPart | StoredSegment | None:
        for segment in reversed(self.segments):
            for part in reversed(segment.parts):
                if part.closed:
                    return part
            if segment.gap or segment.released:
                return segment
        return None

    @property
    def lists_whole_segment(self) -> bool:
        """Whether the playlist has the line of a segment: that appears with the next one's first part."""
        position = self.position
        return position is not None and (position.part == WHOLE or position.msn > self.segments[0].msn)

    def _find_position(self) -> Position | None:
        for segment in reversed(self.segments):
            if segment.gap or segment.released or (self.ended and segment.complete):
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
        segment = self.segments.find(msn)
        return segment if segment is not None and segment.has_media else None

    def gap(self, msn: int) -> StoredSegment | None:
        """A segment that is listed, or was not long ago, without media. Of what was released the spool tells."""
        segment = self.segments.find(msn)
        if segment is None or not segment.complete or segment.released or segment.has_media:
            return None
        return segment

    def key_before(self, gap: StoredSegment) -> tuple[bytes, int] | None:
        """What begins with the last key frame before a gap, and how many ticks later the gap begins."""
        later, following = 0, gap
        while not following.discontinuity:
            segment = self.segments.find(following.msn - 1)
            if segment is None or segment.released or segment.init != gap.init:
                return None
            later += segment.ticks
            if segment.key_size():
                return segment.parts[0].chunks[0], later
            following = segment
        return None

    def discontinuity_sequence(self, msn: int) -> int:
        """EXT-X-DISCONTINUITY-SEQUENCE of a playlist that begins with segment `msn`."""
        return self._discontinuities.before(msn)

    def micros(self, ticks: int) -> int:
        """Ticks in microseconds, rounded down: a part is never declared longer than it is."""
        return ticks * MICRO // self.timescale

    def part_micros(self, part: StoredPart) -> int:
        """What is told of a part's duration: PART-TARGET at most, though there may be a pause in it."""
        return min(self.micros(part.ticks), round(self._rules.part_target_s * MICRO))

    def listed_s(self) -> float:
        """The playlist's duration."""
        return self._ticks / self.timescale

    @property
    def complete_position(self) -> Position | None:
        """The last finished segment, for playlists that list nothing else; None while there is none."""
        for segment in reversed(self.segments):
            if segment.complete:
                return Position(segment.msn, WHOLE)
        return None

    def listed(self, first: int = 0) -> Iterator[StoredSegment]:
        """The listed segments from index `first` on: only the newest may not be listed yet."""
        count = len(self.segments) - (1 if self.segments and not self.segments[-1].listed else 0)
        return self.segments.span(first, count)

    def in_memory(self) -> Iterator[StoredSegment]:
        """The segments whose bytes are here."""
        return iter(self.segments.held)

    def ended_before(self, edge_us: int) -> int:
        """How many listed segments ended at least `edge_us` before the end of the playlist."""
        left = self.micros(self._ticks) - edge_us
        if left <= 0:
            return 0
        count = len(self.segments)
        behind = 0  # what follows on segment `count`
        for segment in reversed(self.segments):
            if behind >= edge_us:
                break
            behind += self.micros(segment.ticks)
            count -= 1
        return count

    # -- the spool

    def recall(self, places: Iterable[SpooledSegment]) -> None:
        """Lists what the spool has, before anything came of the log. What the log repeats takes its place."""
        for place in places:
            self._discontinuities.note(place.msn, place.dsn, discontinuity=place.is_discontinuity)
            segment = recalled(place, discontinuity=place.msn in self._discontinuities)
            self._fill(place.msn, place.pdt_us)
            while self.segments.held:  # what was filled in lies before what is recalled
                self.segments.release()
            self._put(segment)
            self.next_serial = max(self.next_serial, place.next_serial)
        self._released_ticks = self._ticks
        self.version += 1

    def locate(self, places: Iterable[SpooledSegment], now: float) -> bool:
        """Where newer segments lie in the spool. Those that have been here for long enough are released.

        True when the playlist changed.
        """
        before = self.version
        for place in places:
            if self.segments.locate(place.msn, Place.of(place)):
                self._forget(self.segments.release_retired(place.msn))  # the spool was late
                continue
            if not self.segments or place.msn > self.segments[-1].msn:
                self._places[place.msn] = Place.of(place)
                if len(self._places) > _PLACES_AHEAD:
                    del self._places[next(iter(self._places))]
        self._prune(now)
        return self.version != before

    def forget_before(self, msn: int, now: float) -> bool:
        """The spool no longer has what lies before `msn`. True when the playlist changed."""
        before = self.version
        while self.segments.released and self.segments[0].msn < msn:
            self._retire(now)
        return self.version != before

    def _release(self) -> None:
        """The head of what is in memory: from now on its bytes are only in the spool."""
        segment = self.segments.release()
        self._drop_bytes(segment)
        self._released_ticks += segment.ticks

    def _drop_bytes(self, segment: StoredSegment) -> None:
        self.bytes -= segment.size
        segment.size = 0
        for part in segment.parts:
            self._parts.pop(part.serial, None)
        segment.parts = []

    def _replace_released(self, msn: int) -> None:
        """The log repeats what was recalled, from segment `msn` on."""
        while self.segments.released and not self.segments.held and self.segments[-1].msn >= msn:
            segment = self.segments.pop()
            self._released_ticks -= segment.ticks
            self._ticks -= segment.ticks
            if segment.place is not None:
                self._places[segment.msn] = segment.place
            self.version += 1

    # -- what comes

    def accept(self, header: ChunkHeader, data: bytes, now: float) -> bool:
        """Takes the next chunk. True when the playlist changed: a part was finished or a gap listed."""
        key = (header.msn, header.part, header.chunk)
        if key <= self._last or self.ended:
            self.repeated += 1
            return False
        self._last = key
        discontinuity = bool(header.flags & ChunkFlag.DISCONTINUITY)
        self._discontinuities.note(header.msn, header.dsn, discontinuity=discontinuity)
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
        else:
            self._hole(segment, header.duration)
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

    def _hole(self, segment: StoredSegment, ticks: int) -> None:
        """What is there lasts longer than its samples: nothing came for a while."""
        part = segment.parts[-1] if segment.parts else None
        if part is not None and not part.closed:
            part.ticks += ticks
        else:
            segment.ticks += ticks
            self._ticks += ticks

    def _close_part(self, segment: StoredSegment) -> None:
        if not segment.parts or segment.parts[-1].closed:
            return
        part = segment.parts[-1]
        part.closed = True
        segment.ticks += part.ticks
        self._ticks += part.ticks
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
        self._ticks += segment.ticks
        self.next_serial = max(self.next_serial, header.serial)
        self.version += 1

    def _open_segment(self) -> StoredSegment | None:
        return self.segments[-1] if self.segments and not self.segments[-1].complete else None

    def _begin(self, header: ChunkHeader) -> StoredSegment:
        self._finish_open()
        self._replace_released(header.msn)
        self._fill(header.msn, header.pdt_us)
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

    def _fill(self, msn: int, pdt_us: int) -> None:
        """Numbers that never came are listed as gaps, because a playlist's numbers have no holes."""
        if not self.segments or self.segments[-1].msn + 1 == msn:
            return
        last = self.segments[-1]
        missing = msn - last.msn - 1
        end_us = last.pdt_us + self.micros(last.ticks)
        each_us = max(0, pdt_us - end_us) // missing
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
        self._forget(self.segments.clear())
        self._released_ticks = self._ticks = 0
        self.version += 1

    def _put(self, segment: StoredSegment) -> None:
        segment.place = segment.place or self._places.pop(segment.msn, None)
        self.segments.append(segment)
        self._ticks += segment.ticks

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
            self._forget([self.segments.pop()])
        self._finish_open()
        self.ended = True
        self.version += 1

    def _prune(self, now: float) -> None:
        rules = self._rules
        shortest = max(rules.window_s, 3.0 * rules.target_duration_s)
        held = self.segments.held
        while len(held) > rules.min_segments + 1:
            head = held[0]
            left_s = (self._ticks - self._released_ticks - head.ticks) / self.timescale
            if left_s < shortest:
                break
            if rules.rewind_s and (head.place is not None or head.gap):
                self._release()
            elif rules.rewind_s and left_s < shortest + _SPOOL_LATE_S:
                break
            else:  # nothing older can be listed either: numbers have no holes
                self.retire_head(now)
        while self.segments.released and (self._ticks - self.segments[0].ticks) / self.timescale >= max(
            rules.rewind_s, shortest
        ):
            self._retire(now)
        self.expire(now)

    @property
    def oldest_us(self) -> int | None:
        """Wall clock of the oldest segment in memory that may go; None: only the newest is left."""
        held = self.segments.held
        return held[0].pdt_us if len(held) > 1 else None

    def retire_head(self, now: float) -> None:
        """Takes the oldest segment in memory, and all before it, off the playlist.

        What was listed is served for one playlist duration more.
        """
        for _ in range(self.segments.released + 1):
            self._retire(now)

    def make_room(self, now: float) -> None:
        """Frees the memory of the oldest segment: it stays listed when it lies in the spool."""
        head = self.segments.held[0]
        if self._rules.rewind_s and (head.place is not None or head.gap):
            self._release()
            return
        self.retire_head(now)
        self._forget(self.segments.pop_retired(newest=True))

    def _retire(self, now: float) -> None:
        segment = self.segments.retire(now + self.listed_s())
        self._ticks -= segment.ticks
        if segment.released:
            self._released_ticks -= segment.ticks
        self.version += 1

    def expire(self, now: float) -> None:
        """Forgets retired segments whose time is over."""
        self._forget(self.segments.expire(now))

    def forget_oldest(self) -> bool:
        """Frees the oldest retired segment that takes memory before its time. False when there is none."""
        found = self.segments.pop_retired()
        self._forget(found)
        return bool(found)

    def _forget(self, segments: Iterable[StoredSegment]) -> None:
        for segment in segments:
            self._drop_bytes(segment)
