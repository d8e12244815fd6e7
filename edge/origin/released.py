"""Segments whose bytes are only in the spool: thousands in each playlist, so each is a few numbers in one array."""

import bisect
import struct
from collections import deque

from appliance.contracts.spool import SegmentFlag
from edge.origin.stored import Place, StoredSegment

_RECORD = struct.Struct("<qqqqqiiiB")  # msn, init, pdt_us, ticks; offset, volume, size, key_size; flags
_SIZE = _RECORD.size
_PLACED = 8  # a flag besides SegmentFlag's: gaps may lie nowhere


class ReleasedSegments:
    """A queue of released segments, their numbers rising; 53 bytes each.

    What it gives are copies: one that changed is given back with `replace`.
    """

    __slots__ = ("_records",)

    def __init__(self) -> None:
        self._records = bytearray()

    def __len__(self) -> int:
        return len(self._records) // _SIZE

    def __getitem__(self, index: int) -> StoredSegment:
        """By its place in the queue, from 0 on."""
        return _unpacked(_RECORD.unpack_from(self._records, index * _SIZE))

    def append(self, segment: StoredSegment) -> None:
        self._records += _packed(segment)

    def replace(self, segment: StoredSegment) -> None:
        """Another one of the same number."""
        at = self._at(segment.msn) * _SIZE
        self._records[at : at + _SIZE] = _packed(segment)

    def popleft(self) -> StoredSegment:
        segment = self[0]
        del self._records[:_SIZE]
        return segment

    def pop(self) -> StoredSegment:
        segment = self[len(self) - 1]
        del self._records[-_SIZE:]
        return segment

    def clear(self) -> None:
        self._records.clear()

    def find(self, msn: int) -> StoredSegment | None:
        """The one of that number."""
        at = self._at(msn)
        return self[at] if at < len(self) and self._msn(at) == msn else None

    def _at(self, msn: int) -> int:
        return bisect.bisect_left(range(len(self)), msn, key=self._msn)

    def _msn(self, index: int) -> int:
        return int.from_bytes(self._records[index * _SIZE : index * _SIZE + 8], "little", signed=True)


def _packed(segment: StoredSegment) -> bytes:
    flags = segment.gap * SegmentFlag.GAP.value | segment.holed * SegmentFlag.HOLED.value
    flags |= segment.discontinuity * SegmentFlag.DISCONTINUITY.value
    place = segment.place
    if place is None:
        return _RECORD.pack(segment.msn, segment.init, segment.pdt_us, segment.ticks, 0, 0, 0, 0, flags)
    return _RECORD.pack(
        segment.msn,
        segment.init,
        segment.pdt_us,
        segment.ticks,
        place.offset,
        place.volume,
        place.size,
        place.key_size,
        flags | _PLACED,
    )


def _unpacked(record: tuple[int, ...]) -> StoredSegment:
    msn, init, pdt_us, ticks, offset, volume, size, key_size, flags = record
    return StoredSegment(
        msn,
        init,
        pdt_us,
        bool(flags & SegmentFlag.DISCONTINUITY.value),
        gap=bool(flags & SegmentFlag.GAP.value),
        ticks=ticks,
        complete=True,
        holed=bool(flags & SegmentFlag.HOLED.value),
        released=True,
        place=Place(volume, offset, size, key_size) if flags & _PLACED else None,
    )


class RetiredSegments:
    """Segments that are listed no more, each served until its time is over; none goes before an older one."""

    __slots__ = ("_held", "_latest", "_released", "_until")

    def __init__(self) -> None:
        self._held: deque[tuple[float, StoredSegment]] = deque()
        self._released = ReleasedSegments()
        self._until: deque[float] = deque()  # of those released
        self._latest = 0.0

    def add(self, segment: StoredSegment, until: float) -> None:
        """Served until `until`, monotonic seconds."""
        until = self._latest = max(until, self._latest)
        if segment.released:
            self._released.append(segment)
            self._until.append(until)
        else:
            self._held.append((until, segment))

    def find_released(self, msn: int) -> StoredSegment | None:
        """One of those whose bytes are in the spool."""
        return self._released.find(msn)

    def release(self, msn: int) -> StoredSegment | None:
        """The one of that number takes memory and lies in the spool as well: it is served from there from now on.

        None when there is no such one, or newer ones were released before it.
        """
        count = len(self._released)
        if count and self._released[count - 1].msn > msn:
            return None
        for index, (until, segment) in enumerate(self._held):
            if segment.msn == msn and segment.place is not None:
                del self._held[index]
                segment.released = True
                self._released.append(segment)
                self._until.append(until)
                return segment
        return None

    def expire(self, now: float) -> list[StoredSegment]:
        """Removes those whose time is over; gives those of them that take memory."""
        while self._until and self._until[0] <= now:
            self._until.popleft()
            self._released.popleft()
        expired = []
        while self._held and self._held[0][0] <= now:
            expired.append(self._held.popleft()[1])
        return expired

    def pop_oldest(self) -> StoredSegment | None:
        """The oldest that takes memory, before its time."""
        for index, (_, segment) in enumerate(self._held):
            if segment.size:
                del self._held[index]
                return segment
        return None

    def pop_newest(self) -> StoredSegment | None:
        """The newest that takes memory, before its time."""
        return self._held.pop()[1] if self._held else None
