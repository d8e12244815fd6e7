"""A further video track of the encoder, as a rendition of its own on the source's segment boundaries.

While nothing comes of it the rendition goes on with GAP parts: at once while the source does, else behind the
source's pictures as far as its own may yet come. See `video_path`.
"""

from collections import deque
from itertools import pairwise

from appliance.contracts.media import VIDEO_TIMESCALE
from edge.ingest import problems
from edge.ingest.formats import VideoSource
from edge.ingest.holes import follow_holes
from edge.ingest.inputs import AccessUnit
from edge.ingest.rendition import Append
from edge.ingest.shared import Shared
from edge.media.absence import Absence
from edge.media.audio_cutter import HOLD_LIMIT_S, MAX_BOUNDARIES, Boundary, at_boundary
from edge.media.ladder import MAX_TARGET_DURATION_S
from edge.media.late_pictures import UNSEEN, LatePictures
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
        self._absence = Absence(config.part_target)
        self._gone_until = 0  # pictures are missing up to here; 0: they come
        self._late = LatePictures()
        self._overlaps = False  # pictures before `_gone_until` are there, from another publisher

    def begin_behind(self, end: int) -> None:
        """The log goes up to `end` (90 kHz). Pictures before it are decoded and not shown again."""
        self._gone_until, self._overlaps = end, True

    def go_on(self, segmenter: Segmenter, boundaries: deque[Boundary]) -> None:
        """Gaps were told so far by `segmenter`, which takes the chunks from now on: behind them."""
        segmenter.set_chunk_target(self.segmenter.config.chunk_target, tapered=self.segmenter.config.tapered)
        self.segmenter, self._boundaries = segmenter, boundaries
        self._open, self._gone_until = True, segmenter.end_dts

    def unit(self, source: VideoSource | None, unit: AccessUnit, stamp: int, now_us: int) -> list[Append]:
        """An access unit and the configuration that decodes it."""
        if source != self.source:
            if not unit.key or source is None:
                return []
            self._configure(source)
        if unit.open_gop:
            self._without_idr()
        timed = self._shared.timeline.video(
            stamp, unit.cts_ms, unit.key, unit.data, now_us=now_us, nano=unit.nano, track=self.track
        )
        for item in timed:
            if item.sample.dts < self._gone_until:
                self._absence.late(item.sample.dts, now_us)
            else:
                self._absence.picture(item.sample.dts, item.sample.end, now_us)
        return self._hold(timed, now_us)

    def _without_idr(self) -> None:
        """A key frame is no IDR picture: Chromium begins with no other. Who comes is offered a rung instead."""
        shared = self._shared
        if not shared.config.repair:
            shared.problem(problems.open_gop())
        elif self.name not in shared.given_up:
            shared.problem(problems.track_open_gop(self.name))
            shared.give_up(self.name)

    def boundary(self, boundary: Boundary) -> None:
        """A segment of the source starts."""
        self._boundaries.append(boundary)
        if len(self._boundaries) > MAX_BOUNDARIES:
            self._boundaries.popleft()

    def advance(self, dts: int, now_us: int, *, ends_part: bool) -> list[Append]:
        """The source has come to `dts`: releases frames before it. Its own frames say when a part ends."""
        _ = ends_part
        self._watermark = max(self._watermark, dts)
        out = self._release(now_us)
        if until := self._absence.sound(dts, now_us):
            out += self._miss(until, now_us)
        return out

    def miss(self, until: int, now_us: int) -> list[Append]:
        """The source goes on without pictures, and so does this track where it has none either."""
        self._watermark = max(self._watermark, until)
        self._absence.sound(until, now_us)
        return self._release(now_us) + self._miss(until, now_us)

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
        out += self._decode_late(self._late.take(self.segmenter.end_dts), now_us)
        return out + self._shared.appends(self.output, self.segmenter.finish(), now_us)

    def _configure(self, source: VideoSource) -> None:
        hints = self._shared.hints.of_track(self.track)
        rate = hints.frame_rate(source.picture)
        held = self._shared.timeline.set_frame_rate(rate, track=self.track)
        self._held.extend(timed.sample for timed in held)
        self._late.clear()
        track = source.track()
        if self.output.differs_from_last(track):
            self._new_config = self._open
            self._config_dts = self._held[-1].end if self._held else self.segmenter.end_dts
        declared = hints.video_bit_rate
        self.output.expect(source.expected_bandwidth(declared), is_guess=not declared)
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
            out += self._take(sample, now_us)
        return out

    def _take(self, sample: Sample, now_us: int) -> list[Append]:
        if sample.dts < self._gone_until:
            return self._decode_late(self._late.hold(sample, self.segmenter.end_dts), now_us)
        out: list[Append] = []
        if self._overlaps:
            out += self._take_over(sample, now_us)
        elif self._gone_until:
            out += self._fill(sample.dts, now_us)
            self._gone_until = 0
            out += self._decode_late(self._late.before(sample, self.segmenter.end_dts), now_us)
        sample = self._late.fit(sample, self.segmenter.end_dts)
        return out + self._shared.appends(self.output, self._assign(sample), now_us)

    def _take_over(self, sample: Sample, now_us: int) -> list[Append]:
        """What has to be decoded before the first picture that is not in the log: behind that, as the source's."""
        self._overlaps, self._gone_until = False, 0
        if sample.key:
            self._late.clear()
            return []
        point = self._shared.resume.get(self.name)
        begin = max(self.segmenter.end_dts, point.end_dts if point is not None else 0)
        if self._boundaries:
            begin = max(begin, self._boundaries[-1].dts)
        return self._decode_late(self._late.take(begin), now_us)

    def _decode_late(self, samples: list[Sample], now_us: int) -> list[Append]:
        """Those that came too late, with the times at which they are decoded."""
        out: list[Append] = []
        for sample in samples:
            out += self._shared.appends(self.output, self._assign(sample), now_us)
        return out

    def _miss(self, until: int, now_us: int) -> list[Append]:
        """Nothing has come up to `until`, unless it is held."""
        if not self._open or self._held or until <= self.segmenter.end_dts:
            return []
        out = self._hold(self._shared.timeline.flush(track=self.track), now_us)
        if self._held:
            return out
        out += self._fill(until, now_us)
        self._gone_until = self.segmenter.end_dts
        return out

    def _fill(self, until: int, now_us: int) -> list[Append]:
        """GAP parts up to `until` (90 kHz), in the source's segments."""
        out, segmenter = list[Append](), self.segmenter
        near = segmenter.config.part_target // 2
        while (end := segmenter.end_dts) < until:
            begins, stop = None, until
            while self._boundaries and self._boundaries[0].dts < min(end, until - near) + near:
                begins = self._boundaries.popleft()
            if self._boundaries:
                stop = max(end + 1, min(until, self._boundaries[0].dts))
            out += self._miss_part(min(stop - segmenter.end_dts, segmenter.config.part_target), begins, now_us)
        return out

    def _miss_part(self, duration: int, begins: Boundary | None, now_us: int) -> list[Append]:
        segmenter = self.segmenter
        pdt_us = self._shared.timeline.pdt_us(segmenter.end_dts + self._late.reorder)
        if begins is None:
            chunks = segmenter.missing(duration, pdt_us=pdt_us)
        else:
            self.output.move_use(begins.msn + 1, since=begins.msn)
            chunks = segmenter.missing(duration, pdt_us=pdt_us, msn=begins.msn, discontinuity=begins.discontinuity)
        return self._shared.appends(self.output, chunks, now_us)

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
        is_seen = sample.duration > UNSEEN
        if is_seen and abs(sample.pts - started.pts) > sample.duration and not started.forced:
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
