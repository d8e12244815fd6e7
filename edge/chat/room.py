"""One room: its ring, its readers, and the fan-out that gives many of them one pre-built frame."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from appliance.runtime.fanout import FanOut
from edge.chat.audience import Audience, Reader
from edge.chat.dialect import Batch, Dialect
from edge.chat.frames import Says, entries_frames
from edge.chat.metrics import FAN_OUT, Tally
from edge.chat.positions import Position
from edge.chat.ring import Entry, Ring
from edge.chat.told import Told

SLICE = 1024  # readers served in one turn of the loop: about ten milliseconds
CATCH_UP_BYTES = 48 * 1024
_SOON_S = 0.0005
_CALM_SPREAD, _SPREAD = 1.0, 1.9  # times its cost that pass from one fan-out to the next: all of a core, or half
_SPREAD_EACH = 0.1  # for each entry of the one before: it is worth waiting where much is said together


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

    The first entry after a pause leaves at once; then an audience gets one frame per window of max(`window_s`,
    once to about twice what all audiences cost). In a calm room, whose frames have an entry or two, nothing waits
    for what is said next; the more there is to say together the longer it waits, until one room takes about half a
    core. An audience has at most SLICE readers and a window of its own: in a large room they take turns, and each
    gets what is newest then.
    """

    def __init__(
        self,
        room_id: str,
        ring: Ring,
        timer: Timer,
        tally: Tally,
        fan_out: FanOut,
        window_s: float = 0.02,
        says: Says = str,
    ) -> None:
        self.room_id = room_id
        self.told = Told()
        self.gone: dict[tuple[int, bool], bytes] = {}  # what was taken away, as those who come back are told it
        self._says = says
        self.ring = ring
        self.readers = 0
        self._sent = ring.end  # entries below it were given to somebody, or there was nobody
        self._position = ring.last  # of the newest of those
        self._timer = timer
        self._tally = tally
        self._sockets = fan_out
        self._window_s = window_s
        self._audiences: list[Audience] = []
        self._seats: dict[Dialect, Audience] = {}  # where a reader may sit down
        self._ahead: set[Reader] = set()  # need nothing before the next turn, and are not level
        self._scheduled = False
        self._began = 0.0  # the last turn
        self._rendered = Rendered(ring, says)
        self._waiters: dict[object, Callable[[], None]] = {}
        self._recent: Recent | None = None  # what the last one that came was told

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
        """Nobody reads: there is nothing to fan out."""
        self._sent, self._position = self.ring.end, self.ring.last
        self._audiences.clear()
        self._seats.clear()

    def event(self, data: bytes) -> None:
        """Adds an event that is in no log: it stands behind the newest message."""
        self.publish(Entry(self.ring.last, data, event=True))

    def hide(self, left: Callable[[bytes], bytes]) -> None:
        """Leaves of the messages in the ring what `left` says."""
        self.ring.redact(left)
        self._forget()

    def reset(self, floor: Position) -> None:
        """The log was made anew: positions start over."""
        self.ring.reset(floor)
        self._forget()

    def _forget(self) -> None:
        self._rendered.forget()
        self._recent = None
        self.gone.clear()

    # -- turns

    def _window(self) -> float:
        told = max((audience.told for audience in self._audiences), default=0)
        spread = min(_SPREAD, _CALM_SPREAD + _SPREAD_EACH * told)
        return max(self._window_s, spread * sum(audience.cost for audience in self._audiences))

    def _schedule(self) -> None:
        """The next turn, when there is something that somebody lacks."""
        behind = [audience.began for audience in self._audiences if audience.sent < self.ring.end]
        if not behind and self._sent >= self.ring.end:
            self._rendered.forget()
            return
        began = min(behind) if behind else self._began
        self._scheduled = True
        delay = began + self._window() - self._timer.time()
        if delay > _SOON_S:
            self._timer.call_later(delay, self._turn)
        else:
            self._timer.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        self._audiences = [audience for audience in self._audiences if len(audience)]
        self._seats.clear()
        self._began = self._timer.time()
        self._sent, self._position = self.ring.end, self.ring.last
        self._serve()
        waiters, self._waiters = self._waiters, {}
        for wake in waiters.values():
            wake()
        ahead, self._ahead = self._ahead, set()
        for reader in ahead:
            self.go_on(reader)
        self._schedule()

    def _serve(self) -> None:
        """Those who have waited longest, of those whose window is over."""
        before = self._began - self._window() + _SOON_S
        due = [one for one in self._audiences if one.sent < self.ring.end and one.began <= before]
        served, began = 0, self._began
        for audience in sorted(due, key=_last_served):
            if served and served + len(audience) > SLICE:
                break
            audience.began = began
            served += len(audience)
            frame = self._frame(audience)
            self._tally.deliveries += audience.serve(frame, self._sent, self._position)
            began = self._timer.time()
            audience.cost = began - audience.began
        if served:
            FAN_OUT.observe(began - self._began)

    def _frame(self, audience: Audience) -> bytes:
        """What its readers lack; nothing where they are told nothing."""
        gap = b""
        if audience.sent < self.ring.first:
            self._tally.events["gap"] += 1
            opening = self.ring.opening(self.ring.first)
            gap = audience.dialect.gap(self._says(audience.position), self._says(opening))
        frame = self._rendered.since(audience.sent, audience.dialect)
        return gap + frame if gap else frame

    # -- readers

    def join(self, reader: Reader, cursor: int, *, exact: bool) -> None:
        """Takes a reader that needs everything from entry `cursor` on."""
        if not self.in_use and not self._scheduled:
            self._skip()
        self.readers += 1
        reader.cursor, reader.exact = cursor, exact
        reader.after = self.ring.position_before(cursor)
        self.go_on(reader)

    def level(self, reader: Reader) -> int:
        """The number up to which a reader that joins now may be given everything by its caller."""
        if not self.in_use and not self._scheduled:
            self._skip()
        return self._seat(reader).sent

    def recent(self, stop: int, limit: int) -> "Recent":
        """At most `limit` messages ahead of entry `stop`, for one who comes."""
        if self._recent is None or (self._recent.stop, self._recent.limit) != (stop, limit):
            self._recent = _recent(self.ring, stop, limit, self._says)
        return self._recent

    def _seat(self, reader: Reader) -> Audience:
        """The audience in which there is a place for it."""
        seat = self._seats.get(reader.dialect)
        if seat is None or len(seat) >= SLICE:
            seat = next(
                (one for one in self._audiences if one.dialect == reader.dialect and len(one) < SLICE), None
            )
            if seat is None:
                seat = Audience(reader.dialect, self._sockets, self._sent, self._position)
                self._audiences.append(seat)
            self._seats[reader.dialect] = seat
        return seat

    def had(self, reader: Reader) -> Position:
        """The position up to which a reader that joined was given everything."""
        return reader.after if reader.audience is None else reader.audience.position

    def leave(self, reader: Reader) -> None:
        """Forgets a reader that joined."""
        self.readers -= 1
        if not self.readers:
            self._recent = None
        self._ahead.discard(reader)
        if reader.audience is not None:
            reader.audience.remove(reader)

    def lag(self, reader: Reader) -> None:
        """The reader's socket takes no more: from here on it has a cursor."""
        if reader.audience is not None:
            self._fall_back(reader, reader.audience)
            self._tally.events["slow_client"] += 1

    def set_apart(self, reader: Reader) -> None:
        """From here on the reader is told things by itself, until its `apart` is taken back."""
        reader.apart = True
        if reader.audience is not None:
            self._fall_back(reader, reader.audience)
            self.go_on(reader)

    def speak(self, reader: Reader, dialect: Dialect) -> None:
        """The reader goes on in another dialect."""
        audience = reader.audience
        if audience is not None:
            self._fall_back(reader, audience)
        reader.dialect = dialect
        if audience is not None:
            self.go_on(reader)

    def _fall_back(self, reader: Reader, audience: Audience) -> None:
        reader.cursor, reader.after = audience.sent, audience.position
        reader.exact = False
        audience.remove(reader)

    def go_on(self, reader: Reader) -> None:
        """Gives a lagging reader what it needs, as much as its socket takes; level again when it has all."""
        while not reader.paused and not reader.level:
            seat = None if reader.apart else self._seat(reader)
            goal = self._sent if seat is None else seat.sent
            if reader.cursor < goal:
                frames = self._next_frames(reader, goal)
                if frames:
                    reader.write(frames)
            elif seat is None or reader.cursor > goal:
                self._ahead.add(reader)
                return
            else:
                seat.add(reader)

    def _next_frames(self, reader: Reader, goal: int) -> bytes:
        ring = self.ring
        start = max(reader.cursor, ring.first)
        if not reader.exact:
            start = max(start, ring.newest_bytes(goal, CATCH_UP_BYTES))
        gap = b""
        if start > reader.cursor:
            self._tally.events["gap"] += 1
            gap = reader.dialect.gap(self._says(reader.after), self._says(ring.opening(start)))
        stop = ring.run_end(start, goal, CATCH_UP_BYTES)
        reader.cursor, reader.after = stop, ring.position_before(stop)
        return gap + reader.render(Batch(ring.entries(start, stop), self._says))

    # -- those who wait for one answer

    def wait(self, key: object, wake: Callable[[], None]) -> None:
        """Calls `wake` once, when there is something new."""
        if not self.in_use and not self._scheduled:
            self._skip()
        self._waiters[key] = wake

    def stop_waiting(self, key: object) -> None:
        self._waiters.pop(key, None)


