"""When a publisher is to be looked at again: not before one of its frames can complete something."""

import math
from typing import Final

from appliance.runtime.clock import now_us

_MOST_S: Final = 0.5
_LATE_US: Final = 2_000  # so long after the frame usually comes it ends, by how irregular they come
_MOST_LATE_US: Final = 8_000
_AGAIN_S: Final = 0.008  # when the frame has not come then
_MOST_AGAIN_S: Final = 0.05
_PROMPT_AGAIN_S: Final = 0.002  # where a reader waits for each message: there it ends when the frame usually comes
_OVERDUE: Final = 4  # what is late already may be so by a quarter more
_COLLECT_S: Final = 0.05  # what comes meanwhile is taken off the socket, before that gets full
_COLLECT_BYTES: Final = 48_000
_LAST_S: Final = 0.015  # so long before the end for the last time
_OTHER_CLOCK_US: Final = 1_000_000
_EARLIER: Final = 2  # what is usual follows a frame that was early or late by the half or the eighth of that
_LATER: Final = 8
_SPREAD: Final = 8  # and how much later than usual they come by the eighth


class Rest:
    """Of one publisher on the air, between two messages for the log.

    What comes meanwhile is worked off in one go. The rest ends when the frame that completes the next message
    usually comes; one that is earlier waits until then.
    """

    def __init__(self, *, collects: bool = True) -> None:
        """`collects`: what comes meanwhile has to be taken off a socket before that is full."""
        self.is_prompt = (
            False  # a reader works on each message as it comes: looking more often costs it less than waiting
        )
        self._collects = collects
        self._until = -math.inf
        self._usual: int | None = None  # arrival less media time, microseconds
        self._spread_us = 0  # how much later frames come, in the mean
        self._missed = True  # the frame had not come when the rest before ended
        self._in_vain = True  # nor when this one did
        self._begun = 0.0
        self._received = 0  # bytes by then
        self._pause_s = _COLLECT_S  # in which about _COLLECT_BYTES come

    def lasts(self, now: float) -> bool:
        """Whether there is nothing to do yet. `now` in seconds of the loop's clock."""
        return now < self._until

    def begin(self, now: float, arrived_us: int, last_us: int, next_us: int, received: int = 0) -> None:
        """A message is complete. The last frame has media time `last_us`, the one to wait for `next_us`.

        It had arrived by `arrived_us` (Unix microseconds), with `received` bytes in all; 0: that is not known.
        """
        delay, usual = arrived_us - last_us, self._usual
        if usual is None or abs(delay - usual) > _OTHER_CLOCK_US:
            usual = delay
        self._spread_us += (max(0, delay - usual) - self._spread_us) // _SPREAD
        self._usual = usual = usual + (delay - usual) // (_EARLIER if delay < usual else _LATER)
        late_us = 0 if self.is_prompt else min(_LATE_US + self._spread_us, _MOST_LATE_US)
        left_s = (usual + next_us + late_us - now_us()) / 1e6
        self._missed, self._in_vain = self._in_vain, False
        if 0 < self._received < received:
            self._pause_s = max(_COLLECT_S, _COLLECT_BYTES * (now - self._begun) / (received - self._received))
        self._begun, self._received = now, received
        self._until = now + min(max(0.0, left_s), _MOST_S)

    def end(self) -> None:
        """What comes is wanted at once."""
        self._until = -math.inf

    def next_look(self, now: float, collected: int) -> tuple[float, float]:
        """From when on, and by when, to look at the publisher again, be it only to take what came off its socket.

        `collected` bytes have come since the rest began, 0 when that is not known.

        Once more shortly before the end if the frame came after the last end: an encoder without TCP_NODELAY
        has one small packet under way at a time, which is acknowledged when it is read.
        """
        left_s = self._until - now
        if left_s <= 0.0:
            self._in_vain = self._in_vain or left_s < 0.0
            again_s = _PROMPT_AGAIN_S if self.is_prompt else _AGAIN_S
            if self._until > -math.inf:
                again_s = min(max(again_s, -left_s / _OVERDUE), _MOST_AGAIN_S)
            return now + again_s, now + again_s
        if not self._collects:
            return self._until, self._until
        if collected:
            self._pause_s = max(_COLLECT_S, _COLLECT_BYTES * (now - self._begun) / collected)
        last_s = _LAST_S if self._missed else 0.0
        if left_s <= last_s + _AGAIN_S or (not last_s and left_s <= self._pause_s):
            return self._until, self._until
        due = now + min(self._pause_s, left_s - last_s)
        return due - _AGAIN_S, due  # with another publisher that is looked at anyhow
