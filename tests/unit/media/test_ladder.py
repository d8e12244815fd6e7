"""Ladder and target duration."""

import pytest

from edge.media.ladder import plan_ladder, target_duration


def names(*args: object) -> list[str]:
    return [rung.name for rung in plan_ladder(*args)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "rungs"),
    [
        ((1920, 1080), [("720p", 1280, 720), ("480p", 854, 480), ("360p", 640, 360)]),
        ((1280, 720), [("480p", 854, 480), ("360p", 640, 360)]),
        ((606, 1078), [("480p", 480, 854), ("360p", 360, 640)]),
        ((854, 480), [("360p", 640, 360)]),
        ((640, 360), []),
        ((0, 0), []),
    ],
)
def test_sizes(source: tuple[int, int], rungs: list[tuple[str, int, int]]) -> None:
    assert [(rung.name, rung.width, rung.height) for rung in plan_ladder(*source)] == rungs


def test_anamorphic_source_becomes_square() -> None:
    rung = plan_ladder(1440, 1080, (30, 1), (4, 3))[0]
    assert (rung.width, rung.height) == (1280, 720)


def test_frame_rates() -> None:
    rates = {rung.name: rung.frame_rate for rung in plan_ladder(1920, 1080, (60000, 1001))}
    assert rates == {"720p": (60000, 1001), "480p": (30000, 1001), "360p": (30000, 1001)}
    assert {rung.frame_rate for rung in plan_ladder(1920, 1080, (30, 1))} == {(30, 1)}


@pytest.mark.parametrize(("gop", "target"), [(2.0, 4), (1.0, 3), (0.03, 2), (4.0, 6), (9.0, 10), (None, 10)])
def test_target_duration(gop: float | None, target: int) -> None:
    assert target_duration(gop, 2.0) == target
