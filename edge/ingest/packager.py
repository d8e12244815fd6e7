"""One publisher session as a pure machine: FLV tags in, messages for the part log out. No clock, no I/O.

PROBING  until both tracks are configured, or 2 s of media passed; tags are kept
RUNNING  tags go through timeline, segmenter and audio cutter into log messages
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from appliance.contracts.media import (
    AUDIO,
    SOURCE,
    VIDEO_TIMESCALE,
    AudioFormat,
    Init,
    Problem,
    VideoFormat,
)
from edge.ingest import problems
from edge.ingest.hints import Hints
from edge.ingest.inputs import AccessUnit, AudioInput, CodecError, VideoInput
from edge.ingest.rendition import Append, RenditionOutput, ResumePoint
from edge.media.audio_cutter import AudioCutter, Boundary
from edge.media.ladder import MAX_TARGET_DURATION_S, target_duration
from edge.media.segmenter import Chunk, Segmenter, SegmenterConfig
from edge.media.timeline import BASE_OFFSET, Timed, Timeline
from edge.protocols.amf import AmfValue
from edge.protocols.codecs import avc
from edge.protocols.flv import FlvError, TagKind, parse_audio, parse_video
from edge.protocols.fmp4 import AudioTrack, Sample, VideoTrack

PROBE_MS = 2_000
_PROBE_BYTES = 16 << 20
_LONG_GOP_S = 4.5
_MIN_HOLE_US = 100_000


class PackagerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds."""

    part_target_s: float = 0.35
    segment_target_s: float = 2.0
    chunk_s: float = 0.1


class _Tag(NamedTuple):
    is_video: bool
    stamp: int
    body: bytes
    now_us: int


