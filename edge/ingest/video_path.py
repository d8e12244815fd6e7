"""The source rendition: video track 0 through timeline and segmenter into the log. It sets the pace of all.

While only sound comes the rendition goes on with GAP parts, as far behind the sound as pictures may yet come. When
they come back, their first key frame starts a segment. Those that come for a time that was told as a gap are
decoded behind it and not shown.
"""

from typing import Protocol

from appliance.contracts.media import SOURCE, VIDEO_TIMESCALE
from edge.ingest import problems
from edge.ingest.formats import VideoSource
from edge.ingest.holes import MIN_HOLE_US, SMALL
from edge.ingest.inputs import AccessUnit
from edge.ingest.key_frames import KeyFrames
from edge.ingest.rendition import Append, ResumePoint
from edge.ingest.shared import Shared
from edge.media.absence import Absence
from edge.media.audio_cutter import Boundary
from edge.media.ladder import MAX_TARGET_DURATION_S
from edge.media.late_pictures import LatePictures
from edge.media.segmenter import Chunk, Segmenter
from edge.media.timeline import Timed
from edge.protocols.fmp4 import Sample


class Follower(Protocol):
    """A rendition cut at the source's boundaries."""

    def boundary(self, boundary: Boundary) -> None:
        """A segment of the source starts."""

    def advance(self, dts: int, now_us: int, *, ends_part: bool) -> list[Append]:
        """The source's decode time (90 kHz) has come to `dts`; `ends_part`: a part of it ends with that frame."""

    def miss(self, until: int, now_us: int) -> list[Append]:
        """The source has told that pictures are missing up to `until` (90 kHz), where a part of it ends."""

    def fill_hole(self, holes: list[Chunk], until: int, now_us: int) -> list[Append]:
        """The source has filled the time since the last session with `holes`, up to `until` (90 kHz)."""


