"""Whether one more viewer would be too many: nobody is to lose parts to those who come later.

What tells is the media itself: parts of the source that reach this process later than half of what they last, for
more than a moment, while the process has much to do. On a machine that is busy with other things nobody is refused.
"""

import time
from collections.abc import Callable

from appliance.contracts.media import ChunkFlag, ChunkHeader
from appliance.runtime.clock import now_us
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import gauge

FULL = gauge("nearcast_origin_full", "1 while new viewers are refused because parts come late.")
_ENDS_PART = ChunkFlag.LAST_OF_PART | ChunkFlag.LAST_OF_SEGMENT
_TURN_S = 0.5
_MANY, _FEW = 0.5, 0.1  # of the parts of a turn: late ones
_BUSY = 0.25  # of a core
_FULL_AFTER, _OPEN_AFTER = 2, 10  # turns in a row; viewers who come until it is full are too many
_LATE = 0.5  # of what a part lasts: once it is a whole one viewers are behind
_LONGEST_S = 60.0  # a clock that was set makes no part older


class Crowding:
    """Takes the ends of parts as they come, and the time; `is_full` is the answer.

    wall_us: Unix microseconds. cpu_s: CPU seconds of this process so far.
    """

    def __init__(self, wall_us: Callable[[], int] = now_us, cpu_s: Callable[[], float] = time.process_time) -> None:
        self.is_full = False
        self._wall_us = wall_us
        self._cpu_s = cpu_s
        self._parts = self._late = 0  # since the last turn
        self._turned_at: float | None = None
        self._worked_s = 0.0  # until then
        self._against = 0  # turns in a row that speak against how it is
        self._log = get_logger("crowding")

    def heard(self, header: ChunkHeader, lasts_s: float) -> None:
        """A chunk of the source has come; of one that ends a part, at most `lasts_s` long, the age counts."""
        if not header.flags & _ENDS_PART or not header.late_us:
            return
        age_s = (self._wall_us() - header.late_us) / 1_000_000
        self._parts += 1
        self._late += _LATE * lasts_s < age_s < _LONGEST_S

    def tick(self, now: float) -> None:
        """Several times a second; `now` is monotonic."""
        if self._turned_at is None:
            self._turned_at, self._worked_s = now, self._cpu_s()
        passed = now - self._turned_at
        if passed >= _TURN_S:
            worked = self._cpu_s()
            busy = (worked - self._worked_s) / passed
            self._turned_at, self._worked_s = now, worked
            self._turn(busy)

    def _turn(self, busy: float) -> None:
        parts, late = self._parts, self._late
        self._parts = self._late = 0
        if not parts and busy >= _BUSY:  # it has no time to read: that says nothing new
            return
        if self.is_full:
            speaks = busy < _BUSY or late <= _FEW * parts
        else:
            speaks = busy >= _BUSY and late > _MANY * parts
        self._against = self._against + 1 if speaks else 0
        if self._against >= (_OPEN_AFTER if self.is_full else _FULL_AFTER):
            self.is_full = not self.is_full
            self._against = 0
            FULL.set(self.is_full)
            self._log.warning("full" if self.is_full else "open_again", busy=round(busy, 2), parts=parts, late=late)
