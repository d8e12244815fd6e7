"""Which renditions a broadcast gets, and the target duration it announces. Pure rules."""

from collections.abc import Collection
from itertools import pairwise
from math import ceil
from typing import NamedTuple

import msgspec

from appliance.contracts.media import SOURCE

MIN_TARGET_DURATION_S = 2
MAX_TARGET_DURATION_S = 10


def scales_on(size: tuple[int, int], largest: tuple[int, int]) -> bool:
    """Whether a picture of `size` is made of the largest rung's, not of the source's.

    It has half its sides or less: for those in between it would cost sharpness.
    """
    return 2 * size[0] <= largest[0] and 2 * size[1] <= largest[1]


class Rung(msgspec.Struct, frozen=True):
    """A transcoded rendition. Rates in bit/s and frames/s; `frame_rate` exact, (0, 1) as the source."""

    name: str
    width: int
    height: int
    bit_rate: int
    frame_rate: tuple[int, int]


class Contribution(NamedTuple):
    """A rendition besides the source that the encoder sends itself. Height in lines as shown."""

    name: str
    height: int
    codec: str = "avc1"  # RFC 6381


class SourceDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a source when its broadcast begins.

    Sizes in pixels as coded, rates exact, (0, 1) unknown. `codec` as RFC 6381 has it, such as hvc1.1.6.L93.B0.
    `playable` False: players cannot show it whatever its codec, such as key frames too far apart. `taken` are names
    that no rung may have, beside those of `contributed`: renditions that the encoder sent before.
    """

    width: int
    height: int
    frame_rate: tuple[int, int] = (0, 1)
    sample_aspect: tuple[int, int] = (1, 1)
    codec: str = "avc1"
    playable: bool = True
    contributed: tuple[Contribution, ...] = ()
    taken: tuple[str, ...] = ()


class Ladder(NamedTuple):
    """`names` is what viewers may expect, best first: `Broadcast.ladder`. The transcoder makes `rungs`."""

    names: list[str]
    rungs: list[Rung]


class _Shown(NamedTuple):
    """The picture in square pixels; `limit` is the side that every rung must be well below."""

    width: int
    height: int
    limit: int

    @property
    def short(self) -> int:
        return min(self.width, self.height)


# Every rung there is by name: short side and bit/s, largest first.
RUNGS = {
    "1080p": (1080, 6_000_000),
    "720p": (720, 3_000_000),
    "480p": (480, 1_500_000),
    "360p": (360, 800_000),
    "160p": (160, 250_000),
}
USUAL = ("1080p", "720p", "480p", "360p")  # what a channel gets that nothing is said of
_RATES = tuple(RUNGS[name] for name in USUAL)
_TOP_SIDE = 1080
_MADE = "r"  # behind the name of a rung beside a rendition of that name
_NEAR = (9, 10)  # a rung above this share of the side over it helps nobody
_H264 = ("avc1", "avc3")
_CHOSEN_BY_PLAYERS = (*_H264, "hvc1", "hev1", "av01", "vp09")  # others are in no player's fragmented MP4
_NOT_PLAYED = ("6e", "7a", "f4", "2c")  # H.264 profiles with 10 bits, 4:2:2 or 4:4:4 (ITU-T H.264, Annex A)
_FAST_FROM = 720  # rungs below this short side get half of a frame rate above 30
_MAX_SLOW_RATE, _MAX_FAST_RATE = 31, 61


def ladder_of(source: SourceDescription, *, transcoded: bool = True, wanted: Collection[str] = USUAL) -> Ladder:
    """The renditions of a source. `transcoded` False: nothing is transcoded at this site.

    Rungs are those `wanted` of `RUNGS` below nine tenths of the source's short side, nothing is enlarged. A
    source that is not H.264, or that players cannot show, also gets an H.264 rung of its own size, 1080p at
    most: no viewer is left without a picture. HEVC, AV1 and VP9 stay listed, players choose by CODECS. A
    contributed H.264 rendition replaces the rung whose height is its own within a tenth. Beside one of another
    codec, or that has gone, the rung of its name has another: two writers have two logs. Rungs have at most
    60 frames/s, those below 720p at most 30.
    """
    kind, _, profile = source.codec.partition(".")
    listed = source.playable and kind in _CHOSEN_BY_PLAYERS
    listed = listed and not (kind in _H264 and profile[:2].lower() in _NOT_PLAYED)
    rungs = _rungs(source, wanted, own_size=not listed or kind not in _H264) if transcoded else []
    given = [one for one in source.contributed if one.codec.startswith(_H264)]
    rungs = [rung for rung in rungs if not any(_replaces(one, rung) for one in given)]
    taken = {*source.taken, *(one.name for one in source.contributed)}
    rungs = _named_apart(rungs, taken)
    steps = [(rung.height, rung.name) for rung in rungs]
    steps += [(one.height, one.name) for one in source.contributed]
    steps.sort(key=lambda step: -step[0])
    names = [SOURCE] if listed else []
    names += [name for _, name in steps]
    return Ladder(names, rungs)


def plan_ladder(
    width: int, height: int, frame_rate: tuple[int, int] = (0, 1), sample_aspect: tuple[int, int] = (1, 1)
) -> list[Rung]:
    """The usual rungs of a playable H.264 source of this size, largest first."""
    source = SourceDescription(width=width, height=height, frame_rate=frame_rate, sample_aspect=sample_aspect)
    return ladder_of(source).rungs


def rate_within(rung: Rung, source: SourceDescription, bit_rate: int) -> int:
    """Bit/s of a rung of a source that has `bit_rate`: as usual, unless that is more than what it is made of.

    Fewer pixels need more bits each, so its part is that of its lines, and a fifth more. What is not H.264 may
    become twice as large. Not less than a third of what is usual: what encoders say of themselves may be wrong.
    """
    shown = _shown(source)
    if shown is None or bit_rate <= 0:
        return rung.bit_rate
    part = min(1.0, 1.2 * min(rung.width, rung.height) / shown.short)
    growth = 1 if source.codec.startswith(_H264) else 2
    return min(rung.bit_rate, max(round(bit_rate * part * growth), rung.bit_rate // 3))


def announced_duration(segment_target_s: float) -> int:
    """EXT-X-TARGETDURATION of a broadcast whose key frames are not known yet; it can never be changed later.

    Segments end at the first key frame after 0.9 of their target: with this, key frames up to twice the
    target apart are places to cut.
    """
    return min(max(ceil(2 * segment_target_s), MIN_TARGET_DURATION_S), MAX_TARGET_DURATION_S)


def target_duration(first_gop_s: float | None, segment_target_s: float) -> int:
    """EXT-X-TARGETDURATION: a segment may wait for the first key frame after 0.9 of its target.

    None, the GOP is not known: the longest we allow, since the value can never be raised later.
    """
    if first_gop_s is None:
        return MAX_TARGET_DURATION_S
    longest = ceil(round(0.9 * segment_target_s + first_gop_s, 3))
    return min(max(longest, MIN_TARGET_DURATION_S), MAX_TARGET_DURATION_S)


def _rungs(source: SourceDescription, wanted: Collection[str], *, own_size: bool) -> list[Rung]:
    """Largest first, square pixels, even sizes. A portrait source has its short side on the rung too."""
    shown = _shown(source)
    if shown is None:
        return []
    rungs = []
    above = shown.limit
    if own_size:
        side = min(shown.short, _TOP_SIDE)
        rungs.append(_rung(f"{side}p", side, _rate_at(side), shown, source.frame_rate))
        above = min(above, side)
    share, of = _NEAR
    rungs += [
        _rung(name, side, bit_rate, shown, source.frame_rate)
        for name, (side, bit_rate) in RUNGS.items()
        if name in wanted and of * side <= share * above
    ]
    return rungs


def _shown(source: SourceDescription) -> _Shown | None:
    across, down = source.sample_aspect
    width = source.width * across // down if min(across, down) > 0 else source.width
    if width <= 0 or source.height <= 0:
        return None
    return _Shown(width, source.height, min(width, source.width, source.height))


def _rung(name: str, side: int, bit_rate: int, shown: _Shown, frame_rate: tuple[int, int]) -> Rung:
    short = shown.short
    size = _even(shown.width * side, short), _even(shown.height * side, short)
    return Rung(name, *size, bit_rate, _rate_of(side, frame_rate))


def _rate_at(side: int) -> int:
    """Bit/s of an H.264 rung of any short side: between its neighbours, in proportion below the smallest."""
    for (upper, most), (lower, least) in pairwise(_RATES):
        if side >= lower:
            return least + (most - least) * (min(side, upper) - lower) // (upper - lower)
    smallest, least = _RATES[-1]
    return max(100_000, least * side // smallest)


def _named_apart(rungs: list[Rung], taken: Collection[str]) -> list[Rung]:
    return [msgspec.structs.replace(rung, name=rung.name + _MADE) if rung.name in taken else rung for rung in rungs]


def _replaces(one: Contribution, rung: Rung) -> bool:
    return 10 * abs(one.height - rung.height) <= rung.height


def _even(numerator: int, denominator: int) -> int:
    """numerator / denominator to the nearest even number, at least 2."""
    return max(2, 2 * ((numerator + denominator) // (2 * denominator)))


def _rate_of(side: int, frame_rate: tuple[int, int]) -> tuple[int, int]:
    """The source's rate, halved until a rung of this side may have it."""
    numerator, denominator = frame_rate
    if not numerator or not denominator:
        return 0, 1
    most = _MAX_FAST_RATE if side >= _FAST_FROM else _MAX_SLOW_RATE
    while numerator > most * denominator:
        numerator, denominator = (
            (numerator // 2, denominator) if numerator % 2 == 0 else (numerator, 2 * denominator)
        )
    return numerator, denominator
