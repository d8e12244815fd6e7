"""What transcoding costs in cores, what a machine can give, and who should take what. Pure rules.

A cost is a number of cores: CPU seconds for a second of media. It is modelled from sizes and rates, and a
`Correction` brings the model to what is measured. The figures of a reference core are measured on a
Xeon with AVX-512: a 1080p30 ladder of three rungs at superfast is half a core.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from appliance.contracts.media import VideoFormat
from edge.media.ladder import Rung, scales_on

AUTO_SHARE = 0.7  # of the cores: beyond it parts become late although the machine is not full
_FALLBACK_RATE = 30.0
_SLOW_RATE = 31.0  # frames/s: what is not faster is not halved
_ENCODE = {
    "ultrafast": 3.1,
    "superfast": 5.9,
    "veryfast": 9.1,
    "faster": 16.0,
    "fast": 24.0,
    "medium": 32.0,
    "slow": 48.0,
}
_DECODE = {"hvc1": 1.5, "hev1": 1.5, "av01": 2.0, "vp09": 1.3}  # against H.264, by RFC 6381 entry


class Speeds(msgspec.Struct, frozen=True):
    """CPU nanoseconds per pixel of one core: decoding H.264, scaling (from and to), encoding with the preset."""

    decode: float
    scale_from: float
    scale_to: float
    encode: float


class RungCost(NamedTuple):
    """Cores of one rung: at its frame rate, and at half of it (the same for a rung that is not fast)."""

    name: str
    full: float
    half: float


class LadderCost(NamedTuple):
    """Cores of a broadcast. `decode` is needed while any rung runs. `rungs` largest first."""

    decode: float
    rungs: tuple[RungCost, ...]

    @property
    def total(self) -> float:
        """Everything at once."""
        return self.decode + sum(rung.full for rung in self.rungs) if self.rungs else 0.0


def reference_speeds(preset: str) -> Speeds:
    """The reference core's; a preset that is not known counts as the slowest that is."""
    return Speeds(1.64, 0.4, 1.0, _ENCODE.get(preset, max(_ENCODE.values())))


def ladder_cost(speeds: Speeds, source: VideoFormat, rungs: Sequence[Rung]) -> LadderCost:
    """The model: decoding by the source's size and rate, each rung by scaling and encoding at its own.

    Without rungs nothing is decoded but a picture now and then.
    """
    if not rungs:
        return LadderCost(0.0, ())
    rate = _rate(source.frame_rate, _FALLBACK_RATE)
    pixels = source.width * source.height
    decode = rate * pixels * speeds.decode * _DECODE.get(source.codec.partition(".")[0], 1.0) / 1e9
    largest = max(((rung.width, rung.height) for rung in rungs), key=lambda size: size[0] * size[1])
    return LadderCost(decode, tuple(_rung_cost(speeds, pixels, largest, rung, rate) for rung in rungs))


def _rung_cost(
    speeds: Speeds, source_pixels: int, largest: tuple[int, int], rung: Rung, source_rate: float
) -> RungCost:
    rate = _rate(rung.frame_rate, source_rate)
    taken = largest[0] * largest[1] if scales_on((rung.width, rung.height), largest) else source_pixels
    each = rung.width * rung.height * (speeds.scale_to + speeds.encode) + taken * speeds.scale_from
    full = rate * each / 1e9
    return RungCost(rung.name, full, full / 2 if rate > _SLOW_RATE else full)


def _rate(exact: tuple[int, int], otherwise: float) -> float:
    numerator, denominator = exact
    return numerator / denominator if numerator > 0 < denominator else otherwise


class Correction:
    """How many times the modelled cost is really used, learned slowly and within bounds."""

    LEAST, MOST = 0.25, 4.0

    def __init__(self, half_life_s: float = 10.0) -> None:
        """`half_life_s` of media: how soon half of a difference is learned."""
        self.factor = 1.0
        self._half_life_s = half_life_s

    def note(self, modelled: float, cpu_s: float, media_s: float) -> None:
        """`cpu_s` were used for `media_s` of media that the model takes `modelled` cores for."""
        if modelled <= 0.0 or media_s <= 0.0 or cpu_s < 0.0:
            return
        measured = min(max(cpu_s / media_s / modelled, self.LEAST), self.MOST)
        weight = 1.0 - 0.5 ** (media_s / self._half_life_s)
        self.factor += weight * (measured - self.factor)


