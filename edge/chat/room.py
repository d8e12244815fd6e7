"""One room: its ring, its readers, and the fan-out that gives all of them one pre-built frame."""

import abc
from collections.abc import Callable
from typing import Protocol

from edge.chat.frames import entries_frames, gap_frame
from edge.chat.metrics import FAN_OUT, Tally
from edge.chat.positions import Position
from edge.chat.ring import Entry, Ring

SLICE = 2048  # readers served in one turn of the loop
CATCH_UP_BYTES = 48 * 1024
_NONE = -1
_SOON_S = 0.0005


class Timer(Protocol):
    """The part of an event loop that a room needs."""

    def time(self) -> float:
        """Monotonic seconds."""

    def call_soon(self, callback: Callable[[], None], /) -> object:
        """Runs `callback` in the next turn."""

    def call_later(self, delay: float, callback: Callable[[], None], /) -> object:
        """Runs `callback` after `delay` seconds."""


class Reader(abc.ABC):
    """A client's place in a room. `exact`: it asked for all since a position, so nothing is skipped for speed."""

    __slots__ = ("after", "cursor", "exact", "paused", "slot")

    def __init__(self) -> None:
        self.slot = _NONE  # place in the fan-out list, or none while it lags
        self.cursor = 0  # next entry it needs, while it lags
        self.after = Position(0, 0)  # what it had before the cursor
        self.exact = False
        self.paused = False  # its socket takes no more

    @abc.abstractmethod
    def write(self, data: bytes) -> None:
        """Sends whole frames; may set `paused` before it returns."""


