"""What a room was told that stands in no log of this edge: for those who come back."""

from collections import deque
from typing import NamedTuple

from appliance.runtime.clock import now_ms
from edge.chat.positions import Mark, Position

_MOST = 200  # events of other edges that a room remembers


class _Event(NamedTuple):
    heard_s: int
    position: Position
    data: bytes


class Told:
    """Events of other edges in the order in which this gateway heard of them."""

    __slots__ = ("_events", "_from_s")

    def __init__(self) -> None:
        self._from_s = now_ms() // 1000 + 1  # all that came from then on is here
        self._events: deque[_Event] = deque()

    def add(self, position: Position, data: bytes) -> None:
        """One that stands behind `position`."""
        self._events.append(_Event(now_ms() // 1000, position, data))
        if len(self._events) > _MOST:
            self._from_s = self._events.popleft().heard_s + 1

    def since(self, mark: Mark, upto: Position) -> list[bytes] | None:
        """What one may have missed who was there until `mark`, as far as it stands no further than behind `upto`;
        None when that may not be all.

        Who was slow may not have got what stands at its very position: that comes again.
        """
        if mark.at_s < self._from_s:
            return None
        return [
            one.data
            for one in self._events
            if one.position <= upto and (one.heard_s >= mark.at_s or one.position == mark.position)
        ]
