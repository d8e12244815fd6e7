"""What playlists list while a broadcast's publisher is away: GAP parts, each when it is due. No clock, no I/O.

A server adds a part within a part target of the one before, also where none comes to it (RFC 8216bis, 6.2.1).
Players that find a playlist unchanged for a few seconds give it up. What is told so is behind the wall clock,
so a publisher who comes back has the first picture shown when it came.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from appliance.contracts.media import VIDEO_TIMESCALE, ChunkFlag, Init
from edge.ingest.rendition import Append, RenditionOutput, ResumePoint
from edge.ingest.shared import PackagerConfig
from edge.media.segmenter import Segmenter
from edge.media.segmenter_config import SegmenterConfig

_FIRST_US: Final = 100_000  # what a transcoder still holds comes with the first part, which is why it is soon
_LEAST_US: Final = 50_000
_ROUNDING_US: Final = 1_000  # a part is so much shorter than it may be: no tick is left over for another one
_MOST_APART: Final = VIDEO_TIMESCALE  # renditions that end further from each other are not filled
_GAP: Final = int(ChunkFlag.GAP)


class Interlude:
    """All renditions that the publisher wrote, from where the log ends. Times in Unix microseconds."""

    def __init__(
        self,
        config: PackagerConfig,
        resume: Mapping[str, ResumePoint],
        inits: Mapping[str, Sequence[Init]],
        now_us: int,
    ) -> None:
        """`resume` and `inits` are what the log holds, by rendition; `now_us` is when the publisher went."""
        ends = [point.end_media_time for point in resume.values()]
        self._last = max(resume.values(), key=lambda point: point.end_media_time, default=None)
        if max(ends, default=0) - min(ends, default=0) > _MOST_APART:
            self._last = None
        self._msn = max((point.header.msn for point in resume.values()), default=0)
        self._step_us = int(config.part_target_s * 1_000_000) - _ROUNDING_US
        self._segment = int(config.segment_target_s * VIDEO_TIMESCALE)
        self._began = min(ends, default=0)  # the segment, 90 kHz
        self._lines = [_Line(config, name, point, inits.get(name, ())) for name, point in resume.items()]
        self._told_us = 0  # up to when; 0: nothing was told
        self.due_us = now_us + _FIRST_US

    @property
    def is_possible(self) -> bool:
        """Whether there is something to go on from."""
        return self._last is not None

    def tell(self, now_us: int) -> list[Append]:
        """The parts that are due, or none. `due_us` says when the next ones are."""
        out: list[Append] = []
        while self.due_us <= now_us:
            out += self._part(self.due_us if self._told_us else now_us, now_us)
            self.due_us = self._told_us + self._step_us
        return out

    def finish(self, until_us: int, now_us: int) -> list[Append]:
        """The rest of the time up to when the publisher who comes back begins. Nothing before anything was told."""
        out: list[Append] = []
        while self._told_us and until_us - self._told_us >= _LEAST_US:
            out += self._part(min(until_us, self._told_us + self._step_us), now_us)
        return out

    def _part(self, until_us: int, now_us: int) -> list[Append]:
        """What is missing up to `until_us`, of each rendition. A segment lasts as long as others usually do."""
        if self._last is None:
            return []
        until = self._last.end_media_time + (until_us - self._last.end_pdt_us) * 9 // 100
        if not self._told_us or until - self._began > self._segment:
            self._msn += 1
            self._began = min(line.end for line in self._lines)
        self._told_us = until_us
        return [append for line in self._lines for append in line.fill(until, self._msn, now_us)]


class _Line:
    """One rendition."""

    def __init__(self, config: PackagerConfig, name: str, point: ResumePoint, inits: Sequence[Init]) -> None:
        scale = point.timescale
        self._point = point
        self._output = RenditionOutput(
            name, scale, point.header.epoch, inits=inits, last=point.header, bandwidth=point.bandwidth
        )
        cut = SegmenterConfig(
            timescale=scale,
            part_target=int(config.part_target_s * scale),
            segment_target=int(config.segment_target_s * scale),
            max_segment=int(config.segment_target_s * scale),
            given_boundaries=True,
        )
        self._segmenter = Segmenter(cut, msn=point.header.msn + 1, serial=point.header.next_serial)
        self._segmenter.begin_at(point.end_dts)
        self._is_closed = False

    @property
    def end(self) -> int:
        """Where it ends, 90 kHz."""
        return self._segmenter.end_dts * VIDEO_TIMESCALE // self._point.timescale

    def fill(self, until: int, msn: int, now_us: int) -> list[Append]:
        """GAP parts of segment `msn` up to `until`, 90 kHz."""
        out = self._close(now_us)
        segmenter, end = self._segmenter, until * self._point.timescale // VIDEO_TIMESCALE
        while segmenter.next_msn < msn and end > segmenter.end_dts:  # the others had begun one more
            share = (end - segmenter.end_dts) // (msn - segmenter.next_msn + 1)
            dts = segmenter.end_dts
            empty = segmenter.gap_segment(segmenter.next_msn, dts, share, pdt_us=self._pdt_us(dts))
            out.append(self._output.append(empty, late_us=now_us))
        while (left := end - segmenter.end_dts) > 0:
            duration = min(left, segmenter.config.part_target)
            for chunk in segmenter.missing(duration, pdt_us=self._pdt_us(segmenter.end_dts), msn=msn):
                flags = chunk.flags | ChunkFlag.AWAY if int(chunk.flags) & _GAP else chunk.flags
                out.append(self._output.append(chunk._replace(flags=flags), late_us=now_us))
        return out

    def _close(self, now_us: int) -> list[Append]:
        """At first the segment that a process that was killed left open."""
        closing = None if self._is_closed else self._output.closing(self._point, late_us=now_us)
        self._is_closed = True
        return [closing] if closing is not None else []

    def _pdt_us(self, dts: int) -> int:
        return self._point.end_pdt_us + (dts - self._point.end_dts) * 1_000_000 // self._point.timescale
