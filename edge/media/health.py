"""Measures a publisher as its frames arrive: rates, key frames, pauses, clock. No clock of its own, no I/O."""

from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from appliance.contracts.health import AudioHealth, HealthReport, VideoHealth
from appliance.contracts.media import VIDEO_TIMESCALE
from edge.media.absence import PAUSE
from edge.media.health_rules import Steady

STALL_US: Final = 500_000
_US: Final = 1_000_000
_SECOND: Final = VIDEO_TIMESCALE
_REPORT_US: Final = 1_000_000
_WINDOW: Final = 10  # seconds of bit rate
_RATE_WINDOW: Final = 5  # seconds of frame rate
_GOPS: Final = 8
_MINUTE_US: Final = 60 * _US
_NEVER: Final = -1 << 62
_JUMP: Final = 10 * _SECOND  # a step of media time that is no pause but another clock
_DRIFT_S: Final = 120  # seconds of media whose least delays show the drift
_DRIFT_FROM_S: Final = 30
_REGULAR: Final = 1.25  # longest against shortest key frame distance
_MAX_STALLS: Final = 256
_HOLES_A_SECOND: Final = 7  # of sound: longer than the longest frames, of 0.12 s
_MAX_HOLES: Final = 256
_MAX_UNREADABLE: Final = 1024
_NO_LAG: Final = (1 << 62, _NEVER)
_MISSING_US: Final = 2_000_000  # without pictures: more than between those of the slowest sources


class _Seconds:
    """Bytes and frames per second of media time. `feed` is the hot path."""

    __slots__ = ("_bytes", "_end", "_frames", "closed")

    def __init__(self) -> None:
        self.closed: deque[tuple[int, int]] = deque(maxlen=_WINDOW)
        self._bytes = self._frames = 0
        self._end = -1

    def feed(self, dts: int, size: int, scale: int) -> bool:
        """Whether a second was closed."""
        if dts < self._end:
            self._bytes += size
            self._frames += 1
            return False
        closes = self._end >= 0 and dts - self._end < 10 * scale
        if closes:
            self.closed.append((self._bytes, self._frames))
            empty = (dts - self._end) // scale
            self.closed.extend([(0, 0)] * empty)
            self._end += (1 + empty) * scale
        else:
            self._end = dts + scale
        self._bytes, self._frames = size, 1
        return closes

    def restart(self) -> None:
        """Media time jumped."""
        self._end = -1

    def rate(self, seconds: int) -> int:
        """Bit/s over the last whole seconds."""
        taken = list(self.closed)[-seconds:]
        return 8 * sum(size for size, _ in taken) // len(taken) if taken else 0

    def frame_rate(self, seconds: int) -> float:
        """Frames/s over the last whole seconds."""
        taken = list(self.closed)[-seconds:]
        return sum(frames for _, frames in taken) / len(taken) if taken else 0.0