class Room:
    """Readers are either level (in the fan-out list) or lagging (a cursor into the ring, no queue).

    The first entry after a pause leaves at once; then there is one frame per window of max(`window_s`, twice
    the cost of the last fan-out), so that one room takes at most half a core.
    """

    def __init__(self, room_id: str, ring: Ring, timer: Timer, tally: Tally, window_s: float = 0.02) -> None:
        self.room_id = room_id
        self.ring = ring
        self.sent = ring.end  # entries below it were given to all level readers
        self.position = ring.last  # of the newest of those
        self.readers = 0
        self._timer = timer
        self._tally = tally
        self._window_s = window_s
        self._level: list[Reader | None] = []
        self._ahead: set[Reader] = set()  # have more than the level ones: entries that wait for their fan-out
        self._holes = False
        self._scheduled = False
        self._next_at = 0.0
        self._fanning = False
        self._frame = b""
        self._frame_start = 0
        self._frame_after = self.position
        self._reached = 0
        self._until = 0
        self._began = 0.0
        self._cost = 0.0
        self._waiters: dict[object, Callable[[], None]] = {}

    @property
    def in_use(self) -> bool:
        """Whether anybody reads it now."""
        return self.readers > 0 or bool(self._waiters)

    # -- entries

    def publish(self, entry: Entry) -> None:
        """Adds an entry and sees to it that it is fanned out."""
        self.ring.append(entry)
        if not self.in_use and not self._scheduled:
            self._skip()
        elif not self._scheduled:
            self._schedule()

    def _skip(self) -> None:
        """Nobody is level: there is nothing to fan out."""
        self.sent, self.position = self.ring.end, self.ring.last

    def event(self, data: bytes) -> None:
        """Adds an event that is in no log: it stands behind the newest message."""
        self.publish(Entry(self.ring.last, data, event=True))

    def _schedule(self) -> None:
        self._scheduled = True
        delay = self._next_at - self._timer.time()
        if delay > _SOON_S:
            self._timer.call_later(delay, self._fan_out)
        else:
            self._timer.call_soon(self._fan_out)

    def _fan_out(self) -> None:
        ring = self.ring
        self._frame = entries_frames(ring.entries(self.sent, ring.end))
        if self.sent < ring.first and self._level:
            self._tally.events["gap"] += 1
            self._frame = gap_frame(self.position, ring.opening(ring.first)) + self._frame
        self._frame_start, self._frame_after = self.sent, self.position
        self._skip()
        self._began, self._cost = self._timer.time(), 0.0
        self._fanning = True
        self._reached, self._until = 0, len(self._level)
        waiters, self._waiters = self._waiters, {}
        for wake in waiters.values():
            wake()
        ahead, self._ahead = self._ahead, set()
        for reader in ahead:
            self.go_on(reader)
        self._slice()

    def _slice(self) -> None:
        began = self._timer.time()
        start, self._reached = self._reached, min(self._reached + SLICE, self._until)
        frame = self._frame
        for reader in self._level[start : self._reached]:
            if reader is not None:
                reader.write(frame)
        self._cost += self._timer.time() - began
        self._tally.deliveries += self._reached - start
        if self._reached < self._until:
            self._timer.call_soon(self._slice)
        else:
            self._finish()

    def _finish(self) -> None:
        self._fanning = False
        self._frame = b""
        if self._holes:
            self._compact()
        FAN_OUT.observe(self._cost)
        self._next_at = self._began + max(self._window_s, 2 * self._cost)
        self._scheduled = False
        if self.ring.end > self.sent:
            self._schedule()

    def _compact(self) -> None:
        self._holes = False
        self._level = [reader for reader in self._level if reader is not None]
        for slot, reader in enumerate(self._level):
            assert reader is not None
            reader.slot = slot

    # -- readers

    def join(self, reader: Reader, cursor: int, *, exact: bool) -> None:
        """Takes a reader that needs everything from entry `cursor` on."""
        self.level()
        self.readers += 1
        reader.cursor, reader.exact = cursor, exact
        reader.after = self.ring.position_before(cursor)
        self.go_on(reader)

    def level(self) -> int:
        """The number up to which a reader that joins now may be given everything by its caller."""
        if not self.in_use and not self._scheduled:
            self._skip()
        return self.sent

    def had(self, reader: Reader) -> Position:
        """The position up to which a reader that joined was given everything."""
        if reader.slot == _NONE:
            return reader.after
        unserved = self._fanning and self._reached <= reader.slot < self._until
        return self._frame_after if unserved else self.position

    def leave(self, reader: Reader) -> None:
        """Forgets a reader that joined."""
        self.readers -= 1
        self._ahead.discard(reader)
        self._unlist(reader)

    def lag(self, reader: Reader) -> None:
        """The reader's socket takes no more: from here on it has a cursor."""
        if reader.slot == _NONE:
            return
        unserved = self._fanning and self._reached <= reader.slot < self._until
        reader.cursor = self._frame_start if unserved else self.sent
        reader.after = self._frame_after if unserved else self.position
        reader.exact = False
        self._unlist(reader)
        self._tally.events["slow_client"] += 1

    def _unlist(self, reader: Reader) -> None:
        slot, reader.slot = reader.slot, _NONE
        if slot == _NONE:
            return
        if self._fanning:
            self._level[slot] = None
            self._holes = True
            return
        last = self._level.pop()
        if last is not None and last is not reader:
            self._level[slot] = last
            last.slot = slot

    def go_on(self, reader: Reader) -> None:
        """Gives a lagging reader what it needs, as much as its socket takes; level again when it has all."""
        if reader.slot != _NONE:
            return
        while not reader.paused:
            if reader.cursor > self.sent:
                self._ahead.add(reader)
                return
            if reader.cursor == self.sent:
                reader.slot = len(self._level)
                self._level.append(reader)
                return
            reader.write(self._next_frames(reader))

    def _next_frames(self, reader: Reader) -> bytes:
        ring = self.ring
        start = max(reader.cursor, ring.first)
        if not reader.exact:
            start = max(start, ring.newest_bytes(self.sent, CATCH_UP_BYTES))
        gap = b""
        if start > reader.cursor:
            self._tally.events["gap"] += 1
            gap = gap_frame(reader.after, ring.opening(start))
        stop = ring.run_end(start, self.sent, CATCH_UP_BYTES)
        reader.cursor, reader.after = stop, ring.position_before(stop)
        return gap + entries_frames(ring.entries(start, stop))

    # -- those who wait for one answer

    def wait(self, key: object, wake: Callable[[], None]) -> None:
        """Calls `wake` once, when there is something new."""
        if not self.in_use and not self._scheduled:
            self._skip()
        self._waiters[key] = wake

    def stop_waiting(self, key: object) -> None:
        self._waiters.pop(key, None)
