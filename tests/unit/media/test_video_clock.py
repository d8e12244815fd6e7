"""Where video begins."""

import itertools

import pytest

from edge.media.video_clock import VideoClock


@pytest.mark.parametrize("frame_rate", [(0, 1), (30, 1)])
def test_a_stamp_before_the_beginning_is_the_beginning(frame_rate):
    clock = VideoClock(frame_rate)
    found = [sample for time in range(-6000, 30_000, 3000) for sample in clock.push(time, 0, False, b"x")]
    assert found[0].dts == 0
    assert all(one.end == other.dts for one, other in itertools.pairwise(found))
