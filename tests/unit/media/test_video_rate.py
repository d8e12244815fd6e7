"""The frame rate that is meant by what was measured."""

import pytest

from edge.media.video_clock import measured_rate


@pytest.mark.parametrize(
    ("frames", "seconds", "rate"),
    [(60, 2.0, 30), (59, 2.0, 30), (62, 2.1, 30), (120, 2.0, 60), (50, 2.0, 25), (2, 2.0, 1), (180, 2.0, 90)],
)
def test_what_is_near_to_a_usual_rate_is_that(frames: int, seconds: float, rate: int) -> None:
    assert measured_rate(frames, round(90_000 * seconds)) == (rate, 1)
