"""Spreads what comes in chunks over the time that it lasts, so that no queue on the way to a viewer overflows.

Pure: times in seconds of one monotonic clock come in.
"""

from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Pacer(Generic[T]):
    """Items of a chunk are due at their offsets from its arrival, each a little early (`speed` > 1), in order.

    What is left of a chunk when the next one comes is due at once: nothing is ever late by more than a chunk.
    Bounded by `most` items: beyond it everything held is due at once.
    """

    def __init__(self, *, speed: float = 1.1, most: int = 4096) -> None:
        self._speed = speed
        self._most = most
        self._held: deque[tuple[float, T]] = deque()

    def put(self, items: Iterable[tuple[float, T]], now: float) -> None:
        """A chunk: its items with their offsets in seconds, ascending."""
        late = [(now, item) for _, item in self._held]
        self._held = deque(late)
        for offset_s, item in items:
            self._held.append((now + offset_s / self._speed, item))
        if len(self._held) > self._most:
            self._held = deque((now, item) for _, item in self._held)

    def take(self, now: float) -> list[T]:
        """What is due."""
        due = []
        while self._held and self._held[0][0] <= now:
            due.append(self._held.popleft()[1])
        return due

    @property
    def next_at(self) -> float | None:
        """When the next item is due; None when there is none."""
        return self._held[0][0] if self._held else None
