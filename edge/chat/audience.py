"""Readers that take the same bytes at the same time."""

import abc
from collections.abc import Callable

from edge.chat.positions import Position

_NONE = -1

Send = Callable[[bytes], None]


class Reader(abc.ABC):
    """A client's place in a room. `exact`: it asked for all since a position, so nothing is skipped for speed."""

    __slots__ = ("after", "cursor", "deflated", "exact", "paused", "send", "slot")

    send: Send

    def __init__(self) -> None:
        self.slot = _NONE  # place in its audience, or none while it lags
        self.cursor = 0  # next entry it needs, while it lags
        self.after = Position(0, 0)  # what it had before the cursor
        self.exact = False
        self.deflated = False  # it takes compressed frames
        self.paused = False  # its socket takes no more
        self.send = self.write  # the shortest way to its socket, for as long as it is not paused

    @property
    def level(self) -> bool:
        """Whether it is in its audience."""
        return self.slot != _NONE

    @abc.abstractmethod
    def write(self, data: bytes) -> None:
        """Sends whole frames; may set `paused` before it returns."""


class Audience:
    """In order of arrival. Between `begin` and `finish` a fan-out is under way: it is for those who were there
    when it began, and who leaves meanwhile leaves a hole."""

    __slots__ = ("_fanning", "_holes", "_reached", "_readers", "_sends", "_until")

    def __init__(self) -> None:
        self._readers: list[Reader | None] = []
        self._sends: list[Send] = []  # of the same readers: the fan-out touches nothing else of them
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
        self._sends.append(reader.send)

    def remove(self, reader: Reader) -> None:
        """Forgets a reader, if it is here."""
        slot, reader.slot = reader.slot, _NONE
        if slot == _NONE:
            return
        if self._fanning:
            self._readers[slot] = None
            self._sends[slot] = _nowhere
            self._holes = True
            return
        last, send = self._readers.pop(), self._sends.pop()
        if last is not None and last is not reader:
            self._readers[slot], self._sends[slot] = last, send
            last.slot = slot

    def unserved(self, reader: Reader) -> bool:
        """Whether the fan-out under way is still to come to it."""
        return self._fanning and self._reached <= reader.slot < self._until

    # -- a fan-out

    def begin(self) -> None:
        self._fanning = True
        self._reached, self._until = 0, len(self._readers)

    def next_slice(self, most: int) -> list[Send]:
        """The next readers; they count as served."""
        start = self._reached
        self._reached = min(start + most, self._until)
        return self._sends[start : self._reached]

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
        self._readers, self._sends = [], []
        for reader in kept:
            self.add(reader)


def _nowhere(data: bytes) -> None:
    """Where a reader was."""
