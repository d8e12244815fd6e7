"""The source's key frames: the target duration they allow, and whether segments can be cut at them at all."""

from math import ceil

from appliance.contracts.media import VIDEO_TIMESCALE
from edge.ingest import problems
from edge.ingest.shared import Shared
from edge.media.ladder import target_duration
from edge.media.segmenter import Segmenter
from edge.protocols.fmp4 import Sample

_LONG_GOP_S = 4.5
_TOO_LONG = 1.5  # segment targets
_UNEVEN, _UNEVEN_RATIO = 1.25, 1.5


class KeyFrames:
    """Decides the target duration once, when the first segment's end is known.

    Key frames further apart than 1.5 segment targets, or at uneven distances above 1.25, are no places to cut:
    with `repair` segments are then cut by time, and another rendition has to be watched.
    """

    def __init__(self, shared: Shared, segmenter: Segmenter) -> None:
        self._shared = shared
        self._segmenter = segmenter
        self._target = shared.config.segment_target_s
        self._first_dts: int | None = None
        self._last_dts = 0
        self._gaps: list[float] = []

    def watch(self, sample: Sample) -> None:
        """Each sample, before it is pushed."""
        if self._first_dts is None:
            if sample.key:
                self._first_dts = self._last_dts = sample.dts
            return
        gap_s = (sample.dts - self._last_dts) / VIDEO_TIMESCALE
        if gap_s > _LONG_GOP_S and not self._shared.needs_repair:
            self._shared.problem(problems.keyframe_interval(gap_s))
        if self._shared.target_duration_s is None:
            self._decide(sample, gap_s)
        if sample.key:
            self._last_dts = sample.dts

    def _decide(self, sample: Sample, gap_s: float) -> None:
        shared = self._shared
        if sample.key:
            self._gaps.append(gap_s)
            if sample.dts - (self._first_dts or 0) < 0.9 * self._target * VIDEO_TIMESCALE:
                return
        elif gap_s <= _TOO_LONG * self._target:
            return
        longest = max([*self._gaps, gap_s])
        if shared.config.repair and self._unusable(longest):
            self._repair(longest, sample)
        elif sample.key:
            shared.target_duration_s = target_duration(max(longest, self._target), self._target)
        else:
            shared.target_duration_s = target_duration(None, self._target)
        self._segmenter.set_max_segment(self._longest_segment())

    def _unusable(self, longest: float) -> bool:
        if longest > _TOO_LONG * self._target:
            return True
        return longest > _UNEVEN * self._target and longest > _UNEVEN_RATIO * min(self._gaps, default=longest)

    def _repair(self, longest: float, sample: Sample) -> None:
        """The segment that is open is longer than the others will be."""
        shared = self._shared
        shared.needs_repair = True
        shared.problem(problems.keyframes_repaired(longest))
        open_s = (sample.end - (self._first_dts or 0)) / VIDEO_TIMESCALE
        shared.target_duration_s = max(ceil(open_s), ceil(self._target))

    def _longest_segment(self) -> int:
        seconds = self._target if self._shared.needs_repair else self._shared.target_duration_s or 0
        return int(seconds * VIDEO_TIMESCALE)