class VideoPath:
    """`followers` may be added to while it runs."""

    def __init__(self, shared: Shared) -> None:
        self.followers: list[Follower] = []
        self.segmenter = Segmenter(
            shared.segmenter_config(max_segment_s=shared.target_duration_s or MAX_TARGET_DURATION_S),
            msn=shared.resume[SOURCE].header.msn + 1 if SOURCE in shared.resume else shared.next_msn(),
            serial=shared.serial(SOURCE),
        )
        self.output = shared.output(SOURCE, VIDEO_TIMESCALE)
        self.source: VideoSource | None = None
        self.begun: Boundary | None = None  # the segment of which nothing came but its first picture
        self._shared = shared
        self._started = shared.join is not None
        self._keys = KeyFrames(shared, self.segmenter)
        self.absence = Absence(self.segmenter.config.part_target)
        self._gone_until = 0  # pictures are missing up to here; 0: they come
        self._late = LatePictures()
        self._overlaps = False  # those before are there, from another publisher

    def begin_behind(self, end: int) -> None:
        """The log goes up to `end` (90 kHz). Pictures before it are decoded and not shown again."""
        self._gone_until, self._overlaps = end, True

    def unit(self, source: VideoSource | None, unit: AccessUnit, stamp: int, now_us: int) -> list[Append]:
        """An access unit and the configuration that decodes it."""
        out: list[Append] = []
        if source is not self.source and source != self.source:
            if source is not None and unit.key and self._is_other_codec(source):
                self._shared.end_for_other_video()
            if self._shared.is_other_video:
                return []
            if source is None or not (unit.key or self._continues(source)):
                return []  # nothing decodes before a key frame of the new configuration
            out += self._configure(source, now_us)
        if unit.open_gop:
            self._keys.without_idr()
        timed = self._shared.timeline.video(
            stamp, unit.cts_ms, unit.key, unit.data, now_us=now_us, nano=unit.nano
        )  # fmt: skip
        if self._shared.timeline.stood_still:
            self._shared.problem(problems.stamps_still())
        begin, end = self._shared.timeline.video_clock.newest
        is_late = begin < self._gone_until and not self._overlaps
        if is_late:
            self._came_late(begin, now_us)
        for item in timed:
            out += self._push(item, now_us)
        if not is_late and (self._started or unit.key):
            self.absence.picture(begin, end, now_us)
        return out

    def _came_late(self, dts: int, now_us: int) -> None:
        self.absence.late(dts, now_us)
        if self.absence.never_in_time(dts, self._gone_until, now_us):
            self._shared.timeline.move_video(self._gone_until - dts)

    def miss(self, until: int, now_us: int) -> list[Append]:
        """As much sound has come that pictures are missing up to `until` (90 kHz): see `absence`."""
        if until <= self._gone_until or self._overlaps:
            return []
        out = self.flush(now_us)  # a picture that came behind the gap has its place before the next
        out += self._miss(until, now_us)
        self._gone_until = self.segmenter.end_dts
        self._shared.timeline.skip_video(self._gone_until)
        return out

    def _is_other_codec(self, source: VideoSource) -> bool:
        """Whether the broadcast had pictures in another codec before, in which those that watch go on."""
        before = self.output.inits[-1].video if self.output.inits else None
        return before is not None and _codec(before.codec) != _codec(source.codec)

    def _continues(self, source: VideoSource) -> bool:
        """Whether the first picture may go on in the middle of what the log ends with."""
        first = self._shared.join is not None and self.source is None
        return first and not self.output.differs_from_last(source.track())

    def flush(self, now_us: int) -> list[Append]:
        """The frame held back to learn its duration comes out."""
        out: list[Append] = []
        for timed in self._shared.timeline.flush():
            out += self._push(timed, now_us)
        return out

    def finish(self, now_us: int) -> list[Append]:
        """Ends the segment."""
        out = self.flush(now_us)
        if not self._overlaps:
            out += self._decode_late(self._late.take(self.segmenter.end_dts), now_us)
        return out + self._shared.appends(self.output, self.segmenter.finish(), now_us)

    def _configure(self, source: VideoSource, now_us: int) -> list[Append]:
        """A new decoder configuration, at its first key frame."""
        out: list[Append] = []
        shared = self._shared
        rate = shared.hints.frame_rate(source.picture)
        if self.source is not None:
            for timed in shared.timeline.set_frame_rate(rate):
                out += self._push(timed, now_us)
        self.source = source
        self._late.clear()
        self.absence.announce(rate)
        track = source.track()
        shared.discontinuity = shared.discontinuity or self.output.differs_from_last(track)
        declared = shared.hints.video_bit_rate
        self.output.expect(source.expected_bandwidth(declared), is_guess=not declared)
        described = source.described(rate)
        self.output.use(track, self.segmenter.next_msn, video=described)
        shared.revision += 1
        shared.health.set_video(
            described.codec,
            described.width,
            described.height,
            described.frame_rate,
            interlaced=source.picture.interlaced,
        )
        return out

    def _push(self, timed: Timed, now_us: int) -> list[Append]:
        sample = timed.sample
        if sample.dts < self._gone_until:
            return self._came_too_late(timed, now_us)
        if self._overlaps:
            return self._take_over(timed, now_us)
        out: list[Append] = []
        if self._gone_until or self.segmenter.is_too_far(sample.dts):
            out += self._miss(sample.dts, now_us)
            self._gone_until = 0
            out += self._decode_late(self._late.before(sample, self.segmenter.end_dts), now_us)
        return out + self._show(timed, now_us)

    def _take_over(self, timed: Timed, now_us: int) -> list[Append]:
        """The first picture behind those that are in the log."""
        self._overlaps, self._gone_until = False, 0
        sample, out, point = timed.sample, list[Append](), self._shared.resume.get(SOURCE)
        if sample.key:
            self._late.clear()
        elif self._late.has_any:
            self._started = True
            out += self._fill_hole(sample, now_us)
            if not out:
                self.segmenter.begin_at(point.end_dts if point is not None else sample.dts)
            out += self._decode_late(self._late.take(self.segmenter.end_dts), now_us)
        return out + self._show(timed, now_us)

    def _show(self, timed: Timed, now_us: int) -> list[Append]:
        shared = self._shared
        sample = self._late.fit(timed.sample, self.segmenter.end_dts)
        out: list[Append] = []
        lead = 0
        if not self._started:
            if not sample.key:
                return []
            self._started = True
            out += self._fill_hole(sample, now_us)
            lead = 0 if out else self._small_hole(sample)
        if timed.discontinuity:
            shared.problem(problems.jump())
        discontinuity = sample.key and (timed.discontinuity or shared.discontinuity)
        if sample.key:
            shared.discontinuity = False
        shared.health.video(sample.dts, sample.key, len(sample.data), now_us, sample.cts)
        return out + self._cut(sample, lead, discontinuity, now_us)

    def _cut(self, sample: Sample, lead: int, discontinuity: bool, now_us: int) -> list[Append]:
        """With `lead` it is decoded where the log ends, and shown when it is due."""
        shared, segmenter = self._shared, self.segmenter
        before, pts, shown = segmenter.msn, sample.pts, sample.dts + self._late.reorder
        self._keys.watch(sample)
        if lead:
            sample = sample.replace(dts=sample.dts - lead, cts=sample.cts + lead, duration=sample.duration + lead)
        chunks = segmenter.push(sample, pdt_us=shared.timeline.pdt_us(pts - lead), discontinuity=discontinuity)
        msn = segmenter.msn
        self.begun = None
        if msn is not None and msn != before:
            # Without a key frame the first one may be shown later than those that refer to it.
            self.begun = Boundary(msn, shown, discontinuity, sample.dts, not sample.key)
            self._begin(self.begun)
        out = shared.appends(self.output, chunks, now_us)
        ends_part = bool(chunks) and chunks[-1].ends_part
        for follower in self.followers:
            out += follower.advance(sample.dts, now_us, ends_part=ends_part)
        return out

    def _begin(self, boundary: Boundary) -> None:
        for follower in self.followers:
            follower.boundary(boundary)

    def _came_too_late(self, timed: Timed, now_us: int) -> list[Append]:
        """A picture for whose time a gap was told."""
        shared, sample = self._shared, timed.sample
        shared.discontinuity = shared.discontinuity or timed.discontinuity
        if not self._overlaps:
            shared.late += 1
            shared.health.late(now_us)
        shared.health.video(sample.dts, sample.key, len(sample.data), now_us, sample.cts)
        return self._decode_late(self._late.hold(sample, self.segmenter.end_dts), now_us)

    def _decode_late(self, samples: list[Sample], now_us: int) -> list[Append]:
        """Those that came too late, with the times at which they are decoded."""
        out: list[Append] = []
        for sample in samples:
            discontinuity = sample.key and self._shared.discontinuity
            if sample.key:
                self._shared.discontinuity = False
            out += self._cut(sample, 0, discontinuity, now_us)
            if sample.key:
                self.segmenter.begun_late(self._late.behind)
        return out

    def _miss(self, until: int, now_us: int) -> list[Append]:
        """GAP parts up to `until` (90 kHz)."""
        segmenter, out = self.segmenter, list[Append]()
        while (left := until - segmenter.end_dts) > 0:
            out += self._miss_part(min(left, segmenter.config.part_target), now_us)
        return out

    def _miss_part(self, duration: int, now_us: int) -> list[Append]:
        shared, segmenter = self._shared, self.segmenter
        dts, before, following = segmenter.end_dts, segmenter.msn, segmenter.next_msn
        pts = dts + self._late.reorder
        chunks = segmenter.missing(duration, pdt_us=shared.timeline.pdt_us(pts))
        msn = segmenter.msn
        if msn is not None and msn != before:
            self.output.move_use(segmenter.next_msn, since=following)
            self._begin(Boundary(msn, pts, dts=dts, forced=True))
        out = shared.appends(self.output, chunks, now_us)
        for follower in self.followers:
            out += follower.miss(segmenter.end_dts, now_us)
        return out

    def _small_hole(self, first: Sample) -> int:
        """Ticks between the broadcast's last session and its first picture, if they are too few for a gap."""
        point = self._shared.resume.get(SOURCE)
        hole = first.dts - point.end_dts if point is not None else 0
        return hole if 0 < hole < SMALL else 0

    def _fill_hole(self, first: Sample, now_us: int) -> list[Append]:
        """GAP segments for the time since the broadcast's last session, the same in all renditions."""
        shared = self._shared
        point = shared.resume.get(SOURCE)
        if point is None:
            return []
        chunks = self._follow_sound(point, first)
        is_short = now_us - point.end_pdt_us < MIN_HOLE_US or first.dts - point.end_dts < SMALL
        if not chunks and is_short:
            return []
        start = self.segmenter.end_dts if chunks else point.end_dts
        pdt_us = point.end_pdt_us + (start - point.end_dts) * 1_000_000 // VIDEO_TIMESCALE
        chunks += self.segmenter.gap(first.dts, pdt_us=pdt_us, from_dts=start)
        self.output.move_use(self.segmenter.next_msn)
        out = shared.appends(self.output, chunks, now_us)
        if chunks:
            for follower in self.followers:
                out += follower.fill_hole(chunks, first.dts, now_us)
        return out

    def _follow_sound(self, point: ResumePoint, first: Sample) -> list[Chunk]:
        """As many GAP segments as sound had that came alone: what comes now begins the same one in both."""
        last, segmenter = self._shared.last_point(), self.segmenter
        count = self._shared.next_msn() - segmenter.next_msn
        if last is None or count <= 0:
            return []
        end = last.end_media_time
        until = first.dts if first.dts - end < SMALL else end
        return segmenter.gap(until, pdt_us=point.end_pdt_us, from_dts=point.end_dts, count=count)


def _codec(parameter: str) -> str:
    """What the codecs parameter (RFC 6381) begins with."""
    return parameter.partition(".")[0]
