"""What is measured of a publisher, and when advice appears and goes away."""

import time

import pytest

from appliance.contracts.health import HealthReport, Severity
from edge.media.health import Health, profile_of

FPS = 30
FRAME = 3000
START = 1_700_000_000_000_000


class Encoder:
    """Sends frames in real time; everything can be changed on the way."""

    def __init__(self, **video: object) -> None:
        self.health = Health()
        self.health.set_video("avc1.64001f", 1280, 720, (FPS, 1))
        self.health.set_audio("mp4a.40.2", 48_000, 2)
        self.frame = 0
        self.dts = 900_000
        self.now = START
        self.gop = 2 * FPS
        self.size = 25_000
        self.lag_s = 0.0  # of the sound
        self.seen: list[HealthReport] = []

    def send(self, seconds: float, *, ppm: int = 0, every: int = 1, swing: int = 0, cts: bool = False) -> None:
        for _ in range(round(seconds * FPS)):
            second = (self.dts - 900_000) // 90_000
            size = self.size + (swing if second // 4 % 2 else -swing)
            if self.frame % every == 0:
                offset = (self.frame % 3) * FRAME if cts else 0
                self.health.video(self.dts, self.frame % self.gop == 0, size, self.now, offset)
                self.health.audio(self.dts * 8 // 15 - round(self.lag_s * 48_000), 48_000, 640, self.now)
            self.frame += 1
            self.dts += FRAME
            self.now += FRAME * 100 // 9 * 1_000_000 // (1_000_000 + ppm)
            report = self.health.report(self.now)
            if report is not None:
                self.seen.append(report)

    @property
    def last(self) -> HealthReport:
        return self.seen[-1]

    def advice(self) -> list[str]:
        return [one.code for one in self.last.advice]


def test_a_good_encoder_is_measured_and_left_alone() -> None:
    encoder = Encoder()
    encoder.send(40)
    assert 39 <= len(encoder.seen) <= 40, "one report a second"
    video, audio = encoder.last.video, encoder.last.audio
    assert video is not None
    assert audio is not None
    assert (video.profile, video.width, video.height) == ("High", 1280, 720)
    assert video.frame_rate == pytest.approx(30)
    assert video.bit_rate_1s == video.bit_rate_10s == video.bit_rate_peak == 8 * 25_000 * FPS
    assert (video.gop_s, video.gop_longest_s, video.gop_regular, video.b_frames) == (2.0, 2.0, True, False)
    assert audio.bit_rate == 8 * 640 * FPS
    assert (encoder.last.stalls, encoder.last.jitter_ms) == (0, 0.0)
    assert encoder.last.drift_ppm == pytest.approx(0, abs=15)
    assert encoder.last.advice == []


def test_advice_appears_after_five_seconds_and_goes_ten_after_it_held() -> None:
    encoder = Encoder()
    encoder.gop = 10 * FPS
    encoder.send(8.9)
    assert encoder.advice() == []
    encoder.send(1.2)
    assert encoder.advice() == ["keyframe_interval"]
    assert encoder.last.advice[0].setting == "Keyframe Interval: set 2 s"
    encoder.gop = 2 * FPS
    encoder.send(16 + 9)
    assert encoder.advice() == ["keyframe_interval"], "the last eight distances still hold the long one"
    encoder.send(5)
    assert encoder.advice() == []


def test_a_pause_without_pictures_makes_no_key_frame_late() -> None:
    encoder = Encoder()
    encoder.send(9)
    encoder.dts += 5 * 90_000
    encoder.now += 5_000_000
    encoder.frame = 0  # and comes back with a key frame
    encoder.send(12)
    told = {one.code for report in encoder.seen for one in report.advice}
    assert told == {"upload_stalls", "audio_holes"}
    assert encoder.last.video is not None
    assert encoder.last.video.gop_longest_s == pytest.approx(2.0, abs=0.1)


def test_uneven_key_frames() -> None:
    encoder = Encoder()
    for gop in (60, 25, 60, 40, 60, 31, 60):
        encoder.gop = gop
        encoder.frame = 0
        encoder.send(gop / FPS)
    encoder.send(3)
    assert encoder.advice() == ["keyframe_irregular"]


def test_key_frames_that_were_asked_for_are_not_uneven() -> None:
    encoder = Encoder()
    encoder.health = Health(keys_asked_for=True)
    encoder.health.set_video("avc1.64001f", 1280, 720, (FPS, 1))
    for gop in (60, 25, 60, 40, 60, 31, 60):
        encoder.gop = gop
        encoder.frame = 0
        encoder.send(gop / FPS)
    encoder.send(3)
    assert encoder.advice() == []


def test_dropped_frames() -> None:
    encoder = Encoder()
    encoder.send(10)
    encoder.send(12, every=2)
    assert "frame_rate" in encoder.advice()
    assert encoder.last.video is not None
    assert encoder.last.video.frame_rate == pytest.approx(15)


def test_pictures_left_out_because_of_the_line() -> None:
    """As OBS leaves them out when what it could not send yet lasts for more than half a second."""
    encoder = Encoder()
    encoder.send(10)
    encoder.now += 450_000
    encoder.send(12, every=2)
    (advice,) = encoder.last.advice
    assert advice.code == "frame_rate"
    assert "upload" in advice.text
    assert "Bitrate" in advice.setting


def test_frame_rate_without_an_announced_one_is_judged_by_its_best() -> None:
    encoder = Encoder()
    encoder.health.set_video("avc1.64001f", 1280, 720)
    encoder.send(10)
    encoder.send(12, every=2)
    assert "frame_rate" in encoder.advice()


def test_bit_rate_too_high_and_swinging() -> None:
    encoder = Encoder()
    encoder.size = 40_000
    encoder.send(20)
    assert encoder.advice() == ["bit_rate_high"]
    encoder = Encoder()
    encoder.send(30, swing=20_000)
    assert encoder.advice() == ["bit_rate_varies"]


def test_an_interlaced_picture_is_said() -> None:
    encoder = Encoder()
    encoder.health.set_video("avc1.640015", 1280, 720, (FPS, 1), interlaced=True)
    encoder.send(10)
    assert encoder.advice() == ["interlaced"]
    assert "Deinterlacing" in encoder.last.advice[0].setting


def test_b_frames() -> None:
    encoder = Encoder()
    encoder.send(10, cts=True)
    assert encoder.advice() == ["b_frames"]


def test_upload_that_stops() -> None:
    encoder = Encoder()
    encoder.send(10)
    encoder.now += 1_200_000
    encoder.send(10)
    assert encoder.advice()[0] == "upload_stalls"
    assert (encoder.last.stalls, encoder.last.stalls_total) == (1, 1)
    assert encoder.last.longest_stall_ms == pytest.approx(1233, abs=2)
    assert "Bitrate: set 4200 Kbps" in encoder.last.advice[0].setting
    encoder.send(75)
    assert encoder.advice() == []
    assert encoder.last.stalls_total == 1


def test_upload_that_carries_too_little() -> None:
    encoder = Encoder()
    encoder.send(20)
    encoder.send(12, ppm=-300_000)
    assert encoder.advice() == ["upload_slow"]
    assert 4_000 < encoder.last.behind_ms < 5_200
    encoder.now -= 5_143_000  # it has caught up
    encoder.send(30)
    assert encoder.last.behind_ms < 300
    assert "upload_slow" not in encoder.advice()


def test_media_time_may_begin_at_nothing() -> None:
    encoder = Encoder()
    encoder.dts = 0
    encoder.send(5)
    assert encoder.last.jitter_ms == 0.0


def test_a_pause_that_goes_on_is_counted() -> None:
    encoder = Encoder()
    encoder.send(5)
    report = encoder.health.report(encoder.now + 3_000_000)
    assert report is not None
    assert report.stalls == 1
    assert report.longest_stall_ms >= 3000


@pytest.mark.parametrize("ppm", [-800, -400, 400, 800])
def test_clock_drift(ppm: int) -> None:
    encoder = Encoder()
    encoder.send(60, ppm=ppm)
    assert encoder.last.drift_ppm == pytest.approx(ppm, abs=40)
    assert encoder.advice() == ["clock_drift"]


@pytest.mark.parametrize(("lag_s", "way"), [(2.0, "2.0 s behind"), (-7.0, "7.0 s ahead of"), (1.0, ""), (-5.0, "")])
def test_sound_that_comes_apart_from_its_pictures(lag_s: float, way: str) -> None:
    encoder = Encoder()
    encoder.lag_s = lag_s
    encoder.send(20)
    assert encoder.last.audio is not None
    assert encoder.last.audio.late_s == pytest.approx(lag_s, abs=0.05)
    assert encoder.advice() == (["audio_apart"] if way else [])
    assert all(way in one.text for one in encoder.last.advice)


def test_sound_and_pictures_that_come_in_turns_are_not_apart() -> None:
    health = Health()
    health.set_audio("mp4a.40.2", 48_000, 2)
    late = []
    for second in range(0, 40, 2):
        begin = START + second * 1_000_000
        for index in range(60):
            health.video(900_000 + second * 90_000 + index * FRAME, index == 0, 1000, begin + index * 10)
        for index in range(94):
            health.audio(480_000 + second * 48_000 + index * 1024, 48_000, 300, begin + 1000 + index * 10)
        report = health.report(begin + 1_100_000)
        late.append(report.audio.late_s if report is not None and report.audio is not None else 0.0)
    assert late == [0.0] * 20


def test_sound_is_not_early_while_pictures_are_missing() -> None:
    encoder = Encoder()
    encoder.send(15)
    for index in range(20 * 47):
        encoder.health.audio(
            encoder.dts * 8 // 15 + index * 1024, 48_000, 300, encoder.now + index * 1024 * 1_000_000 // 48_000
        )
        encoder.health.report(encoder.now + index * 1024 * 1_000_000 // 48_000)
    report = encoder.health.report(encoder.now + 21_000_000)
    assert report is not None
    assert report.audio is not None
    assert report.audio.late_s == 0.0


def test_jitter() -> None:
    encoder = Encoder()
    for index in range(20 * FPS):
        encoder.now += 380_000 if index % 10 == 0 else -42_000 if index % 10 < 10 else 0
        encoder.send(1 / FPS)
    assert encoder.last.jitter_ms > 20


def test_frames_that_are_read_together_are_no_jitter() -> None:
    health = Health()
    for index in range(10 * FPS):
        health.video(
            900_000 + index * FRAME, index % 60 == 0, 1000, START + (index // 4 * 4 + 3) * FRAME * 100 // 9
        )
    report = health.report(START + 10_000_000)
    assert report is not None
    assert report.jitter_ms == 0.0


def test_media_time_that_jumps_does_not_disturb() -> None:
    encoder = Encoder()
    encoder.send(20)
    encoder.dts -= 500_000
    encoder.frame = 0
    encoder.send(20)
    encoder.dts += 90_000 * 3600
    encoder.frame = 0
    encoder.send(20)
    assert encoder.last.video is not None
    assert encoder.last.video.bit_rate_10s == 8 * 25_000 * FPS
    assert encoder.advice() == []


def test_formats_that_are_not_played_well() -> None:
    encoder = Encoder()
    encoder.health.set_video("avc1.7a0028", 1281, 721, (FPS, 1))
    encoder.health.set_audio("mp4a.40.2", 44_100, 1)
    encoder.send(10)
    assert encoder.advice() == ["profile", "resolution", "audio_rate", "audio_mono"]
    assert encoder.last.advice[0].severity is Severity.ERROR


@pytest.mark.parametrize("size", [(7680, 4320), (2400, 5000)])
def test_a_picture_larger_than_devices_show(size: tuple[int, int]) -> None:
    encoder = Encoder()
    encoder.health.set_video("avc1.64003e", *size, (FPS, 1))
    encoder.send(10)
    assert encoder.advice() == ["resolution_high"]
    encoder.health.set_video("avc1.640033", 3840, 2160, (FPS, 1))
    encoder.send(12)
    assert encoder.advice() == []


def test_more_pictures_than_devices_show() -> None:
    health, seen = Health(), []
    health.set_video("avc1.64001f", 1280, 720, (240, 1))
    for index in range(10 * 240):
        health.video(index * 375, index % 480 == 0, 3000, START + index * 4167)
        report = health.report(START + index * 4167)
        seen += [report] if report is not None else []
    assert [one.code for one in seen[-1].advice] == ["frame_rate_high"]
    assert "240 pictures" in seen[-1].advice[0].text


def test_pictures_that_stop_are_told_while_the_sound_goes_on() -> None:
    encoder = Encoder()
    encoder.send(10)
    for _ in range(130 * FPS):
        encoder.health.audio(encoder.dts * 8 // 15, 48_000, 640, encoder.now)
        encoder.dts += FRAME
        encoder.now += FRAME * 100 // 9
        report = encoder.health.report(encoder.now)
        encoder.seen += [report] if report is not None else []
    assert encoder.advice() == ["no_pictures"]
    assert encoder.last.advice[0].severity is Severity.ERROR
    assert "for 2 min" in encoder.last.advice[0].text
    assert encoder.last.video is not None
    assert encoder.last.video.missing_s == pytest.approx(130, abs=1.5)
    assert encoder.last.video.frame_rate == encoder.last.video.bit_rate_1s == 0
    encoder.send(20)
    assert encoder.advice() == []


def test_pictures_that_come_too_late() -> None:
    encoder = Encoder()
    encoder.send(2)
    encoder.health.late(encoder.now)
    encoder.health.late(encoder.now)
    encoder.send(7)
    assert encoder.advice() == ["pictures_late"]
    assert encoder.last.advice[0].text.startswith("2 pictures")
    encoder.send(75)
    assert encoder.advice() == []


def test_pictures_that_arrive_damaged() -> None:
    encoder = Encoder()
    encoder.send(2)
    encoder.health.set_damaged(4)
    for _ in range(3):
        encoder.health.unreadable(encoder.now)
    encoder.send(7)
    assert encoder.advice() == ["damaged"]
    assert "7 pictures arrived damaged" in encoder.last.advice[0].text
    encoder.health.set_damaged(0)
    encoder.send(20)
    assert "3 pictures arrived damaged" in encoder.last.advice[0].text
    encoder.send(50)
    assert encoder.advice() == []


def test_sound_with_holes() -> None:
    encoder = Encoder()
    encoder.send(10)
    for index in range(8 * 50):
        if index % 100 < 85:  # 0.3 s are missing every two seconds
            encoder.health.audio(encoder.dts * 8 // 15 + index * 960, 48_000, 300, encoder.now + index * 20_000)
    encoder.dts += 8 * 90_000
    encoder.now += 8_000_000
    report = encoder.health.report(encoder.now)
    assert report is not None and report.audio is not None
    assert report.audio.holes == 3
    encoder.send(7)
    assert encoder.last.audio is not None
    assert encoder.last.audio.holes == 4
    assert "audio_holes" in encoder.advice()
    assert "4 times" in next(one.text for one in encoder.last.advice if one.code == "audio_holes")
    encoder.send(75)
    assert encoder.advice() == []


def test_sound_alone() -> None:
    health = Health()
    health.set_audio("opus", 48_000, 2)
    for index in range(500):
        health.audio(index * 960, 48_000, 300, START + index * 20_000)
    report = health.report(START + 10_000_000)
    assert report is not None
    assert report.video is None
    assert report.audio is not None
    assert report.audio.bit_rate == 8 * 300 * 50


def test_nothing_arrived() -> None:
    assert Health().report(START) is None


@pytest.mark.parametrize(
    ("codec", "profile"),
    [
        ("avc1.42c01f", "Baseline"),
        ("avc1.640028", "High"),
        ("avc1.6e0028", "High 10"),
        ("avc1.x", ""),
        ("hvc1.2.4.L120.B0", "HEVC Main 10"),
        ("av01.0.08M.08", "AV1"),
        ("", ""),
    ],
)
def test_profile(codec: str, profile: str) -> None:
    assert profile_of(codec) == profile


def test_an_access_unit_costs_little() -> None:
    health = Health()
    health.set_video("avc1.64001f", 1280, 720, (FPS, 1))
    began = time.thread_time()
    for index in range(20_000):
        health.video(index * FRAME, index % 60 == 0, 20_000, START + index * 33_333, 0)
    assert (time.thread_time() - began) / 20_000 < 20e-6, "3 us on an idle machine"
