"""Readers that take the same bytes at the same time."""

import abc
from array import array

from appliance.runtime.fanout import FanOut
from edge.chat.dialect import PLAIN, Batch, Dialect
from edge.chat.positions import Position

_NONE = -1
NEVER_YET = float("-inf")


class Reader(abc.ABC):
    """A client's place in a room. `exact`: it asked for all since a position, so nothing is skipped for speed.

    `apart`: for now it is to be told other things than those who speak its dialect, so it keeps a cursor.
    """

    __slots__ = ("after", "apart", "audience", "cursor", "dialect", "exact", "fd", "paused", "slot")

    dialect: Dialect

    def __init__(self) -> None:
        self.audience: Audience | None = None  # none while it lags
        self.slot = 0  # place in its audience
        self.cursor = 0  # next entry it needs, while it lags
        self.after = Position(0, 0)  # what it had before the cursor
        self.exact = False
        self.apart = False
        self.dialect = PLAIN
        self.paused = False  # its socket takes no more
        self.fd = _NONE  # of its socket: nothing is buffered ahead of it while it is not paused

    @property
    def level(self) -> bool:
        """Whether it is in an audience."""
        return self.audience is not None

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
    """Readers of one dialect that have the same entries: all below `sent`, up to `position`.

    They are served in one turn of the loop, and not again before their room lets them. A frame goes straight to
    their descriptors, which lie side by side: with thousands of readers the time goes into memory that is not in
    the cache, and a transport is much of it. A reader leaves before its descriptor is closed.
    """

    __slots__ = ("_fan_out", "_fds", "_readers", "began", "cost", "dialect", "position", "sent", "told")

    def __init__(self, dialect: Dialect, fan_out: FanOut, sent: int, position: Position) -> None:
        self.dialect = dialect
        self.sent = sent
        self.position = position
        self.began = NEVER_YET  # when it was served last
        self.cost = 0.0  # seconds that took
        self.told = 0  # entries its readers got then
        self._fan_out = fan_out
        self._readers: list[Reader] = []
        self._fds = array("i")  # of the same readers

    def __len__(self) -> int:
        return len(self._readers)

    def add(self, reader: Reader) -> None:
        """Takes a reader that has what the others have."""
        reader.audience, reader.slot = self, len(self._readers)
        self._readers.append(reader)
        self._fds.append(reader.fd)

    def remove(self, reader: Reader) -> None:
        """Forgets one of its readers."""
        last, fd = self._readers.pop(), self._fds.pop()
        if last is not reader:
            self._readers[reader.slot], self._fds[reader.slot] = last, fd
            last.slot = reader.slot
        reader.audience = None

    def serve(self, frame: bytes, sent: int, position: Position) -> int:
        """Gives the frame to its readers, who have the entries below `sent` then; how many they are."""
        self.told = sent - self.sent
        self.sent, self.position = sent, position
        count = len(self._readers)
        if frame:
            unsent = self._fan_out.send(self._fds, frame)
            for reader, taken in [(self._readers[place], taken) for place, taken, _ in unsent]:
                reader.spill(memoryview(frame)[taken:] if taken else frame)  # its transport finds out what is wrong
        return count if frame else 0
