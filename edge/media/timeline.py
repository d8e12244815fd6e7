"""From a publisher's 32-bit millisecond stamps to exact media time and wall clock, both tracks together."""

from typing import Final

from appliance.contracts.media import VIDEO_TIMESCALE
from edge.media.audio_clock import AudioClock
from edge.media.stamps import (
    AUDIO_BACKWARD_LIMIT_MS,
    BACKWARD_LIMIT_MS,
    StampGuard,
    StillStamps,
    Unwrapper,
    Verdict,
)
from edge.media.video_clock import VideoClock
from edge.protocols.fmp4 import Payload, Sample
from edge.protocols.record import Record

BASE_OFFSET: Final = VIDEO_TIMESCALE  # decode times begin near 1 s, so that no early frame becomes negative
TICKS_PER_MS: Final = VIDEO_TIMESCALE // 1000
_MAX_CTS_MS: Final = 10_000
_ANCHORS: Final = 8
_NEAR_MS: Final = 1_000  # so close tracks of one publisher are
_APART: Final = VIDEO_TIMESCALE // 10  # sound that is further from where it is due does not go on there


def nano_ticks(nano: int) -> int:
    """Nanoseconds below a millisecond as 90 kHz ticks, rounded."""
    return (nano * TICKS_PER_MS + 500_000) // 1_000_000


class Timed(Record):
    """A sample with its final times. `discontinuity`: the timeline section that it starts is new."""

    __slots__ = ("discontinuity", "sample")

    def __init__(self, sample: Sample, discontinuity: bool) -> None:
        self.sample = sample
        self.discontinuity = discontinuity

    def fields(self) -> tuple[object, ...]:
        """See Record."""
        return self.sample, self.discontinuity


class _Track:
    """Stamps of one track and its mapping from publisher time to media time."""

    clock: VideoClock | None = None

    def __init__(self, backward_ms: int) -> None:
        self.unwrap = Unwrapper()
        self.guard = StampGuard(backward_ms)
        self.still = StillStamps()
        self.offset: int | None = None  # 90 kHz ticks to add to a stamp