class Packager:
    """See the module's docstring. `now_us` is the wall clock at which a tag arrived, Unix microseconds."""

    def __init__(
        self,
        config: PackagerConfig,
        *,
        epoch: int = 1,
        resume: Mapping[str, ResumePoint] | None = None,
        inits: Mapping[str, Sequence[Init]] | None = None,
        target_duration_s: int | None = None,
    ) -> None:
        """`resume` and `inits` are what the log holds of the broadcast's earlier sessions, by rendition.

        `target_duration_s` is the broadcast's, None when it has not been announced yet.
        """
        self.target_duration_s = target_duration_s
        self.has_video = self.has_audio = False
        self.problems: dict[str, Problem] = {}
        self.quirks: list[str] = []
        self.renditions: dict[str, RenditionOutput] = {}
        self.hints = Hints()
        self._config = config
        self._epoch = epoch
        self._resume = dict(resume or {})
        self._inits = dict(inits or {})
        self._probing = True
        self._queue: list[_Tag] = []
        self._queue_bytes = 0
        self._video, self._audio = VideoInput(), AudioInput()
        self._video_config: avc.AvcConfig | None = None
        self._audio_config = b""
        self._timeline = Timeline()
        self._segmenter: Segmenter | None = None
        self._cutter: AudioCutter | None = None
        self._discontinuity = False  # the next key frame starts one
        self._first_key_dts: int | None = None
        self._last_key_dts: int | None = None

    @property
    def unusable(self) -> bool:
        """Whether it is clear that nothing of this publisher can be shown."""
        return not self._probing and not self.has_video and not self.has_audio

    # --- what comes in

    def metadata(self, values: Mapping[str, AmfValue]) -> None:
        """onMetaData: hints only."""
        self.hints = Hints.of(values)

    def video(self, stamp: int, body: bytes, *, now_us: int) -> list[Append]:
        """A video message."""
        return self._take(_Tag(True, stamp, body, now_us))

    def audio(self, stamp: int, body: bytes, *, now_us: int) -> list[Append]:
        """An audio message."""
        return self._take(_Tag(False, stamp, body, now_us))

    def finish(self, *, now_us: int) -> list[Append]:
        """The publisher is gone: everything held comes out and the segments end."""
        out = self._decide() if self._probing else []
        if self._segmenter is not None:
            for timed in self._timeline.flush():
                out += self._push_video(timed, now_us)
            out += self._from_video(self._segmenter.finish(), now_us)
        if self._cutter is not None:
            out += self._from_audio(self._cutter.finish(), now_us)
        return out

    # --- probing

    def _take(self, tag: _Tag) -> list[Append]:
        if not self._probing:
            return self._run(tag)
        self._queue.append(tag)
        self._queue_bytes += len(tag.body)
        self._look(tag)
        first = self._queue[0]
        waited_ms = max((tag.stamp - first.stamp) % (1 << 32), (tag.now_us - first.now_us) // 1000)
        if waited_ms > 1 << 31:
            waited_ms = 0
        complete = self._video.config is not None and self._audio.config is not None
        if complete or waited_ms >= PROBE_MS or self._queue_bytes > _PROBE_BYTES:
            return self._decide()
        return []

    def _look(self, tag: _Tag) -> None:
        """Learns configurations without using the frames yet."""
        try:
            if tag.is_video:
                self._video.take(parse_video(tag.body))
            else:
                self._audio.take(parse_audio(tag.body))
        except (FlvError, CodecError) as error:
            self._quirk(f"{error.code}_not_readable")

    def _decide(self) -> list[Append]:
        """Probing is over: sets the tracks up and runs what was kept."""
        self._probing = False
        self.has_video = self._video.config is not None
        self.has_audio = self._audio.config is not None
        self._say_what_is_missing()
        queue, self._queue = self._queue, []
        if not queue or not (self.has_video or self.has_audio):
            return []
        now_us = queue[0].now_us
        rate = self.hints.frame_rate(self._video.config)
        last = self._last_point()
        anchor = (last.end_media_time, last.end_pdt_us) if last is not None else None
        self._timeline = Timeline(base=self._base(now_us), frame_rate=rate, anchor=anchor)
        out: list[Append] = []
        if self.has_video:
            self._segmenter = self._new_segmenter()
            out += self._close_left_open(self._output(SOURCE, VIDEO_TIMESCALE), now_us)
        if self.has_audio:
            out += self._set_up_audio(now_us)
        self._video, self._audio = VideoInput(), AudioInput()
        for tag in queue:
            out += self._run(tag)
        return out

    def _say_what_is_missing(self) -> None:
        if not self.has_video:
            name = self._video.unsupported
            self._problem(problems.video_codec(name) if name else problems.no_video())
        if not self.has_audio:
            name = self._audio.unsupported
            self._problem(problems.audio_codec(name) if name else problems.no_audio())

    def _base(self, now_us: int) -> int:
        """Media time of the first stamp: after what the log holds and the time that passed since."""
        last = self._last_point()
        if last is None:
            return BASE_OFFSET
        return last.end_media_time + max(0, now_us - last.end_pdt_us) * 9 // 100

    def _last_point(self) -> ResumePoint | None:
        """Where the broadcast's media ends in the log, over all renditions."""
        return max(self._resume.values(), key=lambda point: point.end_media_time, default=None)

    # --- setting up

    def _new_segmenter(self) -> Segmenter:
        config = self._config
        longest = self.target_duration_s or MAX_TARGET_DURATION_S
        point = self._resume.get(SOURCE)
        return Segmenter(
            SegmenterConfig(
                timescale=VIDEO_TIMESCALE,
                part_target=int(config.part_target_s * VIDEO_TIMESCALE),
                segment_target=int(config.segment_target_s * VIDEO_TIMESCALE),
                max_segment=longest * VIDEO_TIMESCALE,
                chunk_target=int(config.chunk_s * VIDEO_TIMESCALE),
            ),
            msn=self._next_msn() if point is None else point.header.msn + 1,
            serial=0 if point is None else point.header.next_serial,
        )

    def _next_msn(self) -> int:
        return max((point.header.msn + 1 for point in self._resume.values()), default=0)

    def _output(self, name: str, timescale: int) -> RenditionOutput:
        bandwidth = self.hints.video_bit_rate if name == SOURCE else self.hints.audio_bit_rate
        point = self._resume.get(name)
        output = RenditionOutput(
            name,
            timescale,
            self._epoch,
            inits=self._inits.get(name, ()),
            last=point.header if point is not None else None,
            bandwidth=bandwidth,
        )
        self.renditions[name] = output
        return output

    def _close_left_open(self, output: RenditionOutput, now_us: int) -> list[Append]:
        point = self._resume.get(output.name)
        closing = output.closing(point, late_us=now_us) if point is not None else None
        return [closing] if closing is not None else []

    def _set_up_audio(self, now_us: int) -> list[Append]:
        config = self._audio.config
        if config is None:
            return []
        point = self._resume.get(AUDIO)
        timescale = point.timescale if point is not None else config.sample_rate
        self._cutter = AudioCutter(
            timescale,
            part_target=int(self._config.part_target_s * timescale),
            segment_target=int(self._config.segment_target_s * timescale),
            follows_video=self.has_video,
            msn=self._next_msn(),
            serial=0 if point is None else point.header.next_serial,
        )
        output = self._output(AUDIO, timescale)
        out = self._close_left_open(output, now_us)
        if not self.has_video and point is not None:
            until = self._base(now_us) * timescale // VIDEO_TIMESCALE
            chunks = self._cutter.segmenter.gap(until, pdt_us=point.end_pdt_us, from_dts=point.end_dts)
            out += [output.append(chunk, late_us=now_us) for chunk in chunks]
        if not self.has_video and self.target_duration_s is None:
            self.target_duration_s = target_duration(0.1, self._config.segment_target_s + 0.5)
        self._configure_audio()
        return out

    def _configure_audio(self) -> None:
        """Takes the audio input's configuration into use, from the segment that starts next."""
        config, cutter, output = self._audio.config, self._cutter, self.renditions[AUDIO]
        if config is None or cutter is None:
            return
        self._audio_config = self._audio.config_bytes
        track = AudioTrack(
            config=self._audio_config, timescale=output.timescale, channels=config.channels
        )  # fmt: skip
        self._discontinuity = self._discontinuity or output.differs_from_last(track)
        described = AudioFormat(
            codec=config.rfc6381(), sample_rate=config.sample_rate, channels=config.channels
        )  # fmt: skip
        follows = self._segmenter.next_msn if self._segmenter else cutter.segmenter.next_msn
        output.use(track, follows, audio=described)
        self._timeline.set_audio(output.timescale, config.sample_rate, config.frame_samples)

    # --- running

    def _run(self, tag: _Tag) -> list[Append]:
        try:
            if tag.is_video:
                parsed = parse_video(tag.body)
                unit = self._video.take(parsed)
                if unit is None or self._segmenter is None:
                    if unit is not None:
                        self._problem(problems.video_late())
                    return []
                return self._video_unit(tag, unit)
            sound = parse_audio(tag.body)
            frame = self._audio.take(sound)
            if sound.kind is TagKind.CONFIG:
                return self._audio_configured(tag)
            return self._audio_frame(tag, frame) if frame is not None else []
        except (FlvError, CodecError) as error:
            self._quirk(f"{error.code}_not_readable")
            return []

    def _video_unit(self, tag: _Tag, unit: AccessUnit) -> list[Append]:
        out: list[Append] = []
        if self._video.config != self._video_config:
            if not unit.key or self._video.config is None:
                return []  # nothing decodes before a key frame of the new configuration
            out += self._configure_video(self._video.config, tag.now_us)
        timed = self._timeline.video(tag.stamp, unit.cts_ms, unit.key, unit.data, now_us=tag.now_us)
        for item in timed:
            out += self._push_video(item, tag.now_us)
        return out

    def _configure_video(self, config: avc.AvcConfig, now_us: int) -> list[Append]:
        """A new decoder configuration, at its first key frame."""
        out: list[Append] = []
        picture = config.picture()
        rate = self.hints.frame_rate(config)
        if self._video_config is not None:
            for timed in self._timeline.set_frame_rate(rate):
                out += self._push_video(timed, now_us)
        self._video_config = config
        track = VideoTrack(
            config=config.encode(),
            width=picture.width,
            height=picture.height,
            sample_aspect=picture.sample_aspect,
        )
        output = self.renditions[SOURCE]
        self._discontinuity = self._discontinuity or output.differs_from_last(track)
        described = VideoFormat(
            codec=config.rfc6381(),
            width=picture.width,
            height=picture.height,
            frame_rate=rate,
            sample_aspect=picture.sample_aspect,
        )
        if not output.bandwidth:
            output.bandwidth = picture.width * picture.height * 2 + 200_000
        output.use(track, self._segmenter.next_msn if self._segmenter else 0, video=described)
        return out

    def _push_video(self, timed: Timed, now_us: int) -> list[Append]:
        segmenter, sample = self._segmenter, timed.sample
        if segmenter is None:
            return []
        out: list[Append] = []
        if self._last_key_dts is None:
            if not sample.key:
                return []
            out += self._fill_hole(segmenter, sample, now_us)
        if timed.discontinuity:
            self._problem(problems.jump())
        discontinuity = sample.key and (timed.discontinuity or self._discontinuity)
        if sample.key:
            self._discontinuity = False
        self._watch_key_frames(segmenter, sample)
        before = segmenter.msn
        chunks = segmenter.push(
            sample, pdt_us=self._timeline.pdt_us(sample.pts), discontinuity=discontinuity
        )  # fmt: skip
        if self._cutter is not None and segmenter.msn is not None and segmenter.msn != before:
            self._cutter.boundary(Boundary(segmenter.msn, sample.pts, discontinuity))
        out += self._from_video(chunks, now_us)
        if self._cutter is not None:
            out += self._from_audio(self._cutter.advance(sample.dts), now_us)
        return out

    def _watch_key_frames(self, segmenter: Segmenter, sample: Sample) -> None:
        """The first GOP decides the target duration; later ones are judged."""
        if self._first_key_dts is None:
            self._first_key_dts = sample.dts
        if self._last_key_dts is not None:
            gop_s = (sample.dts - self._last_key_dts) / VIDEO_TIMESCALE
            if gop_s > _LONG_GOP_S:
                self._problem(problems.keyframe_interval(gop_s))
            if self.target_duration_s is None:
                self._announce(segmenter, sample, gop_s)
        if sample.key:
            self._last_key_dts = sample.dts

    def _announce(self, segmenter: Segmenter, sample: Sample, since_key_s: float) -> None:
        if sample.key:
            self.target_duration_s = target_duration(since_key_s, self._config.segment_target_s)
        elif since_key_s > 1.5 * self._config.segment_target_s:
            self.target_duration_s = target_duration(None, self._config.segment_target_s)
        else:
            return
        segmenter.set_max_segment(self.target_duration_s * VIDEO_TIMESCALE)

    def _fill_hole(self, segmenter: Segmenter, first: Sample, now_us: int) -> list[Append]:
        """GAP segments for the time since the broadcast's last session, the same in both renditions."""
        point = self._resume.get(SOURCE)
        if point is None or now_us - point.end_pdt_us < _MIN_HOLE_US:
            return []
        chunks = segmenter.gap(first.dts, pdt_us=point.end_pdt_us, from_dts=point.end_dts)
        output = self.renditions[SOURCE]
        if self._video_config is not None and output.current_init is not None:
            output.move_use(segmenter.next_msn)
        out = [output.append(chunk, late_us=now_us) for chunk in chunks]
        return out + self._fill_audio_hole(chunks, first, now_us)

    def _fill_audio_hole(self, holes: list[Chunk], first: Sample, now_us: int) -> list[Append]:
        point, cutter = self._resume.get(AUDIO), self._cutter
        if point is None or cutter is None or not holes:
            return []
        output = self.renditions[AUDIO]
        scale = output.timescale
        msns = range(point.header.msn + 1, holes[-1].msn + 1)
        starts = {chunk.msn: max(chunk.dts * scale // VIDEO_TIMESCALE, point.end_dts) for chunk in holes}
        end = first.dts * scale // VIDEO_TIMESCALE
        output.move_use(holes[-1].msn + 1)
        out: list[Append] = []
        dts = point.end_dts
        for msn in msns:
            until = max(starts.get(msn + 1, end if msn == holes[-1].msn else starts[holes[0].msn]), dts)
            pdt_us = point.end_pdt_us + (dts - point.end_dts) * 1_000_000 // scale
            chunk = cutter.segmenter.gap_segment(msn, dts, until - dts, pdt_us=pdt_us)
            out.append(output.append(chunk, late_us=now_us))
            dts = until
        return out

    def _audio_configured(self, tag: _Tag) -> list[Append]:
        """A configuration arrived while running: the first of late audio, or a change."""
        if self._audio.config is None or self._audio.config_bytes == self._audio_config:
            return []
        if self._cutter is None:
            self.has_audio = True
            self.problems.pop("no_audio", None)
            return self._set_up_audio(tag.now_us)
        self._configure_audio()
        return []

    def _audio_frame(self, tag: _Tag, frame: bytes) -> list[Append]:
        cutter = self._cutter
        if cutter is None:
            return []
        leads = self._segmenter is None
        timed = self._timeline.audio(tag.stamp, frame, now_us=tag.now_us, leads=leads)
        if timed is None:
            return []
        pdt_us = self._timeline.pdt_us(timed.sample.pts * VIDEO_TIMESCALE // self.renditions[AUDIO].timescale)
        discontinuity = leads and (timed.discontinuity or self._discontinuity)
        if leads:
            self._discontinuity = False
        chunks = cutter.push(timed.sample, pdt_us=pdt_us, discontinuity=discontinuity)
        return self._from_audio(chunks, tag.now_us)

    def _from_video(self, chunks: list[Chunk], now_us: int) -> list[Append]:
        output = self.renditions[SOURCE]
        return [output.append(chunk, late_us=now_us) for chunk in chunks]

    def _from_audio(self, chunks: list[Chunk], now_us: int) -> list[Append]:
        """The wall clock is looked up here: when the frames came, the anchor was perhaps not known."""
        output = self.renditions[AUDIO]
        out = []
        for chunk in chunks:
            pdt_us = self._timeline.pdt_us(chunk.dts * VIDEO_TIMESCALE // output.timescale)
            out.append(output.append(chunk, late_us=now_us, pdt_us=pdt_us))
        return out

    def _problem(self, problem: Problem) -> None:
        self.problems.setdefault(problem.code, problem)

    def _quirk(self, kind: str) -> None:
        if kind not in self.quirks:
            self.quirks.append(kind)
