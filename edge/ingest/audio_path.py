"""The audio rendition: the first audio track through timeline and cutter into the log.

Where no sound came there is silence: a player that runs out of sound stops, and one that is given a hole skips the
pictures there. A hole is filled when the sound behind it comes; while pictures go on without sound the silence
follows them.
"""

from collections import deque
from itertools import pairwise
from typing import Final, NamedTuple

from appliance.contracts.media import AUDIO, VIDEO_TIMESCALE
from edge.ingest import problems
from edge.ingest.formats import AudioSource
from edge.ingest.holes import SMALL, follow_holes
from edge.ingest.inputs import AudioFrame
from edge.ingest.rendition import Append
from edge.ingest.shared import Shared
from edge.ingest.video_path import VideoPath
from edge.media.audio_cutter import AudioCutter, Boundary
from edge.media.ladder import target_duration
from edge.media.segmenter import Chunk
from edge.media.timeline import Timed
from edge.protocols.flv.names import AAC
from edge.protocols.fmp4 import Sample

_MAX_WAITING: Final = 4096
_MOST_SILENCE_S: Final = 10  # in one hole
_STOPPED: Final = 2 * VIDEO_TIMESCALE  # so much of the pictures without sound, and it has stopped
_BEHIND: Final = VIDEO_TIMESCALE  # silence keeps so far behind where the sound would be, which may yet come


class _Waiting(NamedTuple):
    timed: Timed
    now_us: int


