"""A room with readers that write to /dev/null: what the room's own work costs, whatever their number."""

import heapq
import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from appliance.runtime.fanout import EachFanOut
from edge.chat.audience import Reader
from edge.chat.metrics import Tally
from edge.chat.positions import Position
from edge.chat.ring import Entry, Ring
from edge.chat.room import Room

_MESSAGES = 50
_MESSAGE = b'{"message":"%b"}' % (b"x" * 300)


class Costs(NamedTuple):
    """CPU microseconds of a delivery and of a join; milliseconds of the longest turn."""

    each_us: float
    join_us: float
    slice_ms: float


class _Turns:
    """A loop that does one thing after the other and remembers how long each took."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._ahead = 0.0

    def time(self) -> float:
        return time.perf_counter() + self._ahead

    def call_soon(self, callback: Callable[[], None], /) -> None:
        self.call_later(0.0, callback)

    def call_later(self, delay: float, callback: Callable[[], None], /) -> None:
        heapq.heappush(self._queue, (self.time() + delay, next(self._numbers), callback))

    def run(self) -> None:
        """Until nothing is to do; waiting takes no time."""
        while self._queue:
            at, _, callback = heapq.heappop(self._queue)
            self._ahead += max(0.0, at - self.time())
            began = time.process_time()
            callback()
            self.longest = max(self.longest, time.process_time() - began)


class _Blind(Reader):
    __slots__ = ()

    def write(self, data: bytes | memoryview) -> None:
        """Takes it."""

    def spill(self, data: bytes | memoryview) -> None:
        """Takes it."""


def simulate(readers: int) -> Costs:
    """Joins and messages, one by one."""
    turns = _Turns()
    room = Room("r", Ring(Position(0, 0)), turns, Tally(), EachFanOut())
    made = [_Blind() for _ in range(readers)]
    with Path(os.devnull).open("wb") as nowhere:
        for reader in made:
            reader.fd = nowhere.fileno()
        return _measured(made, room, turns)


def _measured(made: list[_Blind], room: Room, turns: _Turns) -> Costs:
    readers = len(made)
    began = time.process_time()
    for reader in made:
        room.join(reader, room.level(reader), exact=True)
    joined = time.process_time()
    turns.longest = 0.0
    for number in range(1, _MESSAGES + 1):
        room.publish(Entry(Position(number, 0), _MESSAGE))
        turns.run()
    over = time.process_time()
    return Costs(
        1e6 * (over - joined) / readers / _MESSAGES, 1e6 * (joined - began) / readers, 1000 * turns.longest
    )
