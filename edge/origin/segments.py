"""The segments of a playlist as one row: older ones are released, then come those in memory.

All of them are found by their numbers as well, and so are those that are listed no more but still served.
"""

from collections import deque
from collections.abc import Iterator

from edge.origin.released import ReleasedSegments, RetiredSegments
from edge.origin.stored import Place, StoredSegment


class SegmentRow:
    """What is released comes as a copy, which is good for reading only."""

    __slots__ = ("_by_msn", "_held", "_released", "_retired")

    def __init__(self) -> None:
        self._released = ReleasedSegments()
        self._held: deque[StoredSegment] = deque()
        self._retired = RetiredSegments()
        self._by_msn: dict[int, StoredSegment] = {}  # those in memory, listed or retired

    def __len__(self) -> int:
        return len(self._released) + len(self._held)

    def __getitem__(self, index: int) -> StoredSegment:
        released = len(self._released)
        if index < 0:
            index += released + len(self._held)
        return self._released[index] if index < released else self._held[index - released]

    def __iter__(self) -> Iterator[StoredSegment]:
        return self.span(0, len(self))

    def __reversed__(self) -> Iterator[StoredSegment]:
        yield from reversed(self._held)
        for index in range(len(self._released) - 1, -1, -1):
            yield self._released[index]

    def span(self, first: int, end: int) -> Iterator[StoredSegment]:
        """Those from index `first` to before `end`."""
        return (self[index] for index in range(first, min(end, len(self))))

    @property
    def released(self) -> int:
        """How many at the head are released."""
        return len(self._released)

    @property
    def held(self) -> deque[StoredSegment]:
        """Those in memory."""
        return self._held

    def find(self, msn: int) -> StoredSegment | None:
        """The one of that number, also where it is listed no more but still served."""
        return self._by_msn.get(msn) or self._released.find(msn) or self._retired.find_released(msn)

    def locate(self, msn: int, place: Place) -> bool:
        """Where a segment lies in the spool. False when there is no such one."""
        segment = self.find(msn)
        if segment is not None and segment.place is None:
            segment.place = place
            if self._released.find(msn) is not None:
                self._released.replace(segment)
        return segment is not None

    def append(self, segment: StoredSegment) -> None:
        """A new one behind all others: of those that are released only while none is in memory."""
        if segment.released:
            self._released.append(segment)
        else:
            self._held.append(segment)
            self._by_msn[segment.msn] = segment

    def release(self) -> StoredSegment:
        """The oldest in memory is released from now on."""
        segment = self._held.popleft()
        del self._by_msn[segment.msn]
        segment.released = True
        self._released.append(segment)
        return segment

    def pop(self) -> StoredSegment:
        """Removes the newest."""
        if not self._held:
            return self._released.pop()
        segment = self._held.pop()
        del self._by_msn[segment.msn]
        return segment

    def clear(self) -> list[StoredSegment]:
        """Removes all that are listed; gives those that were in memory."""
        held = list(self._held)
        self._released.clear()
        self._held.clear()
        for segment in held:
            del self._by_msn[segment.msn]
        return held

    # -- what is listed no more

    def retire(self, until: float) -> StoredSegment:
        """Takes the oldest off the list. It is served until `until`, monotonic seconds."""
        segment = self._released.popleft() if self._released else self._held.popleft()
        self._retired.add(segment, until)
        return segment

    def release_retired(self, msn: int) -> list[StoredSegment]:
        """The retired one of that number is released, where it takes memory and lies in the spool; gives it."""
        found = self._retired.release(msn)
        return self._gone([] if found is None else [found])

    def expire(self, now: float) -> list[StoredSegment]:
        """Removes those whose time is over; gives those of them that were in memory."""
        return self._gone(self._retired.expire(now))

    def pop_retired(self, *, newest: bool = False) -> list[StoredSegment]:
        """Removes the oldest retired one that takes memory, or the newest; gives it, where there is one."""
        found = self._retired.pop_newest() if newest else self._retired.pop_oldest()
        return self._gone([] if found is None else [found])

    def _gone(self, segments: list[StoredSegment]) -> list[StoredSegment]:
        for segment in segments:
            del self._by_msn[segment.msn]
        return segments
