"""When to look at which connection: one timer for all of them, whatever their number."""

import math
from typing import Generic, Protocol, TypeVar

TURNS = 64  # further ahead than anything but a look in between is needed for
_NOT_IN = 0
_AFTER_S = 0.002  # timers are that coarse


class Watched(Protocol):
    """Something that asked to be looked at."""

    due: int


T = TypeVar("T", bound=Watched)


class Wheel(Generic[T]):
    """Slots of one second. What is in it is in one slot only, so leaving costs nothing and leaves nothing."""

    def __init__(self, now: float) -> None:
        self._turn = math.floor(now)
        self._slots: list[set[T]] = [set() for _ in range(TURNS)]

    def remind(self, thing: T, at: float) -> None:
        """Has `thing` given out by `turn` at time `at`, or earlier: whoever gets it asks when its time is."""
        due = min(max(math.ceil(min(at, self._turn + TURNS)), self._turn + 1), self._turn + TURNS - 1)
        if thing.due != _NOT_IN:
            if thing.due <= due:
                return
            self._slots[thing.due % TURNS].discard(thing)
        thing.due = due
        self._slots[due % TURNS].add(thing)

    def forget(self, thing: T) -> None:
        """Nobody looks at it any more."""
        if thing.due != _NOT_IN:
            self._slots[thing.due % TURNS].discard(thing)
            thing.due = _NOT_IN

    def rest(self, now: float) -> float:
        """Seconds until `turn` is to be called."""
        return math.floor(now) + 1 - now + _AFTER_S

    def turn(self, now: float) -> list[T]:
        """Takes out what is due."""
        found: list[T] = []
        for turn in range(max(self._turn + 1, math.floor(now) - TURNS + 1), math.floor(now) + 1):
            found += self._slots[turn % TURNS]
            self._slots[turn % TURNS].clear()
        self._turn = max(self._turn, math.floor(now))
        for thing in found:
            thing.due = _NOT_IN
        return found
