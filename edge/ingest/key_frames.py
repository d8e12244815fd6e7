"""The source's key frames: the target duration announced, and whether segments can be cut at them at all."""

from typing import Final

from appliance.contracts.media import VIDEO_TIMESCALE
from edge.ingest import problems
from edge.ingest.shared import Shared
from edge.media.absence import PAUSE
from edge.media.ladder import MAX_TARGET_DURATION_S, announced_duration, target_duration
from edge.media.segmenter import Segmenter
from edge.protocols.fmp4 import Sample

_ANNOUNCE_S: Final = 0.3  # of media: viewers need not wait for the first segment's end
_TOO_LONG: Final = 1.5  # segment targets
_ROUNDING_S: Final = 0.4  # EXTINF is rounded before it is compared with the target duration (RFC 8216, 4.3.3.1)


class KeyFrames:
    """With `repair` the target duration is announced at once, twice the segment target: key frames as far
    apart as that are places to cut. Where they are further apart a segment ends without one, and from then on
    segments are cut by time and another rendition has to be watched. Not where pictures were missing in between:
    then the encoder makes enough key frames, and one segment is cut by time. Where key frames are no IDR pictures
    another rendition has to be watched as well.
    """

    def __init__(self, shared: Shared, segmenter: Segmenter) -> None:
        self._shared = shared
        self._segmenter = segmenter
        self._first_dts: int | None = None
        self._last_dts = 0
        self._end_dts = 0  # of the sample before
        self._paused = 0  # ticks without pictures since the last key frame
        self._longest_s = 0.0
        self._tolerated = 1 if shared.join is not None else 0  # a session that joins begins without a key frame
        if shared.config.cut_by_time:
            shared.needs_repair = True
        self._set_longest()

    def watch(self, sample: Sample) -> None:
        """Each sample, before it is pushed."""
        if self._first_dts is None:
            self._first_dts = self._last_dts = self._end_dts = sample.dts
        if sample.dts - self._end_dts > PAUSE:
            self._paused += sample.dts - self._end_dts
        gap_s = (sample.dts - self._last_dts - self._paused) / VIDEO_TIMESCALE
        self._longest_s = max(self._longest_s, gap_s)
        if self._shared.target_duration_s is None:
            self._announce(sample, gap_s, (sample.dts - self._first_dts) / VIDEO_TIMESCALE)
        if self._segmenter.forced_cuts > self._tolerated and not self._shared.needs_repair:
            self._tolerated = self._segmenter.forced_cuts
            if not self._paused or gap_s * VIDEO_TIMESCALE > self._segmenter.config.max_segment:
                self._cut_without_key()
        self._end_dts = sample.end
        if sample.key:
            self._last_dts, self._paused = sample.dts, 0

    def _announce(self, sample: Sample, gap_s: float, elapsed_s: float) -> None:
        """Where nobody repairs, the first GOP is waited for: segments must be as long as it is."""
        shared, target_s = self._shared, self._shared.config.segment_target_s
        if shared.config.repair:
            if elapsed_s < _ANNOUNCE_S:
                return
            shared.announce(announced_duration(target_s))
        elif sample.key and elapsed_s >= 0.9 * target_s:
            shared.announce(target_duration(max(self._longest_s, target_s), target_s))
        elif gap_s > _TOO_LONG * target_s:
            shared.announce(MAX_TARGET_DURATION_S)
        else:
            return
        self._set_longest()

    def _cut_without_key(self) -> None:
        shared = self._shared
        if not shared.config.repair:
            shared.problem(problems.keyframe_interval(self._longest_s))
            return
        shared.needs_repair = True
        shared.revision += 1
        shared.problem(problems.keyframes_repaired(self._longest_s))
        self._set_longest()

    def without_idr(self) -> None:
        """A key frame is no IDR picture: Chromium begins with no other."""
        shared = self._shared
        shared.problem(problems.open_gop_repaired() if shared.config.repair else problems.open_gop())
        if shared.config.repair and not shared.needs_repair:
            shared.needs_repair = True
            shared.revision += 1
            self._set_longest()

    def _set_longest(self) -> None:
        config = self._shared.config
        announced = self._shared.target_duration_s or MAX_TARGET_DURATION_S
        seconds = config.segment_target_s if self._shared.needs_repair else announced + _ROUNDING_S
        self._segmenter.set_max_segment(int(seconds * VIDEO_TIMESCALE))
