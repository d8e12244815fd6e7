"""A rendition of which an encoder sent a track earlier in the broadcast, and sends none now.

It goes on with GAP parts on the source's segment boundaries, so that its viewers change over, and is given up
after a while: an encoder that comes back with all it had does so at once. A later session may send it again.
"""

from collections import deque

from appliance.contracts.media import VIDEO_TIMESCALE
from edge.ingest import problems
from edge.ingest.holes import follow_holes
from edge.ingest.rendition import Append
from edge.ingest.shared import Shared
from edge.media.audio_cutter import MAX_BOUNDARIES, Boundary
from edge.media.ladder import MAX_TARGET_DURATION_S
from edge.media.segmenter import Chunk, Segmenter

GIVEN_UP_S = 30


class AbsentPath:
    """A `Follower` of the source. `is_over`: it was given up."""

    def __init__(self, shared: Shared, name: str, next_msn: int) -> None:
        """`next_msn` is the segment that starts next."""
        config = shared.segmenter_config(max_segment_s=MAX_TARGET_DURATION_S, given_boundaries=True)
        self.name = name
        self.output = shared.output(name, VIDEO_TIMESCALE)
        self.segmenter = Segmenter(config, msn=next_msn, serial=shared.serial(name))
        self._part = config.part_target
        self._shared = shared
        self.boundaries: deque[Boundary] = deque()
        self._began: int | None = None
        self._last_dts = 0
        self.is_over = False

    @property
    def has_begun(self) -> bool:
        """Whether there are gaps since this session began."""
        return self._began is not None

    def boundary(self, boundary: Boundary) -> None:
        """A segment of the source starts."""
        if self._began is None:
            self._began = boundary.dts
            self.segmenter.begin_at(boundary.dts)
        self.boundaries.append(boundary)
        if len(self.boundaries) > MAX_BOUNDARIES:
            self.boundaries.popleft()

    def advance(self, dts: int, now_us: int, *, ends_part: bool) -> list[Append]:
        """The source has come to `dts`. Parts end where the source's do."""
        step, self._last_dts = dts - self._last_dts, dts
        if self._began is None or self.is_over:
            return []
        begun = [boundary.dts for boundary in self.boundaries if boundary.dts <= dts]
        out = self._fill(dts + step if ends_part else max(begun, default=0), now_us)
        if dts - self._began >= GIVEN_UP_S * VIDEO_TIMESCALE:
            out += self._give_up(now_us)
        return out

    def miss(self, until: int, now_us: int) -> list[Append]:
        """The source has none either."""
        self._last_dts = until
        return [] if self._began is None or self.is_over else self._fill(until, now_us)

    def fill_hole(self, holes: list[Chunk], until: int, now_us: int) -> list[Append]:
        """GAP segments as the source's."""
        point = self._shared.resume[self.name]
        return follow_holes(holes, until, point, self.segmenter, self.output, now_us)

    def finish(self, now_us: int) -> list[Append]:
        """The end of the session."""
        return self._shared.appends(self.output, self.segmenter.finish(), now_us)

    def _fill(self, until: int, now_us: int) -> list[Append]:
        """GAP parts up to `until` (90 kHz), in the source's segments."""
        out: list[Append] = []
        while (end := self.segmenter.end_dts) < until:
            begins = None
            while self.boundaries and self.boundaries[0].dts <= end:
                begins = self.boundaries.popleft()
            stop = min(until, self.boundaries[0].dts) if self.boundaries else until
            out += self._miss_part(min(stop - end, self._part), begins, now_us)
        return out

    def _give_up(self, now_us: int) -> list[Append]:
        self.is_over = True
        self._shared.give_up(self.name)
        self._shared.problem(problems.video_track_gone())
        return self.finish(now_us)

    def _miss_part(self, duration: int, begins: Boundary | None, now_us: int) -> list[Append]:
        segmenter = self.segmenter
        pdt_us = self._shared.timeline.pdt_us(segmenter.end_dts)
        if begins is None:
            chunks = segmenter.missing(duration, pdt_us=pdt_us)
        else:
            chunks = segmenter.missing(duration, pdt_us=pdt_us, msn=begins.msn, discontinuity=begins.discontinuity)
        return self._shared.appends(self.output, chunks, now_us)
