"""Costs, budgets and placement."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contracts.media import VideoFormat
from edge.media.capacity import (
    Candidate,
    Correction,
    Lateness,
    Pressure,
    budget_cores,
    ladder_cost,
    placement_delay,
    reference_speeds,
    share_of,
)
from edge.media.ladder import plan_ladder


def source(width: int = 1920, height: int = 1080, rate: tuple[int, int] = (30, 1)) -> VideoFormat:
    return VideoFormat(codec="avc1.64001f", width=width, height=height, frame_rate=rate)


@pytest.mark.parametrize(("preset", "cores"), [("ultrafast", 0.358), ("superfast", 0.513), ("veryfast", 0.665)])
def test_the_reference_ladder_costs_what_was_measured(preset: str, cores: float) -> None:
    cost = ladder_cost(reference_speeds(preset), source(), plan_ladder(1920, 1080, (30, 1)))
    assert cost.total == pytest.approx(cores, rel=0.1)


def test_only_fast_rungs_can_be_halved() -> None:
    form = source(rate=(60, 1))
    cost = ladder_cost(reference_speeds("superfast"), form, plan_ladder(1920, 1080, (60, 1)))
    assert [rung.half < rung.full for rung in cost.rungs] == [True, False, False]
    assert cost.rungs[0].half == cost.rungs[0].full / 2


def test_small_rungs_are_made_of_the_largest_one() -> None:
    rungs = plan_ladder(1920, 1080, (30, 1))
    small, large = (
        {rung.name: rung.full for rung in ladder_cost(reference_speeds("superfast"), form, rungs).rungs}
        for form in (source(), source(3840, 2160))
    )
    assert large["360p"] == small["360p"]
    assert large["720p"] > small["720p"]
    assert large["480p"] > small["480p"]


def test_a_ladder_without_rungs_costs_nothing() -> None:
    assert ladder_cost(reference_speeds("superfast"), source(), []).total == 0.0


def test_an_unknown_preset_counts_as_slow() -> None:
    assert reference_speeds("placebo").encode == reference_speeds("slow").encode


@given(st.floats(0.01, 5), st.lists(st.tuples(st.floats(0, 10), st.floats(0, 5)), max_size=30))
def test_a_correction_stays_within_bounds(modelled: float, notes: list[tuple[float, float]]) -> None:
    correction = Correction()
    for cpu_s, media_s in notes:
        correction.note(modelled, cpu_s, media_s)
        assert Correction.LEAST <= correction.factor <= Correction.MOST


@given(st.floats(0.3, 3.5))
def test_a_correction_learns_what_is_measured(factor: float) -> None:
    correction = Correction(half_life_s=10.0)
    for _ in range(100):
        correction.note(0.5, 0.5 * factor, 1.0)
    assert correction.factor == pytest.approx(factor, rel=0.01)


def test_pressure_takes_from_what_is_used_and_gives_back_slowly() -> None:
    pressure = Pressure()
    assert pressure.budget(0.0, 2.0, 1.0, 0.1, behind=False) == 2.0
    assert pressure.budget(1.0, 2.0, 1.0, 0.1, behind=True) == pytest.approx(0.9)
    assert pressure.budget(3.0, 2.0, 0.8, 0.1, behind=True) == pytest.approx(0.9), "what it does shows later"
    assert pressure.budget(6.0, 2.0, 0.8, 0.1, behind=True) == pytest.approx(0.72)
    given = [pressure.budget(float(now), 2.0, 0.5, 0.1, behind=False) for now in range(7, 400)]
    assert given == sorted(given)
    assert len(set(given)) == 4, "0.72, 1.08, 1.62 and all of it"
    assert given[-1] == 2.0


def test_pressure_leaves_the_least() -> None:
    pressure = Pressure()
    assert [pressure.budget(10.0 * n, 2.0, 0.3, 0.28, behind=True) for n in range(3)] == [0.28] * 3
    assert pressure.budget(40.0, 0.2, 0.3, 0.28, behind=True) == 0.2, "the budget itself may be less"


def test_late_is_not_behind_while_it_catches_up() -> None:
    late = Lateness(bound_s=1.0, for_s=4.0)
    assert not any(late.note(now, 8.0 * 0.8**now) for now in range(20))


def test_what_gets_later_is_behind_soon_and_what_stays_late_after_a_while() -> None:
    late = Lateness(bound_s=1.0, for_s=4.0)
    assert [now for now in range(12) if late.note(now, 1.5 + 0.2 * now)] == list(range(4, 12))
    assert not late.note(12.0, 0.5)
    assert next(now for now in range(13, 60) if late.note(now, 2.0)) == 29


def test_budget() -> None:
    assert budget_cores(0.0, 4.0) == pytest.approx(2.8)
    assert budget_cores(1.5, 4.0) == 1.5
    assert share_of(3.0, []) == 3.0
    assert share_of(3.0, [0.5]) == 2.5
    assert share_of(3.0, [2.9]) == 1.5, "half of it is mine whatever the other does"


@given(st.floats(0.1, 10), st.lists(st.floats(0, 20), min_size=1, max_size=5))
def test_workers_that_all_want_more_end_within_the_budget(budget: float, wanted: list[float]) -> None:
    loads = list(wanted)
    for _ in range(len(loads) + 2):
        for index, want in enumerate(wanted):
            loads[index] = min(want, share_of(budget, loads[:index] + loads[index + 1 :]))
    assert sum(loads) <= budget * 1.001


def test_placement() -> None:
    idle, busy = Candidate("a", 0.0, 2.0), Candidate("b", 1.0, 1.0)
    full = Candidate("c", 1.9, 0.1)
    assert placement_delay(idle, [busy, full], 0.5, look_s=1.0) == 0.0
    assert placement_delay(busy, [idle, full], 0.5, look_s=1.0) == 0.5
    assert placement_delay(idle, [busy], 0.5, look_s=1.0, is_anothers=True) == 1.0
    assert placement_delay(full, [idle, busy], 0.5, look_s=1.0) == 4.0
    assert placement_delay(full, [], 0.5, look_s=1.0) == 0.0, "nobody else is there"
    nowhere = [placement_delay(one, [x for x in (idle, busy, full) if x is not one], 9.0, look_s=1.0)
               for one in (idle, busy, full)]  # fmt: skip
    assert nowhere == [0.0, 1.0, 2.0], "most room first"


@given(
    st.lists(st.tuples(st.floats(0, 4), st.floats(0, 4)), min_size=1, max_size=6),
    st.floats(0, 5),
    st.booleans(),
)
def test_somebody_takes_every_broadcast(workers: list[tuple[float, float]], cost: float, had: bool) -> None:
    """Whatever the loads are, the first comes within two looks, and nobody waits for ever."""
    all_of_them = [Candidate(str(index), *one) for index, one in enumerate(workers)]
    delays = [
        placement_delay(one, [x for x in all_of_them if x is not one], cost, look_s=1.0, is_anothers=had)
        for one in all_of_them
    ]
    assert min(delays) <= 2.0
    assert max(delays) <= 4.0
