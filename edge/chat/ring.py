"""The newest messages of a room, bounded in bytes, shared by all who read it."""

from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple

from edge.chat.positions import Position

RING_BYTES = 256 * 1024
_EMPTY = 4096  # entries without content that are kept, so that numbers go on


class Entry(NamedTuple):
    """A message as JSON at its position, or an event: a whole document that stands behind `position`.

    An event without data is where a message stood that is gone.
    """

    position: Position
    data: bytes
    event: bool = False


class Ring:
    """Entries are numbered in order of arrival; a reader's cursor is the number of the next one it needs.

    `first` is the oldest number held and `end` the next to be given. Everything behind `floor` is here;
    `last` is the newest position. Positions never go back except by `reset`.
    """

    __slots__ = ("_capacity", "_entries", "bytes", "end", "first", "floor", "last")

    def __init__(self, floor: Position, capacity: int = RING_BYTES) -> None:
        self._entries: deque[Entry] = deque()
        self._capacity = capacity
        self.floor = floor
        self.last = floor
        self.first = 0
        self.end = 0
        self.bytes = 0

    def append(self, entry: Entry) -> None:
        """Adds the newest entry; the oldest ones leave when there is no more space."""
        self._entries.append(entry)
        self.end += 1
        self.last = entry.position
        self.bytes += len(entry.data)
        while self.bytes > self._capacity and len(self._entries) > 1:
            gone = self._entries.popleft()
            self.first += 1
            self.bytes -= len(gone.data)
            self.floor = gone.position

    def reset(self, floor: Position) -> None:
        """Forgets everything: the log was made anew and positions start over."""
        self._entries.clear()
        self.first = self.end
        self.bytes = 0
        self.floor = self.last = floor

    def redact(self, left: Callable[[bytes], bytes]) -> int:
        """Replaces messages by what is `left` of them; how many go altogether. Numbers and positions stay."""
        count = 0
        kept: deque[Entry] = deque()
        for entry in self._entries:
            data = entry.data if entry.event else left(entry.data)
            self.bytes -= len(entry.data) - len(data)
            if data or entry.event:
                kept.append(entry._replace(data=data))
                continue
            count += 1
            kept.append(Entry(entry.position, b"", event=True))
        self._entries = kept
        while len(kept) > _EMPTY and not kept[0].data:
            self.floor = kept.popleft().position
            self.first += 1
        return count

    def number_after(self, position: Position) -> int:
        """Number of the first entry behind `position`."""
        low, high = 0, len(self._entries)
        while low < high:
            middle = (low + high) // 2
            if self._entries[middle].position > position:
                high = middle
            else:
                low = middle + 1
        return self.first + low

    def position_before(self, number: int) -> Position:
        """The position of the entry ahead of `number`."""
        return self._entries[number - 1 - self.first].position if number > self.first else self.floor

    def opening(self, number: int) -> Position:
        """A position ahead of which everything is older than entry `number`."""
        if number >= self.end:
            return self.last.next
        entry = self._entries[number - self.first]
        return entry.position.next if entry.event else entry.position

    def entries(self, start: int, stop: int) -> Sequence[Entry]:
        """Those numbered start..stop-1 as far as they are here and not gone."""
        start, stop = max(start, self.first), min(stop, self.end)
        if stop - start <= 8:  # the usual fan-out: the newest few
            found = [self._entries[number - self.first] for number in range(start, stop)]
        else:
            found = list(islice(self._entries, start - self.first, stop - self.first))
        return [entry for entry in found if entry.data]

    def newest(self, stop: int, limit: int) -> int:
        """The number from which there are at most `limit` messages up to `stop`."""
        number = stop
        while number > self.first and limit > 0:
            number -= 1
            limit -= not self._entries[number - self.first].event
        return number

    def newest_bytes(self, stop: int, size: int) -> int:
        """The number from which there are at most `size` bytes up to `stop`."""
        number = stop
        while number > self.first:
            size -= len(self._entries[number - 1 - self.first].data)
            if size < 0:
                break
            number -= 1
        return number

    def run_end(self, start: int, stop: int, size: int) -> int:
        """The number up to which entries from `start` fit in `size` bytes; at least one is taken."""
        number = start
        while number < stop:
            size -= len(self._entries[number - self.first].data)
            if size < 0 and number > start:
                break
            number += 1
        return number
