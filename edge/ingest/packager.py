"""One publisher session as a pure machine: FLV tags in, messages for the part log out. No clock, no I/O.

PROBING  until picture and sound are known and pictures come, or 2 s of media passed, 8 s where metadata or a
         configuration promises pictures of which there is nothing yet; tags are kept
RUNNING  tags go through timeline, segmenter and cutters into log messages, one path per rendition
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from appliance.contracts.media import AUDIO, SOURCE, Init, Problem
from edge.ingest import problems
from edge.ingest.audio_path import AudioPath
from edge.ingest.formats import AudioSource
from edge.ingest.hints import Hints
from edge.ingest.inputs import AudioFrame, AudioInput, CodecError, VideoInput
from edge.ingest.rendition import Append, RenditionOutput, ResumePoint
from edge.ingest.shared import Join, PackagerConfig, Shared
from edge.ingest.sounds import silent_source
from edge.ingest.tracks import Tracks
from edge.ingest.video_path import VideoPath
from edge.media.health import Health
from edge.media.timeline import TICKS_PER_MS, Timeline
from edge.protocols.amf import AmfValue
from edge.protocols.flv import AudioTag, FlvError, TagKind, VideoTag, parse_audio, parse_video, raw_aac
from edge.protocols.flv.names import VP8

__all__ = ["Join", "Packager", "PackagerConfig"]

PROBE_MS: Final = 2_000
_PROMISED_MS: Final = 8_000  # a camera may take so long to start; a broadcast that began as sound stays so
_PROBE_BYTES: Final = 16 << 20
_MAX_TRACKS: Final = 8
_SOUND_STOPPED: Final = 90_000  # so far behind the pictures, in their ticks, sound is not waited for


class _Tag(NamedTuple):
    is_video: bool
    stamp: int
    body: bytes
    now_us: int


class _Inputs:
    """The tracks of one publisher by their numbers."""

    def __init__(self) -> None:
        self.videos: dict[int, VideoInput] = {}
        self.audios: dict[int, AudioInput] = {}
        self.has_picture = False  # of any track
        self.has_frame = False  # of track 0: the headers of all tracks come before it

    def video(self, track: int) -> VideoInput | None:
        """Made on its first use; None when there are too many."""
        known = self.videos.get(track)
        if known is None and len(self.videos) < _MAX_TRACKS:
            known = self.videos[track] = VideoInput()
        return known

    def audio(self, track: int) -> AudioInput | None:
        """Made on its first use; None when there are too many."""
        known = self.audios.get(track)
        if known is None and len(self.audios) < _MAX_TRACKS:
            known = self.audios[track] = AudioInput()
        return known

    def first_video(self) -> int | None:
        """The lowest track that can be shown."""
        return min((track for track, one in self.videos.items() if one.source is not None), default=None)

    def first_audio(self) -> int | None:
        """The lowest track that can be heard."""
        return min((track for track, one in self.audios.items() if one.source is not None), default=None)


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
        join: Join | None = None,
        health: Health | None = None,
        overlap_us: int = 0,
    ) -> None:
        """`resume` and `inits` are what the log holds of the broadcast's earlier sessions, by rendition.

        `target_duration_s` is the broadcast's, None when it has not been announced yet. With `join` the first
        picture goes on where the log ends, key frame or not: the caller knows that it follows. `health` is
        told of every access unit and sound frame. What came in the first `overlap_us` may be in the log, from
        another publisher: it is neither seen nor heard again.
        """
        self.has_video = self.has_audio = self.has_captions = False
        self.has_late_pictures = False  # they came when it was clear that there are none
        self.unusable = False  # it is clear that nothing of this publisher can be shown
        self._shared = Shared(
            config, epoch, resume or {}, inits or {}, target_duration_s, join, health, overlap_us
        )  # fmt: skip
        self._probing = True
        self._queue: list[_Tag] = []
        self._queue_bytes = 0
        self._inputs = _Inputs()
        self._source_track = self._audio_track = 0
        self._source: VideoPath | None = None
        self._audio: AudioPath | None = None
        self._tracks: Tracks | None = None

    @property
    def is_probing(self) -> bool:
        """Whether all that came is kept, because it is not known yet what there is."""
        return self._probing

    @property
    def target_duration_s(self) -> int | None:
        """Decided once, with the first segment; None before."""
        return self._shared.target_duration_s

    @property
    def needs_repair(self) -> bool:
        """Whether segments of the source do not begin with key frames, so that it is not to be watched."""
        return self._shared.needs_repair

    @property
    def source_playable(self) -> bool:
        """Whether players can be given the source as it is, for all that is known before its first picture."""
        source = self._source.source if self._source is not None else None
        return (source is None or source.entry != VP8) and not self.needs_repair

    @property
    def is_other_video(self) -> bool:
        """Whether pictures come in another codec than the broadcast's: they are left out."""
        return self._shared.is_other_video

    @property
    def problems(self) -> dict[str, Problem]:
        """What the streamer can put right, by code."""
        return self._shared.problems

    @property
    def quirks(self) -> list[str]:
        """What was tolerated, each kind once."""
        return self._shared.quirks

    @property
    def late(self) -> int:
        """Pictures that came too long after their sound to be shown."""
        return self._shared.late

    @property
    def hints(self) -> Hints:
        """What metadata said."""
        return self._shared.hints

    @property
    def renditions(self) -> dict[str, RenditionOutput]:
        """By name: "source", "audio" and the contributed ones."""
        return self._shared.renditions

    @property
    def contributed(self) -> list[str]:
        """Renditions of further video tracks, in the order in which they began."""
        return self._tracks.names if self._tracks is not None else []

    @property
    def given_up(self) -> list[str]:
        """Contributed renditions that nobody is to be offered any more, for they do not come or do not play."""
        return self._shared.given_up

    @property
    def revision(self) -> int:
        """Grows with each change of the above and of the renditions' initialisation segments."""
        return self._shared.revision

    def set_fine(self, *, pictures: bool, sound: bool) -> None:
        """Messages for the log within parts, which only those need who do not wait for parts.

        Each costs as much as ten frames. Parts and segments are the same. What of a part was not given to the log
        is lost with this process, as are the frames that it has not read: RTMP acknowledges no frames, so none of
        them counted as safe.
        """
        shared = self._shared
        if (pictures, sound) == (shared.fine_pictures, shared.fine_sound):
            return
        shared.fine_pictures, shared.fine_sound = pictures, sound
        if self._source is not None:
            self._source.segmenter.set_chunk_target(shared.chunk_target(), tapered=not sound)
        for segmenter in self._tracks.segmenters if self._tracks is not None else ():
            segmenter.set_chunk_target(shared.chunk_target(), tapered=not sound)
        if self._audio is not None:
            self._audio.set_fine()

    def outlook(self) -> tuple[int, int]:
        """Media times in microseconds of the last frame, and of the one that completes a message if all goes on so.

        They are equal when that is not known. Chunks of the sound wait for those of the pictures.
        """
        source, audio = self._source, self._audio
        if source is not None:
            last, wait = source.segmenter.outlook()
            behind = last - audio.complete_at() if audio is not None else _SOUND_STOPPED
            if behind < _SOUND_STOPPED and wait:
                interval = source.segmenter.interval
                wait = min(wait, (max(0, -behind) // interval + 1) * interval)  # sound waits for the next picture
            return last * 100 // 9, (last + wait) * 100 // 9
        if audio is None:
            return 0, 0
        last, wait = audio.cutter.segmenter.outlook()
        scale = audio.output.timescale
        return last * 1_000_000 // scale, (last + wait) * 1_000_000 // scale

    # --- what comes in

    def metadata(self, values: Mapping[str, AmfValue]) -> None:
        """onMetaData: hints only."""
        self._shared.hints = Hints.of(values)

    def video(self, stamp: int, body: bytes, *, now_us: int) -> list[Append]:
        """A video message."""
        if self._probing:
            return self._probe(_Tag(True, stamp, body, now_us))
        return self._run_video(stamp, body, now_us)

    def audio(self, stamp: int, body: bytes, *, now_us: int) -> list[Append]:
        """An audio message."""
        if self._probing:
            return self._probe(_Tag(False, stamp, body, now_us))
        path = self._audio
        if path is not None and path.raw_samples and not self._audio_track:
            data = raw_aac(body)
            if data:
                return path.frame(path.source, AudioFrame(data, path.raw_samples), stamp, now_us)
        return self._run_audio(stamp, body, now_us)

    def finish(self, *, now_us: int) -> list[Append]:
        """The publisher is gone: everything held comes out and the segments end."""
        out = self._decide() if self._probing else []
        if self._source is not None:
            out += self._source.finish(now_us)
        if self._tracks is not None:
            out += self._tracks.finish(now_us)
        if self._audio is not None:
            out += self._audio.finish(now_us)
        return out

    # --- probing

    def _probe(self, tag: _Tag) -> list[Append]:
        self._queue.append(tag)
        self._queue_bytes += len(tag.body)
        self._look(tag)
        first = self._queue[0]
        waited_ms = max((tag.stamp - first.stamp) % (1 << 32), (tag.now_us - first.now_us) // 1000)
        if waited_ms > 1 << 31:
            waited_ms = 0
        inputs = self._inputs
        known = inputs.first_video() is not None and inputs.first_audio() is not None
        waits = self.hints.pictures if not inputs.videos else inputs.first_video() is not None
        waits = waits and not inputs.has_picture
        most_ms = _PROMISED_MS if waits else PROBE_MS
        if (known and inputs.has_frame) or waited_ms >= most_ms or self._queue_bytes > _PROBE_BYTES:
            return self._decide()
        return []

    def _look(self, tag: _Tag) -> None:
        """Learns configurations without using the frames yet."""
        for parsed in self._videos(tag.body) if tag.is_video else self._audios(tag.body):
            try:
                if isinstance(parsed, VideoTag):
                    picture = self._inputs.video(parsed.track)
                    unit = picture.take(parsed) if picture is not None else None
                    self._inputs.has_picture |= unit is not None
                    self._inputs.has_frame |= unit is not None and parsed.track == 0
                    continue
                sound = self._inputs.audio(parsed.track)
                if sound is not None:
                    sound.take(parsed)
            except CodecError as error:
                self._shared.quirk(f"{error.code}_not_readable")

    def _decide(self) -> list[Append]:
        """Probing is over: sets the paths up and runs what was kept."""
        self._probing = False
        seen, self._inputs = self._inputs, _Inputs()
        source, audio = seen.first_video(), seen.first_audio()
        if audio is not None and not seen.has_picture:
            source = None  # a configuration alone shows nothing
        self.has_video, self.has_audio = source is not None, audio is not None
        self.unusable = not (self.has_video or self.has_audio)
        self._shared.revision += 1
        self._source_track, self._audio_track = source or 0, audio or 0
        self._say_what_is_missing(seen)
        queue, self._queue = self._queue, []
        if not queue or self.unusable:
            return []
        now_us = queue[0].now_us
        out = self._set_up_video(seen, now_us)
        if self.has_audio:
            out += self._set_up_audio(seen.audios[self._audio_track].source, now_us)
        elif self.has_video:
            out += self._set_up_silence(now_us)
        for tag in queue:
            run = self._run_video if tag.is_video else self._run_audio
            out += run(tag.stamp, tag.body, tag.now_us)
        return out

    def _say_what_is_missing(self, seen: _Inputs) -> None:
        shared = self._shared
        if not self.has_video:
            name = next((one.unsupported for one in seen.videos.values() if one.unsupported), "")
            shared.problem(problems.video_codec(name) if name else problems.no_video())
        if not self.has_audio:
            name = next((one.unsupported for one in seen.audios.values() if one.unsupported), "")
            shared.problem(problems.audio_codec(name) if name else problems.no_audio())

    def _set_up_video(self, seen: _Inputs, now_us: int) -> list[Append]:
        """Source and contributed renditions, and the timeline of all."""
        shared = self._shared
        picture = seen.videos[self._source_track].source if self.has_video else None
        last = shared.last_point()
        shared.find_overlap(now_us)
        shared.timeline = Timeline(
            base=shared.base(now_us),
            frame_rate=shared.hints.frame_rate(picture.picture if picture is not None else None),
            anchor=(last.end_media_time, last.end_pdt_us) if last is not None else None,
            offset=shared.join.media_time - shared.join.stamp * TICKS_PER_MS if shared.join is not None else None,
        )
        if picture is None:
            return []
        self._source = VideoPath(shared)
        if shared.overlap and last is not None:
            self._source.begin_behind(last.end_media_time)
        out = shared.close_left_open(self._source.output, now_us)
        tracks = self._tracks = Tracks(shared, self._source)
        for track in sorted(seen.videos.keys() - {self._source_track}):
            out += tracks.add(track, seen.videos[track], now_us)
        absent = sorted(shared.resume.keys() - shared.renditions.keys() - {SOURCE, AUDIO})
        return out + tracks.miss(absent, now_us)

    def _set_up_audio(self, source: AudioSource | None, now_us: int, *, silent: bool = False) -> list[Append]:
        if source is None:
            return []
        path = AudioPath(self._shared, source, self._source, now_us)
        self._audio = path
        if self._source is not None:
            self._source.followers.append(path)
        if silent:
            path.be_silent(source)
        else:
            path.configure(source)
        return path.opening

    def _set_up_silence(self, now_us: int) -> list[Append]:
        """An earlier session had sound and this one has none: who plays would wait for it."""
        point, inits = self._shared.resume.get(AUDIO), self._shared.inits.get(AUDIO, ())
        init = next((one for one in inits if point is not None and one.init == point.header.init), None)
        source = silent_source(init.data) if init is not None else None
        if source is None:
            return []
        self.has_audio = True
        return self._set_up_audio(source, now_us, silent=True)

    # --- running

    def _videos(self, body: bytes) -> Sequence[VideoTag]:
        try:
            return parse_video(body)
        except FlvError as error:
            self._shared.quirk(f"{error.code}_not_readable")
            return []

    def _audios(self, body: bytes) -> Sequence[AudioTag]:
        try:
            return parse_audio(body)
        except FlvError as error:
            self._shared.quirk(f"{error.code}_not_readable")
            return []

    def _run_video(self, stamp: int, body: bytes, now_us: int) -> list[Append]:
        out: list[Append] = []
        for tag in self._videos(body):
            try:
                out += self._picture(tag, stamp, now_us)
            except CodecError as error:
                self._shared.health.unreadable(now_us)
                self._shared.quirk(f"{error.code}_not_readable")
        return out

    def _run_audio(self, stamp: int, body: bytes, now_us: int) -> list[Append]:
        out: list[Append] = []
        for tag in self._audios(body):
            try:
                out += self._sound(tag, stamp, now_us)
            except CodecError as error:
                self._shared.quirk(f"{error.code}_not_readable")
        return out

    def _picture(self, tag: VideoTag, stamp: int, now_us: int) -> list[Append]:
        """One track's part of a video message."""
        one = self._inputs.video(tag.track)
        if one is None:
            return []
        source = self._source
        if tag.track != self._source_track and self._tracks is not None:
            return self._tracks.take(one, tag, stamp, now_us)
        if tag.kind is TagKind.END and tag.track == self._source_track and source is not None:
            return source.flush(now_us)
        unit = one.take(tag)
        if unit is None:
            if tag.track == self._source_track and one.unsupported:
                self._shared.problem(problems.video_codec(one.unsupported))
            return []
        if one.has_captions and not self.has_captions:
            self.has_captions = True
            self._shared.revision += 1
        if source is None:
            if unit.key and one.source is not None and not self.has_late_pictures:
                self.has_late_pictures = True
                self._shared.revision += 1
            return []
        return source.unit(one.source, unit, stamp, now_us)

    def _sound(self, tag: AudioTag, stamp: int, now_us: int) -> list[Append]:
        """One track's part of an audio message."""
        path = self._audio
        if path is not None and tag.track != self._audio_track:
            self._shared.problem(problems.audio_tracks())
            return []
        one = self._inputs.audio(tag.track)
        if one is None:
            return []
        frame = one.take(tag)
        if one.unsupported:
            self._shared.problem(problems.audio_codec(one.unsupported))
        source = one.source
        if source is None:
            return []
        if path is None:
            return self._late_audio(one, tag, frame, stamp, now_us)
        if frame is not None and path.end_silence():
            self._sound_came()
        if source is not path.source and source != path.source:
            path.configure(source)
        return path.frame(source, frame, stamp, now_us) if frame is not None else []

    def _late_audio(
        self, one: AudioInput, tag: AudioTag, frame: AudioFrame | None, stamp: int, now_us: int
    ) -> list[Append]:
        """The first sound of a publisher that seemed to have none."""
        self.has_audio, self.unusable, self._audio_track = True, False, tag.track
        self._sound_came()
        out = [*self._set_up_audio(one.source, now_us)]
        if self._audio is not None and frame is not None:
            out += self._audio.frame(one.source, frame, stamp, now_us)
        return out

    def _sound_came(self) -> None:
        for code in ("no_audio", "audio_codec"):
            self.problems.pop(code, None)
        self._shared.revision += 1
