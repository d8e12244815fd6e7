"""Cuts audio at the video's segment boundaries, so that an msn means the same time in both renditions."""

from collections import deque
from itertools import pairwise
from typing import Final, NamedTuple

from appliance.contracts.media import VIDEO_TIMESCALE, ChunkFlag
from edge.media.segmenter import Chunk, Segmenter
from edge.media.segmenter_config import SegmenterConfig
from edge.protocols.fmp4 import Sample

HOLD_LIMIT_S: Final = 1
_MOST_HELD_S: Final = 5
_SHORTEST_PART: Final = 85  # percent of the target: players may be told of no shorter one but a segment's last
MAX_BOUNDARIES: Final = 64


class Boundary(NamedTuple):
    """A video segment's start: its first pts and dts in 90 kHz ticks. `forced`: it is no key frame."""

    msn: int
    pts: int
    discontinuity: bool = False
    dts: int = 0
    forced: bool = False


def at_boundary(gap: Chunk, boundary: Boundary) -> Chunk:
    """A gap segment with the boundary's discontinuity, so that all renditions count the same."""
    return gap._replace(flags=gap.flags | ChunkFlag.DISCONTINUITY) if boundary.discontinuity else gap


class _Held:
    __slots__ = ("pdt_us", "sample")

    def __init__(self, sample: Sample, pdt_us: int) -> None:
        self.sample = sample
        self.pdt_us = pdt_us