class AudioPath:
    """`video` is None when there is no video: then audio makes its own grid."""

    def __init__(self, shared: Shared, source: AudioSource, video: VideoPath | None, now_us: int) -> None:
        """`opening` holds what has to be appended first."""
        point = shared.resume.get(AUDIO)
        timescale = point.timescale if point is not None else source.sample_rate
        config = shared.config
        self.source: AudioSource | None = None
        self.raw_samples = 0  # of each frame, while they are raw AAC
        self.cutter = AudioCutter(
            timescale,
            part_target=int(config.part_target_s * timescale),
            segment_target=int(config.segment_target_s * timescale),
            follows_video=video is not None,
            msn=shared.next_msn(),
            serial=shared.serial(AUDIO),
        )
        self.output = shared.output(AUDIO, timescale)
        self._shared = shared
        self._pictures = video
        self._video = video.segmenter if video is not None else None
        self._mute = False  # the publisher has sent no sound yet, though the broadcast has a rendition of it
        self._begins: Boundary | None = None  # the first one of this configuration
        self._heard = False  # since the last picture
        self._heard_at = self._heard_due = 0  # where pictures (90 kHz) and sound were then
        self._joins = shared.join is not None and point is not None
        self._goes_on = point is not None  # perhaps where the log ends: no gap was written behind it
        self._from = point.end_dts if shared.overlap and point is not None else 0  # what comes before is there
        self._waiting: deque[_Waiting] = deque()  # for the segment in which a new configuration serves
        self._from_msn: int | None = None
        self._from_pts = 0  # 90 kHz: what came in the new configuration before cannot be decoded with the old
        self.opening = shared.close_left_open(self.output, now_us)
        self.set_fine()
        if video is None:
            self._begin_without_video(now_us)

    def frame(self, source: AudioSource | None, frame: AudioFrame, stamp: int, now_us: int) -> list[Append]:
        """A frame and the configuration that decodes it."""
        if source is None:
            return []
        if source is not self.source and source != self.source:
            self.configure(source)
        shared = self._shared
        clock = shared.timeline.audio_clock
        due = clock.due if clock is not None else None
        timed = shared.timeline.audio(
            stamp, frame.data, now_us=now_us, leads=self._video is None, nano=frame.nano, samples=frame.samples
        )
        if shared.timeline.stood_still:
            shared.problem(problems.stamps_still())
        if timed is not None and self._from:
            timed = self._first_new(timed)
        if timed is None:
            return []
        self._heard = True
        if due is None:
            due = self._goes_on_from(timed.sample.dts)
        shared.health.audio(timed.sample.dts, self.output.timescale, len(frame.data), now_us)
        out: list[Append] = []
        if due is not None and timed.sample.dts > due and not timed.discontinuity:
            out = [one for silent in self._silence(due, timed.sample.dts) for one in self._take(silent, now_us)]
        out += self._take(timed, now_us)
        pictures = self._pictures
        if pictures is not None:
            end = timed.sample.end * VIDEO_TIMESCALE // self.output.timescale
            if until := pictures.absence.sound(end, now_us):
                out += pictures.miss(until, now_us)
        return out

    def _first_new(self, timed: Timed) -> Timed | None:
        """The frame if it is not in the log: the first such goes on exactly where that ends."""
        sample, clock = timed.sample, self._shared.timeline.audio_clock
        ahead = sample.dts - self._from
        if 2 * ahead < -sample.duration:
            return None
        self._from = 0
        if clock is None or ahead > sample.duration:
            return timed
        clock.move(-ahead)
        return Timed(sample.replace(dts=sample.dts - ahead), timed.discontinuity)

    def _take(self, timed: Timed, now_us: int) -> list[Append]:
        """A frame with its time, unless it has to wait for its configuration."""
        if self._from_msn is None:
            return self._push(timed, now_us)
        self._waiting.append(_Waiting(timed, now_us))
        if len(self._waiting) > _MAX_WAITING:
            self._waiting.popleft()
        return []

    def _silence(self, begin: int, end: int) -> list[Timed]:
        """Frames of silence in a hole of the sound."""
        source, rate = self.source, self.output.timescale
        if source is None or not source.silence or end - begin > _MOST_SILENCE_S * rate:
            return []
        count = round((end - begin) * source.sample_rate / (rate * source.frame_samples))
        edges = [begin + (end - begin) * index // max(1, count) for index in range(count + 1)]
        return [
            Timed(Sample(dts, following - dts, 0, True, source.silence), False)
            for dts, following in pairwise(edges)
        ]

    def _follow_pictures(self, dts: int, now_us: int) -> list[Append]:
        """Silence while there is no sound and pictures go on."""
        source, clock, scale = self.source, self._shared.timeline.audio_clock, self.output.timescale
        if clock is None or self._begins is None:
            return []
        due = clock.due
        if due is None:
            if not self._mute and dts - self._begins.dts < _STOPPED:
                return []
            due = -(-self._begins.pts * scale // VIDEO_TIMESCALE)
            clock.begin(due)
            self._heard_at, self._heard_due = self._begins.dts, due
        elif self._heard:
            self._heard = False  # sound that is ahead is not missed before the pictures are there
            self._heard_at, self._heard_due = max(dts, due * VIDEO_TIMESCALE // scale), due
        until = dts * scale // VIDEO_TIMESCALE
        if not self._mute:
            if dts - self._heard_at < _STOPPED:
                return []
            until = self._heard_due + (dts - self._heard_at - _BEHIND) * scale // VIDEO_TIMESCALE
        if source is None or not source.silence or self._from_msn is not None:
            return []
        count = (until - due) * source.sample_rate // (scale * source.frame_samples)
        most = _MOST_SILENCE_S * source.sample_rate // source.frame_samples
        silent = clock.fill(max(0, min(count, most)), source.silence)
        return [one for sample in silent for one in self._push(Timed(sample, False), now_us)]

    def be_silent(self, source: AudioSource) -> None:
        """Follows the pictures in silence, of a form that the rendition has, until `end_silence`."""
        self.configure(source)
        self._mute, self.raw_samples = True, 0

    def end_silence(self) -> bool:
        """Sound comes. False: it did so before."""
        if not self._mute:
            return False
        self._mute = False
        self._use_raw()
        return True

    def _use_raw(self) -> None:
        source = self.source
        self.raw_samples = source.frame_samples if source is not None and source.entry == AAC else 0

    def configure(self, source: AudioSource) -> None:
        """Takes a configuration into use, from the segment that starts next."""
        track = source.track(self.output.timescale)
        differs = self.output.differs_from_last(track)
        self._shared.discontinuity = self._shared.discontinuity or differs
        follows = self._video.next_msn if self._video is not None else self.cutter.segmenter.next_msn
        if differs and self.source is not None and self._video is not None:
            self._from_msn = follows
        described = source.described()
        self.output.expect(source.expected_bandwidth(self._shared.hints.audio_bit_rate))
        self.output.use(track, follows, audio=described)
        self._shared.revision += 1
        self._shared.health.set_audio(described.codec, described.sample_rate, described.channels)
        self._shared.timeline.set_audio(
            self.output.timescale, source.sample_rate, source.frame_samples, start=self._joins_at()
        )
        self.source, self._begins = source, None
        self._use_raw()

    def _goes_on_from(self, dts: int) -> int | None:
        """Where the log's sound ends, if that is so close before the first frame that no gap lies between."""
        point = self._shared.resume.get(AUDIO)
        if point is None or not self._goes_on or self._joins:
            return None
        return point.end_dts if 0 < (dts - point.end_dts) * VIDEO_TIMESCALE < SMALL * point.timescale else None

    def _joins_at(self) -> int | None:
        """Where the log's sound ends, when this publisher goes on exactly there."""
        point = self._shared.resume.get(AUDIO)
        joins = self._shared.join is not None and self.source is None and point is not None
        return point.end_dts if joins and point is not None else None

    def set_fine(self) -> None:
        """Chunks of sound are as `shared` says. Without pictures they are as those would be."""
        shared = self._shared
        fine = shared.fine_sound or (self._video is None and shared.fine_pictures)
        target = int(shared.config.chunk_s * self.output.timescale) if fine else 0
        self.cutter.segmenter.set_chunk_target(target)

    def complete_at(self) -> int:
        """Media time (90 kHz) of the frame that completes a part, if frames go on as they are."""
        last, wait = self.cutter.segmenter.outlook(chunks=False)
        return (last + wait) * VIDEO_TIMESCALE // self.output.timescale

    def boundary(self, boundary: Boundary) -> None:
        """A segment of the source starts."""
        if self._joins:
            # What the log still misses of the sound belongs to the first segment, though it lies before it.
            self._joins = False
            point = self._shared.resume[AUDIO]
            boundary = boundary._replace(pts=min(boundary.pts, point.end_dts * VIDEO_TIMESCALE // point.timescale))
        elif self._begins is None:
            end = self._goes_on_from(boundary.pts * self.output.timescale // VIDEO_TIMESCALE)
            if end is not None:  # silence up to the first frame belongs to the first segment
                boundary = boundary._replace(pts=end * VIDEO_TIMESCALE // self.output.timescale)
        self.cutter.boundary(boundary)
        self._begins = self._begins or boundary
        if self._from_msn is None or boundary.msn < self._from_msn:
            return
        self._from_msn, self._from_pts = None, boundary.pts

    def advance(self, dts: int, now_us: int, *, ends_part: bool) -> list[Append]:
        """The source has come to `dts`, and perhaps to the end of a part: releases audio before it."""
        out: list[Append] = []
        while self._waiting and self._from_msn is None:
            waiting = self._waiting.popleft()
            out += self._push(waiting.timed, now_us)
        out += self._follow_pictures(dts, now_us)
        chunks = self.cutter.advance(dts, ends_part=ends_part)
        return out + self._appends(chunks, now_us) if chunks else out

    def miss(self, until: int, now_us: int) -> list[Append]:
        """Pictures are missing, and sound is not."""
        return self.advance(until, now_us, ends_part=True)

    def fill_hole(self, holes: list[Chunk], until: int, now_us: int) -> list[Append]:
        """GAP segments as the source's, but for those in which there was sound without pictures."""
        point = self._shared.resume.get(AUDIO)
        if point is None:
            return []
        out = follow_holes(holes, until, point, self.cutter.segmenter, self.output, now_us)
        self._goes_on = self._goes_on and not out
        return out

    def finish(self, now_us: int) -> list[Append]:
        """The end of the session: everything held comes out."""
        self._waiting.clear()
        return self._appends(self.cutter.finish(), now_us)

    def _begin_without_video(self, now_us: int) -> None:
        shared, point, timescale = self._shared, self._shared.resume.get(AUDIO), self.output.timescale
        if point is not None:
            until = shared.base(now_us) * timescale // VIDEO_TIMESCALE
            chunks = self.cutter.segmenter.gap(until, pdt_us=point.end_pdt_us, from_dts=point.end_dts)
            self.opening += shared.appends(self.output, chunks, now_us)
        if shared.target_duration_s is None:
            shared.announce(target_duration(0.1, shared.config.segment_target_s + 0.5))

    def _push(self, timed: Timed, now_us: int) -> list[Append]:
        leads, sample = self._video is None, timed.sample
        if self._from_pts and sample.pts * VIDEO_TIMESCALE < self._from_pts * self.output.timescale:
            return []
        discontinuity = leads and (timed.discontinuity or self._shared.discontinuity)
        if leads:
            self._shared.discontinuity = False
        chunks = self.cutter.push(sample, pdt_us=0, discontinuity=discontinuity)  # `_appends` finds it out
        return self._appends(chunks, now_us) if chunks else []

    def _appends(self, chunks: list[Chunk], now_us: int) -> list[Append]:
        """The wall clock is looked up here: when the frames came, the anchor was perhaps not known."""
        out = []
        for chunk in chunks:
            pdt_us = self._shared.timeline.pdt_us(chunk.dts * VIDEO_TIMESCALE // self.output.timescale)
            out.append(self.output.append(chunk, late_us=now_us, pdt_us=pdt_us))
        return out
