"""Where video begins."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.media.video_clock import VideoClock


@pytest.mark.parametrize("frame_rate", [(0, 1), (30, 1)])
def test_a_stamp_before_the_beginning_is_the_beginning(frame_rate):
    clock = VideoClock(frame_rate)
    found = [sample for time in range(-6000, 30_000, 3000) for sample in clock.push(time, 0, False, b"x")]
    assert found[0].dts == 0
    assert all(one.end == other.dts for one, other in itertools.pairwise(found))


RATES = [(60, 1), (50, 1), (30, 1), (25, 1), (24, 1), (60_000, 1001), (30_000, 1001), (24_000, 1001), (5, 1)]


def stamps(numerator: int, denominator: int, count: int) -> list[int]:
    """Whole milliseconds of a constant frame rate, in ticks."""
    return [1000 * index * denominator // numerator * 90 for index in range(count)]


@given(st.sampled_from(RATES), st.integers(0, 1 << 40))
def test_a_standard_rate_is_found_by_its_stamps(rate, begin):
    clock = VideoClock()
    for time in stamps(*rate, 12):
        assert not clock.is_constant
        clock.push(begin + time, 0, False, b"x")
    assert clock.is_constant


@given(st.sampled_from(RATES), st.integers(0, 11), st.sampled_from([-720, 720]))
def test_one_stamp_beside_the_grid_keeps_a_rate_variable(rate, index, beside):
    clock = VideoClock()
    times = stamps(*rate, 12)
    times[index] += beside
    for time in times:
        clock.push(90_000 + time, 0, False, b"x")
    assert not clock.is_constant


def test_a_grid_that_was_left_needs_a_longer_proof():
    clock = VideoClock((30, 1))
    time = 90_000
    for index in range(20):
        time += 5_000 + 2_000 * (index % 2)
        clock.push(time, 0, False, b"x")
    assert not clock.is_constant
    for index in range(23):  # with the last of before they are 24
        assert not clock.is_constant
        clock.push(time + (index + 1) * 3_600, 0, False, b"x")
    assert clock.is_constant


def test_behind_a_hole_beside_the_grid_frames_are_where_their_stamps_are():
    """As a file that is sent again and again has, whose sound is longer than its pictures."""
    clock = VideoClock((30, 1))
    times = stamps(30, 1, 60)
    times += [times[-1] + 3_013 * 90 + time for time in stamps(30, 1, 60)]
    found = [sample for time in times for sample in clock.push(90_000 + time, 0, False, b"x")]
    assert len(found) == len(times)
    assert all(abs(sample.dts - 90_000 - time) <= 180 for sample, time in zip(found, times, strict=True))
    assert [sample.duration for sample in found] == [3_000] * 120
    assert clock.is_constant
