"""Stamps of publishers: unwrapping at 31 and 32 bits, further tracks, and audio of uneven frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.media.audio_clock import AudioClock
from edge.media.stamps import Unwrapper
from edge.media.timeline import BASE_OFFSET, Timeline, nano_ticks


@pytest.mark.parametrize("bits", [31, 32])
@given(st.lists(st.integers(0, 5000), min_size=1, max_size=200), st.integers(1, 50_000))
def test_wraps_by_small_steps(bits: int, steps: list[int], before: int) -> None:
    unwrap, at = Unwrapper(), (1 << bits) - before
    assert unwrap.feed(at) == at
    for step in steps:
        at += step
        assert unwrap.feed(at % (1 << bits)) == at


def test_steps_back_are_no_wrap() -> None:
    unwrap = Unwrapper()
    assert [unwrap.feed(stamp) for stamp in (5000, 4900, 0xFFFFFFFF, 3)] == [5000, 4900, -1, 3]


@pytest.mark.parametrize(("nano", "ticks"), [(0, 0), (999_999, 90), (500_000, 45), (11_111, 1)])
def test_nanoseconds(nano: int, ticks: int) -> None:
    assert nano_ticks(nano) == ticks


def test_tracks_share_one_mapping_and_only_the_first_leads() -> None:
    timeline = Timeline(frame_rate=(30, 1))
    timeline.set_frame_rate((30, 1), track=1)
    found: dict[int, list[int]] = {0: [], 1: []}
    stamps = [5000 + i * 1000 // 30 for i in range(60)]
    stamps += [stamp + 3_600_000 for stamp in stamps]
    for index, stamp in enumerate(stamps):
        for track in (1, 0):
            for timed in timeline.video(stamp, 0, index % 30 == 0, b"", now_us=index, track=track):
                found[track].append(timed.sample.dts)
                assert track == 0 or not timed.discontinuity
    assert found[0][0] == found[1][0] == BASE_OFFSET
    assert len(found[0]) == len(found[1]) == 120
    assert max(abs(a - b) for a, b in zip(*found.values(), strict=True)) <= 9000
    assert timeline.sections == 2


def test_audio_frames_of_uneven_length_are_counted() -> None:
    clock = AudioClock(48_000, frame_samples=960)
    lengths = [960, 480, 2880, 120, 960]
    at, found = 0, []
    for samples in lengths:
        sample = clock.push(at, b"", samples)
        assert sample is not None
        found.append((sample.dts, sample.duration))
        at += samples
    assert found == [(0, 960), (960, 480), (1440, 2880), (4320, 120), (4440, 960)]


@given(st.lists(st.integers(-300, 700), min_size=1, max_size=120), st.integers(0, 60_000))
def test_stamps_that_wrap_mean_the_same_times(steps: list[int], before: int) -> None:
    """The first ones follow each other plainly; those behind the wrap have to be unwrapped."""
    plain, wrapped = Timeline(), Timeline()
    for one in (plain, wrapped):
        one.set_audio(48_000)
    stamp = 100_000
    for step in steps:
        stamp += step
        times = [
            timeline.audio(sent % (1 << 32), b"", now_us=0)
            for timeline, sent in ((plain, stamp), (wrapped, stamp - 100_000 + (1 << 32) - before))
        ]
        assert times[0] == times[1]
    assert (plain.restamped, plain.sections) == (wrapped.restamped, wrapped.sections)
