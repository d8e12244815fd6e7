"""Exact decode times for video whose stamps are whole milliseconds."""

import math
from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from appliance.contracts.media import VIDEO_TIMESCALE
from edge.protocols.fmp4 import Payload, Sample

TOLERANCE: Final = 225  # 2.5 ms: rounding of two stamps and a little jitter
MAX_DURATION: Final = 22_500  # 0.25 s: a longer wait becomes a hole, not a long frame
_MIN_DURATION: Final = 90
_JOIN: Final = 4_500  # 50 ms: leaving the grid makes no hole smaller than that
_SLIP: Final = 90  # 1 ms per correction
_SLIP_FROM: Final = 60
_AVERAGING: Final = 16
_SCALE: Final = 64  # of the running average
_IRREGULAR_COST: Final = 8
_IRREGULAR_LIMIT: Final = 60
_FIRST_WINDOW: Final = 12
_MAX_WINDOW: Final = 384
_NEAR: Final = 20  # so many times as much as it is away
_RATES: Final = (
    *(Fraction(rate) for rate in (60, 50, 30, 25, 24)),
    *(Fraction(1000 * rate, 1001) for rate in (60, 30, 24)),
    *(Fraction(rate) for rate in (48, 20, 15, 12, 10, 8, 5)),
)
_GRIDS: Final = tuple((rate, VIDEO_TIMESCALE * rate.denominator, rate.numerator) for rate in _RATES)