class Health:
    """One publisher session. Feed every access unit and audio frame; ask for a report whenever you like."""

    def __init__(self, *, keys_asked_for: bool = False) -> None:
        """`keys_asked_for`: the encoder makes key frames when it is asked for one, not at a distance of its own."""
        self._video: VideoHealth | None = None
        self._audio: AudioHealth | None = None
        self._seconds = _Seconds()
        self._sound = _Seconds()
        self._steady = Steady()
        self._since_us = 0
        self._reported_us = 0
        self._arrival = 0  # of the last access unit or audio frame
        self._video_arrival = 0
        self._exact = (_NEVER, 0)  # dts and arrival of the last access unit that was the last to come with others
        self._dts = _NEVER
        self._audio_pts = _NEVER
        self._holes: deque[int] = deque(maxlen=_MAX_HOLES)  # arrival of the sound behind each
        self._lag = _NO_LAG  # least and most ticks that sound was behind the pictures since the last report
        self._lags: deque[tuple[int, int]] = deque(maxlen=_WINDOW)
        self._key_dts = -1
        self._keys_asked_for = keys_asked_for
        self._paused = False  # since the last key frame
        self._gops: deque[int] = deque(maxlen=_GOPS)
        self._first_cts: int | None = None
        self._reordered = False
        self._damaged = 0
        self._unreadable: deque[int] = deque(maxlen=_MAX_UNREADABLE)  # arrivals
        self._late: deque[int] = deque(maxlen=_MAX_UNREADABLE)
        self._jitter = 0.0  # microseconds
        self._peak = 0
        self._fastest = 0.0
        self._stalls: deque[tuple[int, int]] = deque(maxlen=_MAX_STALLS)  # (end, length)
        self._stalls_total = 0
        self._least_delay: int | None = None  # of this second, microseconds
        self._delays: deque[tuple[int, int]] = deque(maxlen=_DRIFT_S)  # (media, least delay), microseconds

    def set_video(
        self,
        codec: str,
        width: int,
        height: int,
        frame_rate: tuple[int, int] = (0, 1),
        *,
        profile: str = "",
        interlaced: bool = False,
    ) -> None:
        """The configuration of the pictures that follow. `codec` as RFC 6381 has it; `profile` is read from it."""
        numerator, denominator = frame_rate
        expected = numerator / denominator if denominator else 0.0
        self._video = VideoHealth(
            codec=codec,
            profile=profile or profile_of(codec),
            width=width,
            height=height,
            expected_frame_rate=expected,
            interlaced=interlaced,
        )
        self._fastest = 0.0
        self._first_cts, self._reordered = None, False

    def set_audio(self, codec: str, sample_rate: int, channels: int) -> None:
        """The configuration of the sound that follows."""
        self._audio = AudioHealth(codec=codec, sample_rate=sample_rate, channels=channels)

    def set_damaged(self, units: int) -> None:
        """Access units of the last minute that who decodes them got no whole picture from."""
        self._damaged = units

    def unreadable(self, arrival_us: int) -> None:
        """An access unit that is left out: where its parts begin and end cannot be told."""
        self._unreadable.append(arrival_us)

    def late(self, arrival_us: int) -> None:
        """An access unit that is left out: viewers were told that there is none for its time."""
        self._late.append(arrival_us)

    def video(self, dts: int, key: bool, size: int, arrival_us: int, cts: int = 0) -> None:
        """An access unit. `dts` and `cts` in 90 kHz ticks, `size` in bytes, `arrival_us` Unix microseconds."""
        if arrival_us != self._arrival:
            self._arrived(arrival_us)
        step = dts - self._dts
        if not 0 <= step < _JUMP:
            self._restart()
        elif arrival_us != self._video_arrival:
            self._measure_jitter()
        if PAUSE < step < _JUMP and self._key_dts >= 0:
            self._key_dts += step  # key frames are as far apart as the pictures between them last
            self._paused = True
        self._dts, self._video_arrival = dts, arrival_us
        delay = arrival_us - dts * 100 // 9
        if self._least_delay is None or delay < self._least_delay:
            self._least_delay = delay
        if cts != self._first_cts:
            self._reordered = self._first_cts is not None
            self._first_cts = cts if self._first_cts is None else self._first_cts
        if key:
            if self._key_dts >= 0 and not self._paused:
                self._gops.append(dts - self._key_dts)
            self._key_dts, self._paused = dts, False
        if self._seconds.feed(dts, size, _SECOND):
            self._second_closed(dts)

    def audio(self, pts: int, timescale: int, size: int, arrival_us: int) -> None:
        """An audio frame. `pts` in ticks of `timescale`."""
        if arrival_us != self._arrival:
            self._arrived(arrival_us)
        step = pts - self._audio_pts
        if not 0 <= step < 10 * timescale:
            self._sound.restart()
        elif step * _HOLES_A_SECOND > timescale:
            self._holes.append(arrival_us)
        self._audio_pts = pts
        if arrival_us - self._video_arrival < STALL_US:
            lag, (least, most) = self._dts - pts * _SECOND // timescale, self._lag
            if lag < least or lag > most:
                self._lag = min(lag, least), max(lag, most)
        self._sound.feed(pts, size, timescale)

    def report(self, now_us: int) -> HealthReport | None:
        """The report of this second; None when one was made less than a second ago, or nothing arrived yet."""
        if not self._since_us or now_us - self._reported_us < _REPORT_US:
            return None
        self._reported_us = now_us
        stalls = self._recent_stalls(now_us)
        report = HealthReport(
            at_ms=now_us // 1000,
            since_ms=self._since_us // 1000,
            video=self._measured_video(now_us),
            audio=self._measured_audio(now_us),
            drift_ppm=_drift(self._delays),
            jitter_ms=round(self._jitter / 1000, 1),
            stalls=len(stalls),
            stalls_total=self._stalls_total,
            longest_stall_ms=max(stalls, default=0) // 1000,
            behind_ms=_behind(self._delays) // 1000,
        )
        return msgspec.structs.replace(report, advice=self._steady.shown(report, now_us))

    def _arrived(self, arrival_us: int) -> None:
        pause = arrival_us - self._arrival
        if pause > STALL_US and self._arrival:
            self._stalls.append((arrival_us, pause))
            self._stalls_total += 1
            self._delays.clear()  # the encoder may have waited too: then the delay is another for good
        elif not self._since_us:
            self._since_us = arrival_us
        self._arrival = arrival_us

    def _measure_jitter(self) -> None:
        """Of several that were read together only the last one's arrival is known: by those it is measured."""
        dts, arrival_us = self._exact
        if 0 <= self._dts - dts < _JUMP:
            error = self._video_arrival - arrival_us - (self._dts - dts) * 100 // 9
            self._jitter += (abs(error) - self._jitter) / 16
        self._exact = self._dts, self._video_arrival

    def _recent_stalls(self, now_us: int) -> list[int]:
        """Lengths of the last minute's pauses, the one going on included."""
        while self._stalls and now_us - self._stalls[0][0] > _MINUTE_US:
            self._stalls.popleft()
        lengths = [length for _, length in self._stalls]
        if now_us - self._arrival > STALL_US:
            lengths.append(now_us - self._arrival)
        return lengths

    def _restart(self) -> None:
        """The first access unit, or media time jumped: what is measured along it begins anew."""
        self._seconds.restart()
        self._delays.clear()
        self._least_delay = None
        self._key_dts = -1

    def _second_closed(self, dts: int) -> None:
        self._peak = max(self._peak, 8 * self._seconds.closed[-1][0])
        if len(self._seconds.closed) >= _RATE_WINDOW:
            self._fastest = max(self._fastest, self._seconds.frame_rate(_RATE_WINDOW))
        if self._least_delay is not None:
            self._delays.append((dts * 100 // 9, self._least_delay))
        self._least_delay = None

    def _measured_video(self, now_us: int) -> VideoHealth | None:
        if self._video is None:
            return None
        for arrivals in (self._unreadable, self._late):
            while arrivals and now_us - arrivals[0] > _MINUTE_US:
                arrivals.popleft()
        missing_us = self._arrival - self._video_arrival if self._video_arrival else 0
        comes = missing_us < _MISSING_US
        gops = list(self._gops)
        going_on = self._dts - self._key_dts if self._key_dts >= 0 else 0
        return msgspec.structs.replace(
            self._video,
            frame_rate=round(self._seconds.frame_rate(_RATE_WINDOW), 2) if comes else 0.0,
            expected_frame_rate=round(self._video.expected_frame_rate or self._fastest, 2),
            bit_rate_1s=self._seconds.rate(1) if comes else 0,
            bit_rate_10s=self._seconds.rate(_WINDOW),
            bit_rate_peak=self._peak,
            bit_rate_variation=round(_variation(self._seconds.closed, gops), 3),
            gop_s=round(gops[-1] / _SECOND, 3) if gops else 0.0,
            gop_longest_s=round(max([going_on, *gops]) / _SECOND, 3),
            gop_regular=self._keys_asked_for or len(gops) < 3 or max(gops) <= _REGULAR * min(gops),
            b_frames=self._reordered,
            damaged=self._damaged + len(self._unreadable),
            late=len(self._late),
            missing_s=0.0 if comes else round(missing_us / _US, 1),
        )

    def _measured_audio(self, now_us: int) -> AudioHealth | None:
        if self._audio is None:
            return None
        while self._holes and now_us - self._holes[0] > _MINUTE_US:
            self._holes.popleft()
        return msgspec.structs.replace(
            self._audio, bit_rate=self._sound.rate(_WINDOW), holes=len(self._holes), late_s=self._measured_lag()
        )

    def _measured_lag(self) -> float:
        """Seconds. Both come in turns, several at a time: the least distance counts. 0 where that changes sides."""
        lag, self._lag = self._lag, _NO_LAG
        if lag == _NO_LAG:  # one of them has stopped
            self._lags.clear()
            return 0.0
        self._lags.append(lag)
        least, most = min(one for one, _ in self._lags), max(one for _, one in self._lags)
        steady = least if least > 0 else min(most, 0)
        return round(steady / _SECOND, 1) if len(self._lags) == _WINDOW else 0.0


def _variation(closed: Sequence[tuple[int, int]], gops: list[int]) -> float:
    """Largest deviation of a stretch from the mean, relative to it.

    Stretches are as long as a GOP, two seconds at least: a key frame is larger than others under any rate control.
    Seconds in which pictures were missing say nothing about it.
    """
    most = max((frames for _, frames in closed), default=0)
    sizes = [size for size, frames in closed if 2 * frames >= most]
    length = min(max(2, -(-max(gops, default=0) // _SECOND)), _WINDOW // 2)
    mean = sum(sizes) / len(sizes) if sizes else 0.0
    if len(sizes) < 2 * length or not mean:
        return 0.0
    stretches = [sum(sizes[at : at + length]) / length for at in range(len(sizes) - length + 1)]
    return max(abs(stretch - mean) for stretch in stretches) / mean


def _behind(delays: Sequence[tuple[int, int]]) -> int:
    """Microseconds that what arrived last is later than the earliest: a line that carries too little fills up."""
    return delays[-1][1] - min(delay for _, delay in delays) if delays else 0


def _drift(delays: Sequence[tuple[int, int]]) -> int | None:
    """Millionths by which media time runs fast, None when there is too little to tell.

    Between the least delays of the first and the last third: a queue that fills and empties does not count.
    """
    if len(delays) < _DRIFT_FROM_S:
        return None
    points = list(delays)
    third = len(points) // 3
    first = min(points[:third], key=lambda point: point[1])
    last = min(points[-third:], key=lambda point: point[1])
    return round((first[1] - last[1]) * 1_000_000 / (last[0] - first[0]))


_AVC_PROFILES: Final = {
    66: "Baseline", 77: "Main", 88: "Extended", 100: "High", 110: "High 10", 122: "High 4:2:2", 244: "High 4:4:4",
}  # fmt: skip
_HEVC_PROFILES: Final = {"1": "HEVC Main", "2": "HEVC Main 10", "3": "HEVC Still"}
_OTHERS: Final = {"av01": "AV1", "vp09": "VP9", "vp08": "VP8", "vp8": "VP8"}


def profile_of(codec: str) -> str:
    """The profile in words, of an RFC 6381 string; "" when it does not say."""
    kind, _, rest = codec.partition(".")
    if kind in ("avc1", "avc3"):
        try:
            number = int(rest[:2], 16)
        except ValueError:
            return ""
        return _AVC_PROFILES.get(number, "")
    if kind in ("hvc1", "hev1"):
        return _HEVC_PROFILES.get(rest.partition(".")[0].lstrip("ABC"), "HEVC")
    return _OTHERS.get(kind, "")