class AudioCutter:
    """Audio of one broadcast. A frame waits until the video has passed it.

    Not for ever: 5 s of media, where the video comes that much later, as from an encoder that looks ahead. Who
    knows that there is none says so by `advance`.

    The first frame with pts >= a boundary's pts starts that msn; every part is independent. A part ends with the
    video's where the target allows it: who plays needs both, and two messages at once cost less than one twice.
    A segment that turns out to have no audio at all is written as a GAP segment, so that the msn exists.
    With `follows_video` False the cutter makes its own grid of the segment target.
    """

    def __init__(
        self,
        sample_rate: int,
        *,
        part_target: int,
        segment_target: int,
        follows_video: bool,
        chunk_target: int = 0,
        msn: int = 0,
        serial: int = 0,
        discontinuity: bool = False,
    ) -> None:
        """Targets in ticks of `sample_rate`, `chunk_target` 0: one chunk per part.

        `msn` and `serial` are those of the first segment and part.
        """
        config = SegmenterConfig(
            timescale=sample_rate,
            part_target=part_target,
            segment_target=segment_target,
            chunk_target=chunk_target,
            max_segment=1 << 62,
            given_boundaries=True,
        )
        self.segmenter = Segmenter(config, msn=msn, serial=serial)
        self.follows_video = follows_video
        self._rate = sample_rate
        self._most_held = _MOST_HELD_S * sample_rate
        self._first_discontinuity = discontinuity
        self._held: deque[_Held] = deque()
        self._boundaries: deque[Boundary] = deque()
        self._current: Boundary | None = None
        self._watermark = -1
        self._grid_dts: int | None = None

    def boundary(self, boundary: Boundary) -> None:
        """A video segment starts. Call in msn order, before the watermark passes it."""
        self._boundaries.append(boundary)
        if len(self._boundaries) > MAX_BOUNDARIES:
            self._boundaries.popleft()

    def advance(self, watermark: int, *, ends_part: bool = False) -> list[Chunk]:
        """The video's decode time (90 kHz) has come to `watermark`: releases audio before it.

        `ends_part`: a part of the video ends with that frame.
        """
        self._watermark = max(self._watermark, watermark)
        out = self._release()
        if ends_part:
            out += self.segmenter.close_part(-(-self.segmenter.config.part_target * _SHORTEST_PART // 100))
        return out

    def push(self, sample: Sample, *, pdt_us: int, discontinuity: bool = False) -> list[Chunk]:
        """Takes an audio frame. `discontinuity` matters without video only, else the boundary says it."""
        if not self.follows_video:
            return self._push_on_grid(sample, pdt_us, discontinuity)
        held = self._held
        held.append(_Held(sample, pdt_us))
        first = held[0].sample  # where others wait already, the first of them is ahead
        is_ahead = len(held) > 1 or sample.pts * VIDEO_TIMESCALE >= self._watermark * self._rate
        if is_ahead and sample.dts - first.dts <= self._most_held:
            return []
        return self._release()

    def finish(self) -> list[Chunk]:
        """Releases everything and ends the segment, as the end of a publisher's session does.

        Sound that lies far ahead of the last picture is left out: it would make the segment too long.
        """
        last = self._watermark * self._rate // VIDEO_TIMESCALE + HOLD_LIMIT_S * self._rate
        while self._held and self._watermark >= 0 and self._held[-1].sample.dts > last:
            self._held.pop()
        out = self._release(everything=True)
        out += self.segmenter.finish()
        self._boundaries.clear()
        return out

    def _push_on_grid(self, sample: Sample, pdt_us: int, discontinuity: bool) -> list[Chunk]:
        target = self.segmenter.config.segment_target
        msn: int | None = None
        if self._grid_dts is None or discontinuity or sample.dts >= self._grid_dts + target:
            msn = self.segmenter.next_msn
            keeps_grid = self._grid_dts is not None and not discontinuity
            keeps_grid = keeps_grid and sample.dts < (self._grid_dts or 0) + 2 * target
            self._grid_dts = (self._grid_dts or 0) + target if keeps_grid else sample.dts
        flagged = discontinuity or self._first_discontinuity
        self._first_discontinuity = False
        return self.segmenter.push(sample, pdt_us=pdt_us, msn=msn, discontinuity=flagged)

    def _release(self, everything: bool = False) -> list[Chunk]:
        out: list[Chunk] = []
        waiting, run = self._held, list[_Held]()
        passed = self._watermark * self._rate
        while waiting:
            held = waiting[0]
            sample = held.sample
            is_ahead = (sample.dts + sample.cts) * VIDEO_TIMESCALE >= passed
            if is_ahead and not everything and waiting[-1].sample.dts - sample.dts <= self._most_held:
                break
            waiting.popleft()
            if self._current is None or (self._boundaries and self._is_past(sample, self._boundaries[0])):
                out += self._push_run(run) + self._assign(held)
                run = []
            else:
                run.append(held)
        return out + self._push_run(run) if run else out

    def _push_run(self, run: list[_Held]) -> list[Chunk]:
        """Frames between which no segment starts."""
        return self.segmenter.push_all([held.sample for held in run], pdt_us=run[0].pdt_us) if run else []

    def _assign(self, held: _Held) -> list[Chunk]:
        """The first frame of a segment; one before the first segment has none to be in."""
        out: list[Chunk] = []
        crossed: list[Boundary] = []
        while self._boundaries and self._is_past(held.sample, self._boundaries[0]):
            crossed.append(self._boundaries.popleft())
        if not crossed:
            return out
        skipped = self._skip_segments(crossed, held)
        out += skipped
        started = crossed[-1]
        said = crossed[-1:] if skipped else crossed  # the others have said it in segments of their own
        flagged = any(boundary.discontinuity for boundary in said) or self._first_discontinuity
        self._first_discontinuity = False
        self._current = started
        out += self.segmenter.push(
            held.sample, pdt_us=held.pdt_us, msn=started.msn, discontinuity=flagged
        )  # fmt: skip
        return out

    def _skip_segments(self, crossed: list[Boundary], held: _Held) -> list[Chunk]:
        """GAP segments for boundaries that no audio frame lies behind."""
        if self._current is None or len(crossed) < 2:
            return []
        out = self.segmenter.finish()
        for boundary, following in pairwise(crossed):
            dts = max(self._ticks(boundary.pts), self.segmenter.end_dts)
            duration = max(0, self._ticks(following.pts) - dts)
            before_us = (held.sample.dts - dts) * 1_000_000 // self._rate
            chunk = self.segmenter.gap_segment(boundary.msn, dts, duration, pdt_us=held.pdt_us - before_us)
            out.append(at_boundary(chunk, boundary))
        return out

    def _ticks(self, pts: int) -> int:
        return pts * self._rate // VIDEO_TIMESCALE

    def _is_past(self, sample: Sample, boundary: Boundary) -> bool:
        return sample.pts * VIDEO_TIMESCALE >= boundary.pts * self._rate