class VideoClock:
    """Snaps a constant frame rate to its grid: 33, 33, 34 ms become n * 3000 ticks.

    There every access unit has its nominal duration at once. A variable rate is passed on one frame late,
    when the duration is known. Times in and out are 90 kHz ticks.

    A slow drift between stamps and grid is followed in steps of 1 ms, each put into one frame's duration,
    so that frames stay contiguous.
    """

    def __init__(self, frame_rate: tuple[int, int] = (0, 1), *, start: int = 0) -> None:
        """`frame_rate` is a hint, (0, 1) for none; the stamps decide. No sample begins before `start`."""
        self.snapped = 0  # frames whose stamp was off the grid
        self._rate: Fraction | None = None
        self._scaled = self._numerator = 1  # `index * scaled // numerator` ticks are `index` frames
        self._set_rate(_usable(frame_rate))
        self._anchor: int | None = None
        self._index = 0
        self._average = 0
        self._irregular = 0
        self._held: Sample | None = None
        self._end = start
        self._begun = start  # the newest sample
        self._window: deque[int] = deque(maxlen=_FIRST_WINDOW)

    @property
    def is_constant(self) -> bool:
        """Whether frames are on a grid now."""
        return self._rate is not None

    @property
    def holds_one(self) -> bool:
        """Whether the sample before is held back until the next one comes."""
        return self._held is not None

    @property
    def end(self) -> int:
        """Where the samples given out so far end."""
        return self._end

    @property
    def newest(self) -> tuple[int, int]:
        """Where the newest picture begins, and ends as far as that is known."""
        held = self._held
        return (held.dts, held.end) if held is not None else (self._begun, self._end)

    def push(self, time: int, cts: int, key: bool, data: Payload) -> list[Sample]:
        """Samples whose times are now final: this one, the one before, or both."""
        if self._rate is not None:
            if self._anchor is None:
                self._anchor, self._index = max(time, self._end), 0
            if self._fits(time):
                return [self._on_grid(cts, key, data)]
            self._leave_grid()
        return self._variable(time, cts, key, data)

    def flush(self) -> list[Sample]:
        """The frame held back, with the last known kind of duration."""
        held, self._held = self._held, None
        if held is None:
            return []
        self._begun, self._end = held.dts, held.end
        return [held]

    def _set_rate(self, rate: Fraction | None) -> None:
        self._rate = rate
        if rate is not None:
            self._scaled, self._numerator = VIDEO_TIMESCALE * rate.denominator, rate.numerator

    def _at(self, index: int) -> int:
        return (self._anchor or 0) + index * self._scaled // self._numerator

    def _fits(self, time: int) -> bool:
        """Finds the grid index of a stamp. False when the source is not regular any more."""
        expected = self._at(self._index)
        step = self._at(self._index + 1) - expected
        deviation = time - expected
        missed = max(0, (deviation + step // 2) // step)
        rest = deviation - (self._at(self._index + missed) - expected) if missed else deviation
        if abs(rest) <= TOLERANCE:
            self._index += missed
            self._average += (rest * _SCALE - self._average) // _AVERAGING
            self._irregular = max(0, self._irregular + (_IRREGULAR_COST if missed else -1))
        elif deviation > MAX_DURATION:
            # A hole of no whole number of frames: those behind it would be shown in it, out of step with the sound.
            self._anchor, self._index, self._average = time, 0, 0
            self._irregular += _IRREGULAR_COST
        else:
            self.snapped += 1
            self._irregular += _IRREGULAR_COST
        return self._irregular <= _IRREGULAR_LIMIT

    def _on_grid(self, cts: int, key: bool, data: Payload) -> Sample:
        dts = self._at(self._index)
        if cts:
            step = self._at(self._index + 1) - dts
            exact = self._at(self._index + (cts + step // 2) // step) - dts
            if abs(cts - exact) <= TOLERANCE:
                cts = exact
        self._index += 1
        drift = self._average // _SCALE
        if abs(drift) > _SLIP_FROM and self._anchor is not None:
            slip = _SLIP if drift > 0 else -_SLIP
            self._anchor += slip
            self._average -= slip * _SCALE
        self._begun, self._end = dts, self._at(self._index)
        return Sample(dts, self._end - dts, cts, key, data)

    def _leave_grid(self) -> None:
        """Each return to a grid needs a longer proof than the one before."""
        self._rate = self._anchor = None
        self._irregular = self._average = 0
        longer = min(2 * (self._window.maxlen or _FIRST_WINDOW), _MAX_WINDOW)
        self._window = deque(maxlen=longer)

    def _variable(self, time: int, cts: int, key: bool, data: Payload) -> list[Sample]:
        out = []
        held = self._held
        if held is not None:
            dts = max(time, held.dts + _MIN_DURATION)
        elif not self._end:  # the first frame of all; its stamp may lie before that of another track
            dts = max(time, 0)
        else:
            dts = self._end if self._end > time - _JOIN else time
        self._window.append(time)
        rate = self._measured()
        if held is not None:
            out.append(held.replace(duration=min(dts - held.dts, MAX_DURATION)))
            self._end = out[-1].end
        if rate is None:
            last = out[-1].duration if out else VIDEO_TIMESCALE // 30
            self._held = Sample(dts, last, cts, key, data)
            return out
        self._held = None
        self._set_rate(rate)
        self._anchor, self._index = dts, 0
        out.append(self._on_grid(cts, key, data))
        return out

    def _measured(self) -> Fraction | None:
        """A standard rate on whose grid every stamp of a full window lies.

        This is asked at each frame of a variable rate: the first and the last stamp rule most rates out.
        """
        window = self._window
        if len(window) < (window.maxlen or 0):
            return None
        span, steps = window[-1] - window[0], len(window) - 1
        for rate, scaled, numerator in _GRIDS:
            is_near = abs(span * numerator - steps * scaled) <= 2 * TOLERANCE * numerator
            if is_near and _on_one_grid(window, scaled, numerator):
                return rate
        return None


def _on_one_grid(stamps: Sequence[int], scaled: int, numerator: int) -> bool:
    """Whether frames `scaled / numerator` ticks apart can have these stamps. Exact: all is times `numerator`."""
    limit = 2 * TOLERANCE * numerator
    begin = stamps[0] * numerator
    least = most = 0
    for stamp in stamps:
        rest = stamp * numerator - begin
        begin += scaled
        if rest < least:
            least = rest
        elif rest > most:
            most = rest
        if most - least > limit:
            return False
    return True


def measured_rate(frames: int, ticks: int) -> tuple[int, int]:
    """The whole rate per second that is meant where `frames` came in `ticks` (90 kHz)."""
    exact = Fraction(frames * VIDEO_TIMESCALE, ticks)
    near = min((rate for rate in _RATES if rate.denominator == 1), key=lambda rate: abs(rate - exact))
    return (near.numerator if abs(near - exact) * _NEAR <= near else math.ceil(exact)), 1


def _usable(frame_rate: tuple[int, int]) -> Fraction | None:
    numerator, denominator = frame_rate
    if numerator <= 0 or denominator <= 0:
        return None
    rate = Fraction(numerator, denominator)
    return rate if VIDEO_TIMESCALE / MAX_DURATION <= rate <= 240 else None
