"""Millisecond stamps of a publisher's track: unwrapping, and telling an outlier from a jump."""

import enum
from typing import Final

WRAP: Final = 1 << 32
_HALF: Final = 1 << 31
_WRAP_STEP: Final = 60_000  # how far a stamp after a wrap may be from the one before
FORWARD_LIMIT_MS: Final = 5_000
BACKWARD_LIMIT_MS: Final = 200
AUDIO_BACKWARD_LIMIT_MS: Final = 1_000  # the audio clock takes less than that as drift
JUMP_FRAMES: Final = 3
_MAX_STEP_MS: Final = 500
_STILL_US: Final = 2_000_000
_APART_MS: Final = 500


class Unwrapper:
    """32-bit stamps as unbounded ones, by serial number arithmetic (RFC 1982).

    Some peers count with 31 bits: a step back by almost all of them is such a wrap.
    """

    def __init__(self) -> None:
        self.last: int | None = None  # unwrapped
        self._half = _HALF  # of the modulus

    def feed(self, stamp: int) -> int:
        """The stamp nearest to the one before that is equal modulo 2^32, or 2^31."""
        last = self.last
        if last is None:
            self.last = stamp % WRAP
            return self.last
        half = self._half
        step = (stamp - last + half) % (2 * half) - half
        if step < _WRAP_STEP - _HALF and half == _HALF:
            half = self._half = _HALF // 2
            step = (stamp - last + half) % (2 * half) - half
        self.last = last = last + step
        return last


class StillStamps:
    """Stamps in the place of those of a track that all are the same: by arrival, at the pace of the first 2 s.

    What came together was not made together, so that one follows the other evenly, near to when it came.
    """

    def __init__(self) -> None:
        self._stamp_ms = -1
        self._since_us = 0  # the same stamp has come
        self._count = 0
        self._interval_ms = 0.0  # 0: it is not known yet that they stand still
        self._at_ms = 0.0

    @property
    def are_still(self) -> bool:
        """Whether they are replaced."""
        return self._interval_ms > 0

    def feed(self, stamp_ms: int, now_us: int) -> int:
        """The unwrapped stamp of what came at `now_us`, or the one in its place."""
        if stamp_ms != self._stamp_ms:
            self._stamp_ms, self._since_us, self._count, self._interval_ms = stamp_ms, now_us, 0, 0.0
            return stamp_ms
        self._count += 1
        passed_us = now_us - self._since_us
        if passed_us < _STILL_US:
            return stamp_ms
        passed_ms = passed_us / 1000
        if not self._interval_ms:
            self._interval_ms, self._at_ms = passed_ms / self._count, passed_ms
        else:
            self._at_ms += self._interval_ms
            if abs(self._at_ms - passed_ms) > _APART_MS:
                self._at_ms = passed_ms
        return stamp_ms + round(self._at_ms)


class Verdict(enum.Enum):
    """What a stamp is, given those before it."""

    GOOD = "good"
    OUTLIER = "outlier"
    JUMP = "jump"


class StampGuard:
    """Judges unwrapped stamps of one track.

    Stamps more than 5 s ahead or `backward_ms` back are outliers; the third in a row that agrees with its
    predecessors is a jump: the source has a new timeline.
    """

    def __init__(self, backward_ms: int = BACKWARD_LIMIT_MS) -> None:
        self._backward_ms = backward_ms
        self.last_ms: int | None = None  # as accepted or substituted
        self._step_ms = 0
        self._outliers = 0
        self._last_outlier_ms = 0

    def follows(self, last_ms: int, step_ms: int) -> bool:
        """Accepts the stamp `step_ms` after `last_ms`, if that was the one before. False: `takes` has to judge."""
        if self.last_ms != last_ms or self._outliers or not 0 < step_ms <= _MAX_STEP_MS:
            return False
        self.last_ms, self._step_ms = last_ms + step_ms, step_ms
        return True

    def takes(self, stamp_ms: int) -> bool:
        """Accepts a stamp with which nothing is wrong, as nearly all are. False: `judge` has to."""
        last_ms = self.last_ms
        if last_ms is None or not -self._backward_ms <= stamp_ms - last_ms <= FORWARD_LIMIT_MS:
            return False
        self._outliers = 0
        self.accept(stamp_ms)
        return True

    def judge(self, stamp_ms: int) -> Verdict:
        """Counts the stamp; the caller then calls `accept` or `substitute`."""
        if self.last_ms is None or -self._backward_ms <= stamp_ms - self.last_ms <= FORWARD_LIMIT_MS:
            self._outliers = 0
            return Verdict.GOOD
        agrees = 0 <= stamp_ms - self._last_outlier_ms <= FORWARD_LIMIT_MS
        self._outliers = self._outliers + 1 if agrees and self._outliers else 1
        self._last_outlier_ms = stamp_ms
        if self._outliers >= JUMP_FRAMES:
            self._outliers = 0
            return Verdict.JUMP
        return Verdict.OUTLIER

    def accept(self, stamp_ms: int) -> None:
        """The stamp is right."""
        if self.last_ms is not None and 0 < stamp_ms - self.last_ms <= _MAX_STEP_MS:
            self._step_ms = stamp_ms - self.last_ms
        self.last_ms = stamp_ms

    def expected_ms(self) -> int:
        """Where the next stamp would be if nothing were wrong."""
        return (self.last_ms or 0) + self._step_ms

    def substitute(self) -> int:
        """Takes the expected stamp instead of the one that came."""
        self.last_ms = self.expected_ms()
        return self.last_ms
