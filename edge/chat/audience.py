"""Readers that take the same bytes at the same time."""

import abc
from array import array

from appliance.runtime.fanout import FanOut
from edge.chat.dialect import PLAIN, Batch, Dialect
from edge.chat.positions import Position

_NONE = -1


class Reader(abc.ABC):
    """A client's place in a room. `exact`: it asked for all since a position, so nothing is skipped for speed.

    `apart`: for now it is to be told other things than those who speak its dialect, so it keeps a cursor.
    """

    __slots__ = ("after", "apart", "cursor", "dialect", "exact", "fd", "paused", "slot")

    dialect: Dialect

    def __init__(self) -> None:
        self.slot = _NONE  # place in its audience, or none while it lags
        self.cursor = 0  # next entry it needs, while it lags
        self.after = Position(0, 0)  # what it had before the cursor
        self.exact = False
        self.apart = False
        self.dialect = PLAIN
        self.paused = False  # its socket takes no more
        self.fd = _NONE  # of its socket: nothing is buffered ahead of it while it is not paused

    @property
    def level(self) -> bool:
        """Whether it is in its audience."""
        return self.slot != _NONE

    def render(self, batch: Batch) -> bytes:
        """What a reader that is not level is told of the entries."""
        return self.dialect.render(batch)

    @abc.abstractmethod
    def write(self, data: bytes | memoryview) -> None:
        """Sends whole frames; may set `paused` before it returns."""

    @abc.abstractmethod
    def spill(self, data: bytes | memoryview) -> None:
        """Sends what the socket did not take of a fan-out: all of it or its end. May set `paused`."""


class Audience:
    """In order of arrival. Between `begin` and `finish` a fan-out is under way: it is for those who were there
    when it began, and who leaves meanwhile leaves a hole.

    The frame goes straight to the descriptors, which lie side by side: with thousands of readers the time goes
    into memory that is not in the cache, and a transport is much of it. A reader leaves before its descriptor is
    closed.
    """

    __slots__ = ("_fan_out", "_fanning", "_fds", "_holes", "_reached", "_readers", "_until")

    def __init__(self, fan_out: FanOut) -> None:
        self._fan_out = fan_out
        self._readers: list[Reader | None] = []
        self._fds = array("i")  # of the same readers
        self._fanning = False
        self._holes = False
        self._reached = 0
        self._until = 0

    def __len__(self) -> int:
        return len(self._readers)

    def add(self, reader: Reader) -> None:
        """Takes a reader that has everything."""
        reader.slot = len(self._readers)
        self._readers.append(reader)
        self._fds.append(reader.fd)

    def remove(self, reader: Reader) -> None:
        """Forgets a reader, if it is here."""
        slot, reader.slot = reader.slot, _NONE
        if slot == _NONE:
            return
        if self._fanning:
            self._readers[slot] = None
            self._fds[slot] = _NONE
            self._holes = True
            return
        last, fd = self._readers.pop(), self._fds.pop()
        if last is not None and last is not reader:
            self._readers[slot], self._fds[slot] = last, fd
            last.slot = slot

    def unserved(self, reader: Reader) -> bool:
        """Whether the fan-out under way is still to come to it."""
        return self._fanning and self._reached <= reader.slot < self._until

    # -- a fan-out

    def begin(self) -> None:
        self._fanning = True
        self._reached, self._until = 0, len(self._readers)

    def serve(self, frame: bytes, most: int) -> int:
        """Gives the frame to the next readers; how many."""
        start = self._reached
        self._reached = min(start + most, self._until)
        for place, taken, _ in self._fan_out.send(self._fds[start : self._reached], frame):
            reader = self._readers[start + place]
            if reader is not None:  # full, or no more: the transport finds out which
                reader.spill(memoryview(frame)[taken:] if taken else frame)
        return self._reached - start

    @property
    def left(self) -> bool:
        """Whether there are readers to come."""
        return self._reached < self._until

    def finish(self) -> None:
        """Closes the holes."""
        self._fanning = False
        if not self._holes:
            return
        self._holes = False
        kept = [reader for reader in self._readers if reader is not None]
        self._readers, self._fds = [], array("i")
        for reader in kept:
            self.add(reader)
