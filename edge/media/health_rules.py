"""From figures to advice: what a streamer can change, in their words and with the setting's name in OBS Studio."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from appliance.contracts.health import Advice, AudioHealth, HealthReport, Severity, VideoHealth

_LONG_GOP_S = 4.0
_MOST_BIT_RATE = 8_000_000
_MOST_VARIATION = 0.5
_SLOW = 0.9  # of the expected frame rate
_MOST_RATE = 61.0
_MOST_SIDES = 4096, 2304  # longer and shorter: what decoders of phones and televisions end at
_MOST_JITTER_MS = 150.0
_MOST_BEHIND_MS = 1_500
_SOUND_LATE_S, _SOUND_EARLY_S = 1.5, -6.0  # an encoder that looks ahead has its pictures up to 5 s later
_LATE_MS = 300  # behind by so much, an encoder leaves pictures out because of its line
_DRIFT_PPM = range(300, 5000)  # beyond it, it is no clock but a line that fills up
_RATE = 48_000
_STALL_SHARE = 0.7  # of the bit rate: what an upload that stalls is advised to carry
_LEAST_BIT_RATE = 500_000
_BEST_BIT_RATE = 6_000_000
_NOT_PLAYED = ("High 10", "High 4:2:2", "High 4:4:4", "4:2:2", "4:4:4")

APPEARS_US = 5_000_000
DISAPPEARS_US = 10_000_000


def judge(report: HealthReport) -> list[Advice]:
    """Everything that holds of these figures now, most severe first."""
    found = [*_of_delivery(report)]
    if report.video is not None:
        found += [*_of_video(report.video), *_frame_rate(report, report.video)]
    if report.audio is not None:
        found += _of_audio(report.audio)
    return sorted(found, key=lambda one: _ORDER[one.severity])


_ORDER = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTICE: 2}


def _of_video(video: VideoHealth) -> Iterator[Advice]:
    for rule in (_absence, _profile, _damage, _lateness, _size, _scan, _key_frames, _bit_rate, _b_frames):
        yield from rule(video)


def _absence(video: VideoHealth) -> Iterator[Advice]:
    if video.missing_s:
        yield Advice(
            code="no_pictures",
            severity=Severity.ERROR,
            text=f"No picture has come for {_length(video.missing_s)}: viewers see the last one at most.",
            setting="Check that the camera is connected and chosen; on a phone bring the app to the front",
        )


def _lateness(video: VideoHealth) -> Iterator[Advice]:
    if video.late:
        pictures = "picture" if video.late == 1 else "pictures"
        yield Advice(
            code="pictures_late",
            severity=Severity.WARNING,
            text=f"{video.late} {pictures} of the last minute came long after the sound, too late to be shown.",
            setting="Video Encoder: set another one, or a faster Encoder Preset",
        )


def _profile(video: VideoHealth) -> Iterator[Advice]:
    if video.profile.endswith(_NOT_PLAYED):
        yield Advice(
            code="profile",
            severity=Severity.ERROR,
            text=f"The profile {video.profile} is not played by browsers and phones.",
            setting="Profile: set high; Advanced, Color Format: set NV12",
        )


def _damage(video: VideoHealth) -> Iterator[Advice]:
    if video.damaged:
        pictures = "picture arrived" if video.damaged == 1 else "pictures arrived"
        yield Advice(
            code="damaged",
            severity=Severity.WARNING,
            text=f"{video.damaged} {pictures} damaged in the last minute: viewers see blocks, or it stands still.",
            setting="Video Encoder: set another one, such as x264; update the driver of the graphics card",
        )


def _size(video: VideoHealth) -> Iterator[Advice]:
    if video.width % 2 or video.height % 2:
        yield Advice(
            code="resolution",
            severity=Severity.WARNING,
            text=f"The picture is {video.width}x{video.height}: odd sizes are cut or blurred by many players.",
            setting="Output (Scaled) Resolution: set 1920x1080 or 1280x720",
        )
    elif max(video.width, video.height) > _MOST_SIDES[0] or min(video.width, video.height) > _MOST_SIDES[1]:
        yield Advice(
            code="resolution_high",
            severity=Severity.WARNING,
            text=f"The picture is {video.width}x{video.height}: more than most devices can show.",
            setting="Output (Scaled) Resolution: set 1920x1080",
        )


def _scan(video: VideoHealth) -> Iterator[Advice]:
    if video.interlaced:
        yield Advice(
            code="interlaced",
            severity=Severity.WARNING,
            text="The picture is interlaced: moving edges look like combs on most screens.",
            setting="Video source, Deinterlacing: set Yadif 2x or Blend",
        )


def _frame_rate(report: HealthReport, video: VideoHealth) -> Iterator[Advice]:
    if 0 < video.frame_rate < _SLOW * video.expected_frame_rate:
        why = "the encoder does not keep up."
        setting = "Encoder Preset: set a faster one, or lower Output (Scaled) Resolution"
        if report.behind_ms > _LATE_MS:
            why = "the upload is too slow, so that the encoder leaves some out."
            setting = _relief(report)
        yield Advice(
            code="frame_rate",
            severity=Severity.WARNING,
            text=f"{video.frame_rate:.0f} of {video.expected_frame_rate:.0f} pictures a second arrive: {why}",
            setting=setting,
        )
    if video.frame_rate > _MOST_RATE:
        yield Advice(
            code="frame_rate_high",
            severity=Severity.WARNING,
            text=f"{video.frame_rate:.0f} pictures a second are more than most devices can show.",
            setting="Common FPS Values: set 60 or 30",
        )


def _key_frames(video: VideoHealth) -> Iterator[Advice]:
    if video.gop_longest_s > _LONG_GOP_S:
        yield Advice(
            code="keyframe_interval",
            severity=Severity.WARNING,
            text=f"A key frame comes every {video.gop_longest_s:.1f} s: viewers wait long for the first picture.",
            setting="Keyframe Interval: set 2 s",
        )
    elif not video.gop_regular:
        yield Advice(
            code="keyframe_irregular",
            severity=Severity.NOTICE,
            text="Key frames come at uneven distances, which makes switching between qualities rougher.",
            setting="Keyframe Interval: set 2 s, not 0 (auto)",
        )


def _bit_rate(video: VideoHealth) -> Iterator[Advice]:
    if video.bit_rate_10s > _MOST_BIT_RATE:
        yield Advice(
            code="bit_rate_high",
            severity=Severity.WARNING,
            text=f"The picture takes {_megabits(video.bit_rate_10s)}: more than many viewers' lines carry.",
            setting=f"Bitrate: set {_BEST_BIT_RATE // 1000} Kbps",
        )
    if video.bit_rate_variation > _MOST_VARIATION:
        yield Advice(
            code="bit_rate_varies",
            severity=Severity.NOTICE,
            text=f"The bit rate swings by {100 * video.bit_rate_variation:.0f} %: peaks make viewers rebuffer.",
            setting="Rate Control: set CBR",
        )


def _b_frames(video: VideoHealth) -> Iterator[Advice]:
    if video.b_frames:
        yield Advice(
            code="b_frames",
            severity=Severity.NOTICE,
            text="The encoder uses B-frames: they add some delay.",
            setting="Max B-frames: set 0, or Tune: zerolatency",
        )


def _of_audio(audio: AudioHealth) -> Iterator[Advice]:
    if audio.holes:
        times = "once" if audio.holes == 1 else f"{audio.holes} times"
        yield Advice(
            code="audio_holes",
            severity=Severity.WARNING,
            text=f"The sound was interrupted {times} in the last minute: it is silent there.",
            setting="Settings, Audio: choose the device again, and close what else uses it",
        )
    if not _SOUND_EARLY_S < audio.late_s < _SOUND_LATE_S:
        way = "behind" if audio.late_s > 0 else "ahead of"
        yield Advice(
            code="audio_apart",
            severity=Severity.WARNING,
            text=f"The sound comes {abs(audio.late_s):.1f} s {way} its pictures: viewers wait for both.",
            setting="Stop and start the stream; take sound and picture from the same device, if you can",
        )
    if audio.sample_rate and audio.sample_rate != _RATE:
        yield Advice(
            code="audio_rate",
            severity=Severity.NOTICE,
            text=f"The sound has {audio.sample_rate / 1000:g} kHz; players expect 48 kHz.",
            setting="Audio, Sample Rate: set 48 kHz",
        )
    if audio.channels == 1:
        yield Advice(
            code="audio_mono",
            severity=Severity.NOTICE,
            text="The sound is mono.",
            setting="Audio, Channels: set Stereo, if that is not on purpose",
        )


def _of_delivery(report: HealthReport) -> Iterator[Advice]:
    if report.stalls:
        longest = report.longest_stall_ms / 1000
        times = "once" if report.stalls == 1 else f"{report.stalls} times"
        yield Advice(
            code="upload_stalls",
            severity=Severity.WARNING,
            text=f"The upload stopped {times} in the last minute, for up to {longest:.1f} s.",
            setting=_relief(report),
        )
    elif report.behind_ms > _MOST_BEHIND_MS:
        yield Advice(
            code="upload_slow",
            severity=Severity.WARNING,
            text=f"The upload does not keep up: it is {report.behind_ms / 1000:.1f} s behind.",
            setting=_relief(report),
        )
    elif report.jitter_ms > _MOST_JITTER_MS:
        yield Advice(
            code="jitter",
            severity=Severity.NOTICE,
            text=f"Media arrives unevenly, by {report.jitter_ms:.0f} ms: the line is busy or wireless.",
            setting="Use a cable instead of Wi-Fi",
        )
    if report.drift_ppm is not None and abs(report.drift_ppm) in _DRIFT_PPM:
        pace = "fast" if report.drift_ppm > 0 else "slow"
        yield Advice(
            code="clock_drift",
            severity=Severity.NOTICE,
            text=f"The encoder's clock runs {pace} by {abs(report.drift_ppm)} millionths.",
            setting="Use the computer's own clock: no capture device as the clock of the stream",
        )


def _relief(report: HealthReport) -> str:
    """What helps an upload that carries too little."""
    return f"Bitrate: set {_lower(report)} Kbps; use a cable instead of Wi-Fi"


def _lower(report: HealthReport) -> int:
    """kbit/s, whole hundreds."""
    rate = report.video.bit_rate_10s if report.video is not None else 0
    return round(min(max(_LEAST_BIT_RATE, rate * _STALL_SHARE), _BEST_BIT_RATE) / 100_000) * 100


def _length(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _megabits(rate: int) -> str:
    return f"{rate / 1e6:.1f} Mbit/s"


class _Held(NamedTuple):
    advice: Advice
    since_us: int  # first seen; when shown: last seen
    is_shown: bool


class Steady:
    """An advice appears when it has held for five seconds, and stays until ten seconds after it held last."""

    def __init__(self, rules: Callable[[HealthReport], list[Advice]] = judge) -> None:
        self._rules = rules
        self._held: dict[str, _Held] = {}

    def shown(self, report: HealthReport, now_us: int) -> list[Advice]:
        """What to show at `now_us`, most severe first."""
        true_now = {advice.code: advice for advice in self._rules(report)}
        for code, advice in true_now.items():
            held = self._held.get(code)
            if held is None:
                self._held[code] = _Held(advice, now_us, False)
            elif held.is_shown or now_us - held.since_us >= APPEARS_US:
                self._held[code] = _Held(advice, now_us, True)
        for code, held in list(self._held.items()):
            if code not in true_now and (not held.is_shown or now_us - held.since_us >= DISAPPEARS_US):
                del self._held[code]
        shown = [held.advice for held in self._held.values() if held.is_shown]
        return sorted(shown, key=lambda one: _ORDER[one.severity])
