"""What metadata says, and how much of it is believed."""

import pytest

from edge.ingest.hints import Hints, exact_rate
from edge.protocols.codecs.picture import Picture


@pytest.mark.parametrize(
    ("rate", "exact"),
    [
        (30.0, (30, 1)),
        (29.97, (30000, 1001)),
        (23.976, (24000, 1001)),
        (0.0, (0, 1)),
        (1e9, (0, 1)),
        (33.3, (0, 1)),
    ],
)
def test_exact_rate(rate: float, exact: tuple[int, int]) -> None:
    assert exact_rate(rate) == exact


def test_a_fixed_rate_of_the_codec_comes_first() -> None:
    hints = Hints.of({"framerate": 25.0})
    assert hints.frame_rate(Picture(2, 2, frame_rate=(30, 1), fixed_frame_rate=True)) == (30, 1)
    assert hints.frame_rate(Picture(2, 2, frame_rate=(30, 1))) == (25, 1)
    assert hints.frame_rate(None) == (25, 1)
    assert Hints().frame_rate(Picture(2, 2, frame_rate=(30, 1))) == (30, 1)


def test_tracks_have_rates_of_their_own() -> None:
    tracks = {"1": {"framerate": 30.0, "videodatarate": 1000.0}, "x": {}, "2": None, "99999": {}}
    hints = Hints.of({"framerate": 60.0, "videodatarate": 6000.0, "videoTrackIdInfoMap": tracks})
    assert list(hints.tracks) == [1]
    assert (hints.of_track(1).rate, hints.of_track(1).video_bit_rate) == ((30, 1), 1_250_000)
    assert hints.of_track(2) == Hints()


@pytest.mark.parametrize("value", ["60", None, True, [], {}, float("nan"), -1.0])
def test_numbers_that_are_none(value: object) -> None:
    assert Hints.of({"framerate": value, "videoTrackIdInfoMap": value}) == Hints()  # type: ignore[dict-item]