class Timeline:
    """One publisher session. All tracks share one mapping of stamps to media time.

    Video track 0 and audio may jump to a new timeline; other video tracks follow track 0 and never lead.

    A *section* is a stretch of media time with one wall clock anchor. A jump of the stamps starts a new one:
    media time goes on without a hole, the first key frame of the section says `discontinuity` and takes a
    new anchor. A single wrong stamp changes nothing. Stamps that stand still are replaced by when they came.
    """

    def __init__(
        self,
        *,
        base: int = BASE_OFFSET,
        frame_rate: tuple[int, int] = (0, 1),
        anchor: tuple[int, int] | None = None,
        offset: int | None = None,
    ) -> None:
        """`base` is the media time (90 kHz) of the first stamp, `frame_rate` a hint for the video.

        `offset` is to be added to a stamp in 90 kHz ticks, where that is known: then `base` says nothing.

        `anchor` (media time, Unix microseconds) carries an earlier session's wall clock on; without it the
        first key frame's arrival is the anchor.
        """
        self.restamped = 0
        self.stood_still = False  # stamps did
        self.sections = 1
        self.audio_clock: AudioClock | None = None
        self._audio_rate = 0
        self._base = base
        self._offset = offset
        self._video, self._audio = _Track(BACKWARD_LIMIT_MS), _Track(AUDIO_BACKWARD_LIMIT_MS)
        self._video.clock = VideoClock(frame_rate)
        self._others: dict[int, _Track] = {}
        self._cts_shift = 0
        self._new_section = False
        self._skipped = 0  # no picture is before this time
        self._came_us = 0  # when the last picture did
        self._anchors: list[tuple[int, int]] = [anchor] if anchor is not None else []

    def set_audio(
        self, timescale: int, sample_rate: int = 0, frame_samples: int = 1024, *, start: int | None = None
    ) -> None:
        """Configures the audio clock; again when the configuration changes, with the same timescale.

        `start`: where the sound goes on exactly, in ticks of `timescale`, if its first frame is close to that.
        """
        self._audio_rate = timescale
        self.audio_clock = AudioClock(timescale, sample_rate, frame_samples, start=start)

    @property
    def video_clock(self) -> VideoClock:
        """The clock of video track 0."""
        return self._clock(self._video)

    def set_frame_rate(self, frame_rate: tuple[int, int], *, track: int = 0) -> list[Timed]:
        """The video's configuration changed. Returns what the old clock held back."""
        state = self._track(track)
        clock = self._clock(state)
        held = [Timed(sample, False) for sample in clock.flush()]
        state.clock = VideoClock(frame_rate, start=clock.end)
        return held

    def skip_video(self, until: int) -> None:
        """Pictures are missing up to `until` (90 kHz), which has been told: those whose stamps jump go on there."""
        self._skipped = until

    def move_video(self, ticks: int) -> None:
        """The pictures that follow are so much later than their stamps say."""
        self._video.offset = (self._video.offset or 0) + ticks

    def video(
        self, stamp: int, cts_ms: int, key: bool, data: Payload, *, now_us: int, nano: int = 0, track: int = 0
    ) -> list[Timed]:
        """A video access unit in decode order: `stamp` its decode time, `cts_ms` signed.

        `nano` (0 to 999999) belongs to the presentation time: with a composition offset it is part of that.
        """
        state = self._track(track) if track else self._video
        time = self._media_time(state, stamp, now_us)
        if cts_ms:
            cts_ms = max(-_MAX_CTS_MS, min(cts_ms, _MAX_CTS_MS))
            if cts_ms + self._cts_shift < 0:
                self._cts_shift = -cts_ms
        cts = (cts_ms + self._cts_shift) * TICKS_PER_MS
        if nano and cts_ms:
            cts += nano_ticks(nano)
        elif nano:
            time += nano_ticks(nano)
        clock = self._clock(state)
        if track:
            return [Timed(sample, False) for sample in clock.push(time, cts, key, data)]
        before_us, self._came_us = self._came_us if clock.holds_one else now_us, now_us
        samples = clock.push(time, cts, key, data)
        return [self._timed(sample, now_us if at else before_us) for at, sample in enumerate(samples)]

    def audio(
        self, stamp: int, data: Payload, *, now_us: int, leads: bool = False, nano: int = 0, samples: int = 0
    ) -> Timed | None:
        """An audio frame; None when it is left out. `leads`: there is no video, audio carries the anchors.

        `samples` is how long it lasts, 0 for as long as usual.
        """
        if self.audio_clock is None:
            return None
        time = self._media_time(self._audio, stamp, now_us)
        if nano:
            time += nano_ticks(nano)
        if self._audio.offset != self._video.offset and self._video.offset is not None:
            time = self._along_with_pictures(self.audio_clock, time)
        sample = self.audio_clock.push(time * self._audio_rate // VIDEO_TIMESCALE, data, samples)
        if sample is None:
            return None
        if not leads:
            return Timed(sample, False)
        media_time = sample.dts * VIDEO_TIMESCALE // self._audio_rate
        return Timed(sample, self._anchor(media_time, now_us))

    def flush(self, *, track: int = 0) -> list[Timed]:
        """The video frame held back, at the end of the session or where pictures are missing."""
        held = self._clock(self._track(track)).flush()
        return [self._timed(sample, self._came_us) if track == 0 else Timed(sample, False) for sample in held]

    def pdt_us(self, media_time: int) -> int:
        """Wall clock (Unix microseconds) of a media time in 90 kHz ticks; 0 before anything was anchored."""
        if not self._anchors:
            return 0
        chosen = self._anchors[0]
        for anchor in self._anchors:
            if anchor[0] <= media_time:
                chosen = anchor
        return chosen[1] + (media_time - chosen[0]) * 1_000_000 // VIDEO_TIMESCALE

    def _timed(self, sample: Sample, now_us: int) -> Timed:
        if sample.key or not self._anchors:
            return Timed(sample, self._anchor(sample.pts, now_us))
        return Timed(sample, False)

    def _anchor(self, media_time: int, now_us: int) -> bool:
        """Sets the first anchor, or a new section's. True for the latter."""
        new_section, self._new_section = self._new_section, False
        if new_section or not self._anchors:
            self._anchors.append((media_time, now_us))
            del self._anchors[:-_ANCHORS]
            return new_section
        return False

    def _track(self, track: int) -> _Track:
        if track == 0:
            return self._video
        if track not in self._others:
            self._others[track] = _Track(BACKWARD_LIMIT_MS)
        return self._others[track]

    @staticmethod
    def _clock(track: _Track) -> VideoClock:
        if track.clock is None:
            track.clock = VideoClock()
        return track.clock

    def _media_time(self, track: _Track, stamp: int, now_us: int) -> int:
        """Media time of a stamp, 90 kHz, with outliers replaced."""
        unwrap, offset = track.unwrap, track.offset
        last = unwrap.last
        if last is not None and offset is not None and track.guard.follows(last, stamp - last):
            unwrap.last = stamp
            return stamp * TICKS_PER_MS + offset
        stamp_ms = track.still.feed(unwrap.feed(stamp), now_us)
        if track.still.are_still:
            self.stood_still = True
        if offset is None:
            offset = track.offset = self._first_offset(track, stamp_ms)
        if track.guard.takes(stamp_ms):
            return stamp_ms * TICKS_PER_MS + offset
        return self._judged_time(track, stamp_ms, offset)

    def _along_with_pictures(self, clock: AudioClock, time: int) -> int:
        """The media time of a frame of sound, by the pictures' mapping if it shows that both jumped together.

        They may have jumped back so little that for the sound it was drift.
        """
        if clock.due is None:
            return time
        due = clock.due * VIDEO_TIMESCALE // self._audio_rate
        ours, theirs = self._audio.offset or 0, self._video.offset or 0
        other = time + theirs - ours
        if abs(time - due) <= _APART or 2 * abs(other - due) > abs(time - due):
            return time
        self._audio.offset = theirs
        clock.go_on(other * self._audio_rate // VIDEO_TIMESCALE)
        return other

    def _judged_time(self, track: _Track, stamp_ms: int, offset: int) -> int:
        other = self._audio if track is self._video else self._video
        verdict = track.guard.judge(stamp_ms)
        if verdict is Verdict.GOOD:
            track.guard.accept(stamp_ms)
            return stamp_ms * TICKS_PER_MS + offset
        if self._catches_up(track, other, stamp_ms):
            track.guard.accept(stamp_ms)
            return stamp_ms * TICKS_PER_MS + offset
        expected = track.guard.expected_ms() * TICKS_PER_MS + offset
        if track is self._video:
            expected = max(expected, self._skipped)
        if self._follows(track, other, stamp_ms, expected):
            return stamp_ms * TICKS_PER_MS + (track.offset or 0)
        may_lead = track is self._video or track is self._audio
        if verdict is Verdict.OUTLIER or not may_lead:
            self.restamped += 1
            track.guard.substitute()
            return expected
        track.guard.accept(stamp_ms)
        track.offset = expected - stamp_ms * TICKS_PER_MS
        self.sections += 1
        self._new_section = True
        return expected

    def _first_offset(self, track: _Track, stamp_ms: int) -> int:
        """By a track that is known already, so that equal stamps mean the same time in all of them."""
        if self._offset is not None and all(
            track.offset is None for track in (self._video, self._audio, *self._others.values())
        ):
            return self._offset
        for other in (self._video, self._audio, *self._others.values()):
            if other.offset is None or other is track:
                continue
            near = abs(stamp_ms * TICKS_PER_MS + other.offset - self._now_of(other)) <= 10 * VIDEO_TIMESCALE
            if near:
                return other.offset
            return self._now_of(other) - stamp_ms * TICKS_PER_MS
        return self._base - stamp_ms * TICKS_PER_MS

    @staticmethod
    def _now_of(track: _Track) -> int:
        return (track.guard.last_ms or 0) * TICKS_PER_MS + (track.offset or 0)

    @staticmethod
    def _catches_up(track: _Track, other: _Track, stamp_ms: int) -> bool:
        """Nothing came of this track for a while, and now it is where the other one, which went on, is."""
        last_ms, there_ms = track.guard.last_ms, other.guard.last_ms
        if last_ms is None or there_ms is None or other.offset != track.offset:
            return False
        return stamp_ms > last_ms and abs(stamp_ms - there_ms) <= _NEAR_MS

    @staticmethod
    def _follows(track: _Track, other: _Track, stamp_ms: int, expected: int) -> bool:
        """The other track has jumped already and this stamp fits its mapping: go along."""
        if other.offset is None or other.offset == track.offset:
            return False
        away = abs(stamp_ms * TICKS_PER_MS + other.offset - expected)
        if away > min(VIDEO_TIMESCALE, abs(stamp_ms * TICKS_PER_MS + (track.offset or 0) - expected)):
            return False
        track.offset = other.offset
        track.guard.accept(stamp_ms)
        return True
