"""One room: its ring, its readers, and the fan-out that gives all of them one pre-built frame."""

from collections.abc import Callable
from typing import Protocol

from appliance.runtime.fanout import FanOut
from edge.chat.audience import Audience, Reader
from edge.chat.dialect import Batch, Dialect
from edge.chat.metrics import FAN_OUT, Tally
from edge.chat.positions import Position
from edge.chat.ring import Entry, Ring

SLICE = 2048  # readers served in one turn of the loop
CATCH_UP_BYTES = 48 * 1024
_SOON_S = 0.0005


class Timer(Protocol):
    """The part of an event loop that a room needs."""

    def time(self) -> float:
        """Monotonic seconds."""

    def call_soon(self, callback: Callable[[], None], /) -> object:
        """Runs `callback` in the next turn."""

    def call_later(self, delay: float, callback: Callable[[], None], /) -> object:
        """Runs `callback` after `delay` seconds."""


class Room:
    """Readers are either level (in an audience) or lagging (a cursor into the ring, no queue).

    The first entry after a pause leaves at once; then there is one frame per window of max(`window_s`, twice
    the cost of the last fan-out), so that one room takes at most half a core. There is an audience for each
    dialect that a level reader speaks.
    """

    def __init__(
        self, room_id: str, ring: Ring, timer: Timer, tally: Tally, fan_out: FanOut, window_s: float = 0.02
    ) -> None:
        self.room_id = room_id
        self.ring = ring
        self.sent = ring.end  # entries below it were given to all level readers
        self.position = ring.last  # of the newest of those
        self.readers = 0
        self._timer = timer
        self._tally = tally
        self._sockets = fan_out
        self._window_s = window_s
        self._audiences: dict[Dialect, Audience] = {}
        self._serving: list[tuple[Audience, bytes]] = []  # of the fan-out under way
        self._ahead: set[Reader] = set()  # need nothing before the next fan-out, and are not level
        self._scheduled = False
        self._next_at = 0.0
        self._frame_start = 0
        self._frame_after = self.position
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
        self._began = self._timer.time()
        self._build(Batch(ring.entries(self.sent, ring.end)))
        self._frame_start, self._frame_after = self.sent, self.position
        self._skip()
        for audience, _ in self._serving:
            audience.begin()
        self._cost = self._timer.time() - self._began
        waiters, self._waiters = self._waiters, {}
        for wake in waiters.values():
            wake()
        ahead, self._ahead = self._ahead, set()
        for reader in ahead:
            self.go_on(reader)
        self._slice()

    def _build(self, batch: Batch) -> None:
        """What all level readers get; those who are told nothing are not served."""
        self._audiences = {dialect: audience for dialect, audience in self._audiences.items() if len(audience)}
        has_gap = self.sent < self.ring.first and bool(self._audiences)
        if has_gap:
            self._tally.events["gap"] += 1
        for dialect, audience in self._audiences.items():
            frame = dialect.render(batch)
            if has_gap:
                frame = dialect.gap(self.position, self.ring.opening(self.ring.first)) + frame
            if frame:
                self._serving.append((audience, frame))

    def _slice(self) -> None:
        began = self._timer.time()
        served = 0
        for audience, frame in self._serving:
            served += audience.serve(frame, SLICE - served)
        self._cost += self._timer.time() - began
        self._tally.deliveries += served
        if any(audience.left for audience, _ in self._serving):
            self._timer.call_soon(self._slice)
        else:
            self._finish()

    def _finish(self) -> None:
        for audience, _ in self._serving:
            audience.finish()
        self._serving = []
        FAN_OUT.observe(self._cost)
        self._next_at = self._began + max(self._window_s, 2 * self._cost)
        self._scheduled = False
        if self.ring.end > self.sent:
            self._schedule()

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

    def _audience(self, reader: Reader) -> Audience:
        audience = self._audiences.get(reader.dialect)
        if audience is None:
            audience = self._audiences[reader.dialect] = Audience(self._sockets)
        return audience

    def had(self, reader: Reader) -> Position:
        """The position up to which a reader that joined was given everything."""
        if not reader.level:
            return reader.after
        return self._frame_after if self._audience(reader).unserved(reader) else self.position

    def leave(self, reader: Reader) -> None:
        """Forgets a reader that joined."""
        self.readers -= 1
        self._ahead.discard(reader)
        self._audience(reader).remove(reader)

    def lag(self, reader: Reader) -> None:
        """The reader's socket takes no more: from here on it has a cursor."""
        if reader.level:
            self._fall_back(reader)
            self._tally.events["slow_client"] += 1

    def set_apart(self, reader: Reader) -> None:
        """From here on the reader is told things by itself, until its `apart` is taken back."""
        reader.apart = True
        if reader.level:
            self._fall_back(reader)
            self.go_on(reader)

    def speak(self, reader: Reader, dialect: Dialect) -> None:
        """The reader goes on in another dialect."""
        was_level = reader.level
        if was_level:
            self._fall_back(reader)
        reader.dialect = dialect
        if was_level:
            self.go_on(reader)

    def _fall_back(self, reader: Reader) -> None:
        audience = self._audience(reader)
        unserved = audience.unserved(reader)
        reader.cursor = self._frame_start if unserved else self.sent
        reader.after = self._frame_after if unserved else self.position
        reader.exact = False
        audience.remove(reader)

    def go_on(self, reader: Reader) -> None:
        """Gives a lagging reader what it needs, as much as its socket takes; level again when it has all."""
        if reader.level:
            return
        while not reader.paused:
            if reader.cursor > self.sent or (reader.apart and reader.cursor == self.sent):
                self._ahead.add(reader)
                return
            if reader.cursor == self.sent:
                self._audience(reader).add(reader)
                return
            frames = self._next_frames(reader)
            if frames:
                reader.write(frames)

    def _next_frames(self, reader: Reader) -> bytes:
        ring = self.ring
        start = max(reader.cursor, ring.first)
        if not reader.exact:
            start = max(start, ring.newest_bytes(self.sent, CATCH_UP_BYTES))
        gap = b""
        if start > reader.cursor:
            self._tally.events["gap"] += 1
            gap = reader.dialect.gap(reader.after, ring.opening(start))
        stop = ring.run_end(start, self.sent, CATCH_UP_BYTES)
        reader.cursor, reader.after = stop, ring.position_before(stop)
        return gap + reader.render(Batch(ring.entries(start, stop)))

    # -- those who wait for one answer

    def wait(self, key: object, wake: Callable[[], None]) -> None:
        """Calls `wake` once, when there is something new."""
        if not self.in_use and not self._scheduled:
            self._skip()
        self._waiters[key] = wake

    def stop_waiting(self, key: object) -> None:
        self._waiters.pop(key, None)
