"""Which renditions a broadcast gets, and the target duration it announces. Pure rules."""

from math import ceil

import msgspec

MIN_TARGET_DURATION_S = 2
MAX_TARGET_DURATION_S = 10


class Rung(msgspec.Struct, frozen=True):
    """A transcoded rendition. Rates in bit/s and frames/s; `frame_rate` exact, (0, 1) as the source."""

    name: str
    width: int
    height: int
    bit_rate: int
    frame_rate: tuple[int, int]


_RUNGS = (("720p", 720, 3_000_000), ("480p", 480, 1_500_000), ("360p", 360, 800_000))
_FAST_FROM = 720  # rungs below this short side get half of a frame rate above 30
_MAX_SLOW_RATE = 31


def plan_ladder(
    width: int, height: int, frame_rate: tuple[int, int] = (0, 1), sample_aspect: tuple[int, int] = (1, 1)
) -> list[Rung]:
    """Rungs strictly below the source's short side, largest first, square pixels, even sizes.

    A portrait source has its short side on the rung too. Nothing is enlarged; below 720p a source faster
    than 31 frames/s is halved.
    """
    shown_width = width * sample_aspect[0] // sample_aspect[1] if min(sample_aspect) > 0 else width
    if shown_width <= 0 or height <= 0:
        return []
    short = min(shown_width, height)
    rungs = []
    for name, side, bit_rate in _RUNGS:
        if side >= min(short, width, height):
            continue
        size = _even(shown_width * side, short), _even(height * side, short)
        rungs.append(Rung(name, *size, bit_rate, _rate_of(side, frame_rate)))
    return rungs


def target_duration(first_gop_s: float | None, segment_target_s: float) -> int:
    """EXT-X-TARGETDURATION: a segment may wait for the first key frame after 0.9 of its target.

    None, the GOP is not known: the longest we allow, since the value can never be raised later.
    """
    if first_gop_s is None:
        return MAX_TARGET_DURATION_S
    longest = ceil(round(0.9 * segment_target_s + first_gop_s, 3))
    return min(max(longest, MIN_TARGET_DURATION_S), MAX_TARGET_DURATION_S)


def _even(numerator: int, denominator: int) -> int:
    """numerator / denominator to the nearest even number, at least 2."""
    return max(2, 2 * ((numerator + denominator) // (2 * denominator)))


def _rate_of(side: int, frame_rate: tuple[int, int]) -> tuple[int, int]:
    numerator, denominator = frame_rate
    if side >= _FAST_FROM or numerator <= _MAX_SLOW_RATE * denominator:
        return frame_rate
    return (numerator // 2, denominator) if numerator % 2 == 0 else (numerator, 2 * denominator)