class Pressure:
    """Takes from the budget while work falls behind that should fit, and gives back slowly.

    What else runs on a machine, or beside it on the same host, is in no CPU time that is measured here.
    """

    _LESS, _MORE = 0.9, 1.5
    _AGAIN_S = 5.0  # what a step changes shows only at the next segments
    _CALM_S = 20.0

    def __init__(self) -> None:
        self._limit: float | None = None
        self._since = float("-inf")  # the last step

    def budget(self, now: float, budget: float, load: float, least: float, *, behind: bool) -> float:
        """What is left of `budget` at `now`, monotonic seconds; `behind`: work that takes `load` cores is.

        Never less than `least`: a rung that is late is worth more to its viewers than none.
        """
        waited = now - self._since
        if behind and waited >= self._AGAIN_S:
            self._limit, self._since = self._LESS * min(load, budget), now
        elif not behind and self._limit is not None and waited >= self._CALM_S:
            self._limit, self._since = self._MORE * self._limit, now
        if self._limit is None or self._limit >= budget:
            self._limit = None
            return budget
        self._limit = max(self._limit, least)
        return min(self._limit, budget)


class Lateness:
    """Whether a job falls behind: later than `bound_s` and later still after `for_s`, or for long."""

    _MORE_S = 0.5
    _LONG = 4  # times `for_s`

    def __init__(self, bound_s: float = 3.0, for_s: float = 5.0) -> None:
        self._bound_s = bound_s
        self._for_s = for_s
        self._since: float | None = None  # beyond the bound and not catching up
        self._mark = 0.0, 0.0  # when it was looked at last, and how late it was
        self._behind = False
        self.late_s = 0.0

    def note(self, now: float, late_s: float) -> bool:
        """How late the newest parts are; whether the job falls behind."""
        self.late_s = late_s
        at, before_s = self._mark
        melts = late_s < 0.9 * before_s  # a backlog, such as after a take-over
        if late_s <= self._bound_s or self._since is None or melts:
            self._since = now if late_s > self._bound_s else None
            self._mark, self._behind = (now, late_s), False
        elif now - at >= self._for_s:
            self._mark = now, late_s
            is_long = now - self._since >= self._LONG * self._for_s
            self._behind = is_long or late_s - before_s >= self._MORE_S
        return self._behind


def budget_cores(setting: float, cores: float) -> float:
    """Cores for transcoding: the setting, or a share of the machine's `cores` where it is 0."""
    return setting if setting > 0.0 else AUTO_SHARE * cores


def share_of(budget: float, others: Sequence[float]) -> float:
    """What one worker may use of its machine's budget, besides the loads of its other workers.

    An even part is always its own: workers that both want more end at even parts, not at a fight.
    """
    return max(budget - sum(others), budget / (len(others) + 1))


class Candidate(NamedTuple):
    """A worker that could take a broadcast. `room` is what its machine has left, both in cores."""

    name: str
    load: float
    room: float


def placement_delay(
    mine: Candidate, others: Iterable[Candidate], cost: float, *, look_s: float, is_anothers: bool = False
) -> float:
    """Seconds that a worker leaves a free broadcast to others before it takes it itself.

    Where it fits, the least loaded worker is first; `is_anothers`, another that lives had it before and goes
    first. Where it fits nowhere, the one with most room takes it. Delays are bounded: nobody has to come.
    """
    rivals = list(others)
    if not rivals:
        return 0.0
    if cost <= mine.room:
        loaded = mine.load / (mine.load + mine.room) if mine.load > 0.0 else 0.0
        return look_s * (loaded + (1.0 if is_anothers else 0.0))
    if any(cost <= rival.room for rival in rivals):
        return 4 * look_s
    order = (mine.room, -mine.load, mine.name)
    return look_s * min(4, sum((rival.room, -rival.load, rival.name) > order for rival in rivals))