class Recent(NamedTuple):
    """The messages from behind `after` to ahead of entry `stop`, at most `limit` of them: `said` is their number,
    `first` the oldest as JSON."""

    stop: int
    limit: int
    after: Position
    frames: bytes
    said: int
    first: bytes


def _recent(ring: Ring, stop: int, limit: int, says: Says) -> Recent:
    start = max(ring.newest(stop, limit), ring.newest_bytes(stop, CATCH_UP_BYTES))
    found = [entry for entry in ring.entries(start, stop) if not entry.event]
    first = found[0].data if found else b""
    return Recent(stop, limit, ring.position_before(start), entries_frames(found, says), len(found), first)


class Rendered:
    """What was made of a ring's newest entries, until there are newer ones or some are gone."""

    __slots__ = ("_batches", "_end", "_frames", "_ring", "_says")

    def __init__(self, ring: Ring, says: Says) -> None:
        self._ring = ring
        self._says = says
        self._end = ring.end
        self._batches: dict[int, Batch] = {}
        self._frames: dict[tuple[int, Dialect], bytes] = {}

    def forget(self) -> None:
        """Makes it anew when it is needed."""
        self._batches.clear()
        self._frames.clear()

    def since(self, start: int, dialect: Dialect) -> bytes:
        """All entries from `start` on, said in `dialect`."""
        if self._end != self._ring.end:
            self.forget()
            self._end = self._ring.end
        frame = self._frames.get((start, dialect))
        if frame is None:
            batch = self._batches.get(start)
            if batch is None:
                batch = self._batches[start] = Batch(self._ring.entries(start, self._end), self._says)
            frame = self._frames[start, dialect] = dialect.render(batch)
        return frame


def _last_served(audience: Audience) -> float:
    return audience.began
