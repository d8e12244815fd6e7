"""A further video track of the encoder, as a rendition of its own on the source's segment boundaries."""

from collections import deque
from itertools import pairwise

from appliance.contracts.media import VIDEO_TIMESCALE
from edge.ingest import problems
from edge.ingest.formats import VideoSource
from edge.ingest.holes import follow_holes
from edge.ingest.inputs import AccessUnit
from edge.ingest.rendition import Append
from edge.ingest.shared import Shared
from edge.media.audio_cutter import HOLD_LIMIT_S, MAX_BOUNDARIES, Boundary, at_boundary
from edge.media.ladder import MAX_TARGET_DURATION_S
from edge.media.segmenter import Chunk, Segmenter
from edge.media.timeline import Timed
from edge.protocols.fmp4 import Sample


class ContributedPath:
    """A frame waits until the source has passed it, at most HOLD_LIMIT_S of media.

    A segment begins with the key frame within one frame of the source's boundary. Where there is none it
    begins with the next key frame, and the streamer is told; a segment without any key frame is a GAP.
    """

    def __init__(self, shared: Shared, name: str, track: int, next_msn: int) -> None:
        """`track` is the encoder's number of it, `next_msn` the segment that starts next."""
        self.name = name
        self.track = track
        config = shared.segmenter_config(max_segment_s=MAX_TARGET_DURATION_S, given_boundaries=True)
        self.segmenter = Segmenter(config, msn=next_msn, serial=shared.serial(name))
        self.output = shared.output(name, VIDEO_TIMESCALE)
        self.source: VideoSource | None = None
        self._shared = shared
        self._held: deque[Sample] = deque()
        self._boundaries: deque[Boundary] = deque()
        self._watermark = -1
        self._open = False  # frames have a segment to be in
        self._new_config = False  # the segment that is open cannot have the frames that come
        self._config_dts = 0

    def unit(self, source: VideoSource | None, unit: AccessUnit, stamp: int, now_us: int) -> list[Append]:
        """An access unit and the configuration that decodes it."""
        if source != self.source:
            if not unit.key or source is None:
                return []
            self._configure(source)
        timed = self._shared.timeline.video(
            stamp, unit.cts_ms, unit.key, unit.data, now_us=now_us, nano=unit.nano, track=self.track
        )
        return self._hold(timed, now_us)

    def boundary(self, boundary: Boundary) -> None:
        """A segment of the source starts."""
        self._boundaries.append(boundary)
        if len(self._boundaries) > MAX_BOUNDARIES:
            self._boundaries.popleft()

    def advance(self, dts: int, now_us: int, *, ends_part: bool) -> list[Append]:
        """The source has come to `dts`: releases frames before it. Its own frames say when a part ends."""
        _ = ends_part
        self._watermark = max(self._watermark, dts)
        return self._release(now_us)

    def fill_hole(self, holes: list[Chunk], until: int, now_us: int) -> list[Append]:
        """GAP segments as the source's."""
        point = self._shared.resume.get(self.name)
        if point is None:
            return []
        return follow_holes(holes, until, point, self.segmenter, self.output, now_us)

    def finish(self, now_us: int) -> list[Append]:
        """The end of the session: everything held comes out."""
        out = self._hold(self._shared.timeline.flush(track=self.track), now_us)
        out += self._release(now_us, everything=True)
        return out + self._shared.appends(self.output, self.segmenter.finish(), now_us)

    def _configure(self, source: VideoSource) -> None:
        hints = self._shared.hints.of_track(self.track)
        rate = hints.frame_rate(source.picture)
        held = self._shared.timeline.set_frame_rate(rate, track=self.track)
        self._held.extend(timed.sample for timed in held)
        track = source.track()
        if self.output.differs_from_last(track):
            self._new_config = self._open
            self._config_dts = self._held[-1].end if self._held else self.segmenter.end_dts
        self.output.bandwidth = self.output.bandwidth or hints.video_bit_rate or source.first_bandwidth
        self.output.use(track, self.segmenter.next_msn, video=source.described(rate))
        self.source = source
        self._shared.revision += 1

    def _hold(self, timed: list[Timed], now_us: int) -> list[Append]:
        self._held.extend(item.sample for item in timed)
        return self._release(now_us)

    def _release(self, now_us: int, everything: bool = False) -> list[Append]:
        out: list[Append] = []
        while self._held:
            sample = self._held[0]
            waited = self._held[-1].dts - sample.dts
            passed = self._watermark >= sample.pts + sample.duration
            if not passed and not everything and waited <= HOLD_LIMIT_S * VIDEO_TIMESCALE:
                break
            self._held.popleft()
            out += self._shared.appends(self.output, self._assign(sample), now_us)
        return out

    def _assign(self, sample: Sample) -> list[Chunk]:
        crossed = self._crossed(sample)
        pdt_us = self._shared.timeline.pdt_us(sample.pts)
        if not crossed:
            if not self._open or (self._new_config and sample.dts >= self._config_dts):
                return []
            return self.segmenter.push(sample, pdt_us=pdt_us)
        out = self._skip_segments(crossed) if self._open else []
        said = crossed[-1:] if out else crossed  # the others have said it in segments of their own
        started = crossed[-1]
        if abs(sample.pts - started.pts) > sample.duration and not started.forced:
            self._shared.problem(problems.track_key_frames(self.name))
        flagged = any(boundary.discontinuity for boundary in said)
        self._open, self._new_config = True, False
        return out + self.segmenter.push(sample, pdt_us=pdt_us, msn=started.msn, discontinuity=flagged)

    def _crossed(self, sample: Sample) -> list[Boundary]:
        """The boundaries that this frame is the start of, or lies behind, as far as it can start a segment.

        Presentation times are compared: an encoder may reorder the pictures of one track and not another's.
        """
        count = 0
        for index, boundary in enumerate(self._boundaries):
            if sample.key:
                is_before = sample.pts < boundary.pts - sample.duration
            else:
                is_before = sample.dts < boundary.dts - sample.duration // 2
            if is_before:
                break
            if sample.key or (boundary.forced and self._open):
                count = index + 1
        return [self._boundaries.popleft() for _ in range(count)]

    def _skip_segments(self, crossed: list[Boundary]) -> list[Chunk]:
        """GAP segments for boundaries at which no segment could begin."""
        if len(crossed) < 2:
            return []
        out = self.segmenter.finish()
        for boundary, following in pairwise(crossed):
            dts = max(boundary.dts, self.segmenter.end_dts)
            duration = max(1, following.dts - dts)
            pdt_us = self._shared.timeline.pdt_us(dts)
            chunk = self.segmenter.gap_segment(boundary.msn, dts, duration, pdt_us=pdt_us)
            out.append(at_boundary(chunk, boundary))
        return out
