"""Which video tracks an encoder should send. Pure rules; rates in kbit/s, sides and sizes in pixels."""

from itertools import pairwise
from typing import NamedTuple

from coordinator.client_configuration.models import Canvas, FrameRate

MAX_TRACKS = 4
AGGREGATE = 12_000  # of all tracks together where the streamer set no limit
MIN_SIDE, MAX_SIDE = 64, 8192
_RUNGS = ((720, 3000), (480, 1500), (360, 800))  # short side and rate, as edge.media.ladder makes them
_RATES = ((2160, 16_000), (1440, 9000), (1080, 6000), *_RUNGS)  # of a source, by its short side
_MIN_RATE = 100
_FAST_FROM = 720  # rungs below this short side get half of a frame rate above 30
_MAX_SLOW_RATE = 31


class Track(NamedTuple):
    """One video track; `rate` in kbit/s."""

    width: int
    height: int
    rate: int
    framerate: FrameRate


def is_usable(canvas: Canvas) -> bool:
    """Whether a picture can be made of it."""
    sides = canvas.width, canvas.height
    rate = canvas.framerate
    return min(sides) >= MIN_SIDE and max(sides) <= MAX_SIDE and min(rate.numerator, rate.denominator) > 0


def choose_tracks(canvas: Canvas, aggregate: int, most: int) -> list[Track]:
    """The source and the rungs below it that fit, largest first; at least the source.

    `aggregate` is the rate of all video together, `most` the number of tracks. The source is as large as the
    canvas unless the aggregate does not carry that: then it is the largest rung that it carries. A rung that
    does not fit is left to the transcoder, smaller ones may still fit. Nothing is enlarged.
    """
    source = _source(canvas, aggregate)
    tracks = [source]
    left = aggregate - source.rate
    for side, rate in _RUNGS:
        if len(tracks) < most and side < min(source.width, source.height) and rate <= left:
            tracks.append(_track(canvas, side, rate))
            left -= rate
    return tracks


def _source(canvas: Canvas, aggregate: int) -> Track:
    short = min(canvas.width, canvas.height)
    for side in (short, *(side for side, _ in _RATES if side < short)):
        if rate_at(side) <= aggregate:
            return _track(canvas, side, rate_at(side))
    smallest = min(short, _RATES[-1][0])
    return _track(canvas, smallest, max(_MIN_RATE, min(aggregate, rate_at(smallest))))


def rate_at(side: int) -> int:
    """Kbit/s of a source of any short side: between its neighbours, in proportion below the smallest."""
    for (upper, most), (lower, least) in pairwise(_RATES):
        if side >= lower:
            return least + (most - least) * (min(side, upper) - lower) // (upper - lower)
    smallest, least = _RATES[-1]
    return max(_MIN_RATE, least * side // smallest)


def _track(canvas: Canvas, side: int, rate: int) -> Track:
    short = min(canvas.width, canvas.height)
    width, height = _even(canvas.width * side, short), _even(canvas.height * side, short)
    return Track(width, height, rate, canvas.framerate if side == short else _rate_of(side, canvas.framerate))


def _even(numerator: int, denominator: int) -> int:
    """numerator / denominator to the nearest even number, at least 2."""
    return max(2, 2 * ((numerator + denominator) // (2 * denominator)))


def _rate_of(side: int, rate: FrameRate) -> FrameRate:
    if side >= _FAST_FROM or rate.numerator <= _MAX_SLOW_RATE * rate.denominator:
        return rate
    if rate.numerator % 2 == 0:
        return FrameRate(numerator=rate.numerator // 2, denominator=rate.denominator)
    return FrameRate(numerator=rate.numerator, denominator=2 * rate.denominator)
