"""Stamps to media time: exact grids, drift, outliers, jumps, wrap, wall clock."""

import itertools
import random
from fractions import Fraction

import pytest

from edge.media.stamps import Unwrapper
from edge.media.timeline import BASE_OFFSET, Timed, Timeline


def feed(timeline: Timeline, stamps: list[int], gop: int = 60) -> list[Timed]:
    out = []
    for index, stamp in enumerate(stamps):
        out += timeline.video(stamp, 0, index % gop == 0, b"", now_us=1_000_000 * 1000 + index)
    return out + timeline.flush()


def dts_of(items: list[Timed]) -> list[int]:
    return [item.sample.dts for item in items]


def contiguous(items: list[Timed]) -> bool:
    return all(a.sample.end == b.sample.dts for a, b in itertools.pairwise(items))


@pytest.mark.parametrize("rate", [(30, 1), (60, 1), (25, 1), (30000, 1001), (60000, 1001), (24000, 1001)])
def test_constant_rate_is_exact(rate: tuple[int, int]) -> None:
    exact = Fraction(*rate)
    timeline = Timeline(frame_rate=rate)
    items = feed(timeline, [int(i * 1000 / exact) + 5000 for i in range(2000)])
    wanted = [BASE_OFFSET + i * 90_000 * rate[1] // rate[0] for i in range(2000)]
    assert dts_of(items) == wanted
    assert contiguous(items)


@pytest.mark.parametrize("rate", [30, 60, 25])
def test_measured_without_a_hint(rate: int) -> None:
    items = feed(Timeline(), [i * 1000 // rate for i in range(300)])
    assert len(items) == 300
    assert contiguous(items)
    assert all(item.sample.duration == 90_000 // rate for item in items[20:])


def test_wrong_hint_becomes_variable_then_exact() -> None:
    timeline = Timeline(frame_rate=(30, 1))
    stamps = [i * 40 for i in range(200)]
    items = feed(timeline, stamps)
    assert len(items) == 200
    assert timeline.video_clock.is_constant
    assert all(item.sample.duration == 3600 for item in items[60:])
    assert abs(items[-1].sample.dts - BASE_OFFSET - stamps[-1] * 90) < 9000


def test_slow_drift_is_followed_in_steps() -> None:
    items = feed(Timeline(frame_rate=(30, 1)), [int(i * 1001 / 30) for i in range(3000)])
    assert contiguous(items)
    assert all(abs(item.sample.duration - 3000) <= 90 for item in items)
    error = items[-1].sample.dts - BASE_OFFSET - 2999 * 3003
    assert abs(error) < 300


def test_dropped_frames_are_holes_on_the_grid() -> None:
    stamps = [i * 1000 // 30 for i in range(200) if i % 50 != 30]
    items = feed(Timeline(frame_rate=(30, 1)), stamps)
    assert all((item.sample.dts - BASE_OFFSET) % 3000 == 0 for item in items)
    assert items[-1].sample.dts == BASE_OFFSET + 199 * 3000


def test_variable_rate_keeps_its_times() -> None:
    generator = random.Random(1)
    stamps = [0]
    for _ in range(200):
        stamps.append(stamps[-1] + generator.randint(15, 90))
    items = feed(Timeline(), stamps)
    assert dts_of(items) == [BASE_OFFSET + stamp * 90 for stamp in stamps]
    assert contiguous(items)


def test_equal_and_slightly_backward_stamps_rise() -> None:
    items = feed(Timeline(), [0, 0, 40, 35, 80, 80, 120])
    times = dts_of(items)
    assert all(a < b for a, b in itertools.pairwise(times))


def test_wrap() -> None:
    start = (1 << 32) - 1000
    items = feed(Timeline(frame_rate=(30, 1)), [(start + i * 1000 // 30) % (1 << 32) for i in range(90)])
    assert dts_of(items) == [BASE_OFFSET + i * 3000 for i in range(90)]


def test_unwrapper_goes_back_too() -> None:
    unwrap = Unwrapper()
    assert [unwrap.feed(stamp) for stamp in (5, (1 << 32) - 5, 3)] == [5, -5, 3]


@pytest.mark.parametrize("wrong", [0, 3_600_000, 1 << 31])
def test_single_outlier_changes_nothing(wrong: int) -> None:
    stamps = [1_000_000 + i * 1000 // 30 for i in range(90)]
    stamps[40] = wrong
    timeline = Timeline(frame_rate=(30, 1))
    items = feed(timeline, stamps)
    assert dts_of(items) == [BASE_OFFSET + i * 3000 for i in range(90)]
    assert timeline.restamped == 1
    assert timeline.sections == 1


@pytest.mark.parametrize("jump", [3_600_000, -900_000])
def test_jump_is_a_new_section_without_a_hole(jump: int) -> None:
    timeline = Timeline(frame_rate=(30, 1))
    timeline.set_audio(48_000)
    flagged, times, sounds = [], [], []
    for index in range(240):
        stamp = 1_000_000 + index * 1000 // 30 + (jump if index >= 100 else 0)
        for item in timeline.video(stamp, 0, index % 60 == 0, b"", now_us=index * 1_000_000 // 30):
            times.append(item.sample.dts)
            if item.discontinuity:
                flagged.append(index)
        sound = timeline.audio(stamp, b"", now_us=0)
        if sound is not None:
            sounds.append(sound.sample.dts)
    assert timeline.sections == 2
    assert flagged == [120]
    assert max(b - a for a, b in itertools.pairwise(times)) <= 3 * 3000
    assert min(b - a for a, b in itertools.pairwise(times)) > 0
    assert max(b - a for a, b in itertools.pairwise(sounds)) < 48_000


@pytest.mark.parametrize("stops", ["pictures", "sound"])
def test_a_track_that_was_away_comes_back_where_the_other_is(stops: str) -> None:
    timeline = Timeline(frame_rate=(30, 1))
    timeline.set_audio(48_000)
    pictures, sounds = {}, {}
    for index in range(600):
        stamp, away = 1_000_000 + index * 1000 // 30, 100 <= index < 350
        if not (away and stops == "pictures"):
            for item in timeline.video(stamp, 0, index % 60 == 0, b"", now_us=0):
                assert not item.discontinuity
                pictures[index] = item.sample.dts / 90_000
        if not (away and stops == "sound"):
            sound = timeline.audio(stamp, b"", now_us=0, samples=1600)
            assert sound is not None
            sounds[index] = sound.sample.dts / 48_000
    assert timeline.sections == 1
    assert all(abs(at - 1 - index / 30) < 0.01 for index, at in pictures.items())
    late = {index: at - 1 - index / 30 for index, at in sounds.items() if not 350 <= index < 353}
    assert all(abs(by) < 0.01 for by in late.values())


def test_wall_clock_has_one_anchor() -> None:
    timeline = Timeline(frame_rate=(30, 1))
    timeline.video(500, 0, True, b"", now_us=5_000_000)
    timeline.video(533, 0, False, b"", now_us=9_000_000)
    assert timeline.pdt_us(BASE_OFFSET) == 5_000_000
    assert timeline.pdt_us(BASE_OFFSET + 90_000) == 6_000_000


def test_composition_times() -> None:
    timeline = Timeline(frame_rate=(30, 1))
    first = timeline.video(0, 67, True, b"", now_us=0)[0].sample
    second = timeline.video(33, -33, False, b"", now_us=0)[0].sample
    assert first.cts == 6000
    assert second.cts == 0
    third = timeline.video(67, 0, False, b"", now_us=0)[0].sample
    assert third.cts == 3000


def test_audio_is_counted() -> None:
    timeline = Timeline()
    timeline.set_audio(44_100)
    times = []
    for index in range(1000):
        item = timeline.audio(int(index * 1024000 / 44_100) + index % 7, b"", now_us=0)
        assert item is not None
        times.append(item.sample.dts)
    assert times == [44_100 + 1024 * index for index in range(1000)]


def test_audio_hole_and_surplus() -> None:
    timeline = Timeline()
    timeline.set_audio(48_000)
    frame = 1024 / 48
    times = []
    for index in range(400):
        shift = 300 if 100 <= index < 250 else 0
        item = timeline.audio(int(index * frame) + shift, b"", now_us=0)
        if item is not None:
            times.append(item.sample.dts)
    assert all(b - a >= 1024 for a, b in itertools.pairwise(times))
    assert timeline.audio_clock is not None
    assert timeline.audio_clock.resyncs == 2
    assert 10 <= timeline.audio_clock.dropped <= 16
    assert abs(times[-1] - 48_000 - 399 * 1024) < 0.07 * 48_000


def test_sound_whose_stamps_did_not_count_a_pause_is_heard_again() -> None:
    timeline = Timeline()
    timeline.set_audio(48_000)
    clock = timeline.audio_clock
    assert clock is not None
    times = []
    for index in range(600):
        if index == 100:
            times += [sample.dts for sample in clock.fill(300, b"")]
        right_again = 300 + 93 if index >= 500 else 0  # the 300 frames, and those that were left out
        item = timeline.audio((index + right_again) * 1024 // 48, b"", now_us=0)
        if item is not None:
            times.append(item.sample.dts)
    assert times == [48_000 + 1024 * index for index in range(len(times))]
    assert len(times) == 900 - 93, "two seconds are left out until it is clear that the others would be, too"


def test_sound_whose_stamps_stand_for_ever_keeps_step_with_its_arrival() -> None:
    timeline = Timeline()
    timeline.set_audio(48_000)
    times = {}
    for index in range(1000):
        item = timeline.audio(index * 1024 // 48 if index < 100 else 2112, b"", now_us=0)
        if item is not None:
            times[index] = item.sample.dts
    left_out = [index for index in range(1000) if index not in times]
    assert len(left_out) < 100
    assert left_out == list(range(left_out[0], left_out[-1] + 1))
    late = [times[index] - 48_000 - 1024 * index for index in range(left_out[-1] + 1, 1000)]
    assert max(map(abs, late)) < 4800


@pytest.mark.parametrize("jump", [-250, -500, -950])
def test_sound_goes_along_when_pictures_jump_back_by_little(jump: int) -> None:
    timeline = Timeline(frame_rate=(30, 1))
    timeline.set_audio(48_000)
    pictures, sounds = {}, {}
    for index in range(600):
        stamp = 1_000_000 + index * 1000 // 30 + index // 150 * jump
        sound = timeline.audio(stamp, b"", now_us=0, samples=1600)
        if sound is not None:
            sounds[index] = sound.sample.dts / 48_000
        for item in timeline.video(stamp, 0, index % 60 == 0, b"", now_us=0):
            pictures[index] = item.sample.dts / 90_000
    assert timeline.sections == 4
    assert len(sounds) > 580
    assert all(abs(at - 1 - index / 30) < 0.02 for index, at in pictures.items())
    settled = {index: at for index, at in sounds.items() if index % 150 > 8}
    assert all(abs(at - 1 - index / 30) < 0.02 for index, at in settled.items())


def test_pictures_that_jump_back_again_and_again_keep_step_with_the_sound() -> None:
    timeline = Timeline(frame_rate=(30, 1))
    timeline.set_audio(48_000)
    for index in range(600):
        stamp = 1_000_000 + index * 1000 // 30
        sound = timeline.audio(stamp, b"", now_us=0, samples=1600)
        shown = timeline.video(stamp - index // 150 * 500, 0, index % 60 == 0, b"", now_us=0)
        assert sound is not None
        assert all(abs(item.sample.dts / 90_000 - sound.sample.dts / 48_000) < 0.02 for item in shown)


def test_audio_with_another_rate_keeps_the_timescale() -> None:
    timeline = Timeline()
    timeline.set_audio(48_000, 44_100)
    durations = []
    for index in range(100):
        item = timeline.audio(int(index * 1024000 / 44_100), b"", now_us=0)
        assert item is not None
        durations.append(item.sample.duration)
    assert sum(durations) == 100 * 1024 * 48_000 // 44_100


def test_a_first_picture_behind_which_none_comes_has_the_wall_clock_of_its_arrival() -> None:
    timeline = Timeline()
    assert timeline.video(0, 0, True, b"key", now_us=5_000_000) == []
    (held,) = timeline.flush()
    assert timeline.pdt_us(held.sample.dts) == 5_000_000


def test_the_wall_clock_of_a_variable_rate_is_that_at_which_its_first_picture_came() -> None:
    """It is known one picture later how long it lasts."""
    timeline = Timeline()
    came_us = 1_700_000_000_000_000
    items = timeline.video(0, 0, True, b"", now_us=came_us)
    items += timeline.video(1000, 0, False, b"", now_us=came_us + 1_000_000)
    assert timeline.pdt_us(items[0].sample.pts) == came_us
