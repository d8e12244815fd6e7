"""What runs when there is not enough for everything."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.contracts.transcode import Reason, RungMode
from edge.media.degradation import RUNNING, BroadcastLoad, Choice, Degradation, Key, RungLoad

NAMES = ("720p", "480p", "360p")
Choices = dict[Key, Choice]


def ladder(
    name: str = "b", *, priority: int = 0, watched: Sequence[int] = (1, 1, 1), needs_one: bool = False
) -> BroadcastLoad:
    """Costs 1.0: 0.1 for decoding, 0.5, 0.25 and 0.15 for the rungs; 720p at 60 frames a second."""
    costs = ((0.5, 0.25), (0.25, 0.25), (0.15, 0.15))
    rungs = [RungLoad(n, *cost, seen) for n, cost, seen in zip(NAMES, costs, watched, strict=True)]
    return BroadcastLoad(name, priority, sum(watched), 0.1, rungs, needs_one)


def load(broadcasts: Sequence[BroadcastLoad], choices: Choices) -> float:
    total = 0.0
    for one in broadcasts:
        found = [(rung, choices[one.broadcast_id, rung.name].mode) for rung in one.rungs]
        running = [
            rung.half if m is RungMode.HALVED else rung.full for rung, m in found if m is not RungMode.PAUSED
        ]
        total += sum(running) + (one.decode if running else 0.0)
    return total


def least(broadcasts: Sequence[BroadcastLoad]) -> float:
    """What can't be left out."""
    kept = [(one.decode, one.rungs[-1]) for one in broadcasts if one.needs_one and one.rungs]
    return sum(decode + rung.half for decode, rung in kept)


def modes(choices: Choices, name: str = "b") -> list[str]:
    return [choices[name, rung].mode.value for rung in NAMES]


def decide(budget: float, *broadcasts: BroadcastLoad) -> Choices:
    return Degradation().decide(0.0, broadcasts, budget)


def test_everything_runs_where_it_fits() -> None:
    assert set(decide(1.0, ladder()).values()) == {RUNNING}


def test_first_go_those_that_nobody_watches() -> None:
    choices = decide(0.8, ladder(watched=(1, 0, 0)))
    assert modes(choices) == ["running", "paused", "running"], "the smallest stays"
    assert choices["b", "480p"].reason is Reason.UNWATCHED


def test_then_frame_rates_then_rungs_and_last_the_smallest() -> None:
    assert modes(decide(0.8, ladder())) == ["halved", "running", "running"]
    assert modes(decide(0.5, ladder())) == ["paused", "running", "running"]
    assert modes(decide(0.3, ladder())) == ["paused", "paused", "running"]
    assert modes(decide(0.1, ladder())) == ["paused"] * 3
    assert modes(decide(0.1, ladder(needs_one=True))) == ["paused", "paused", "running"]


def test_the_least_important_channel_first() -> None:
    both = ladder("a", priority=1), ladder("b")
    choices = decide(1.25, *both)
    assert modes(choices, "a") == ["halved", "running", "running"]
    assert modes(choices, "b") == ["paused", "running", "running"]


def test_a_broadcast_nobody_watches_goes_before_a_frame_rate() -> None:
    choices = decide(1.0, ladder("a"), ladder("b", watched=(0, 0, 0)))
    assert modes(choices, "a") == ["running"] * 3
    assert modes(choices, "b") == ["paused"] * 3


def test_restored_one_step_at_a_time_with_headroom_that_lasts() -> None:
    policy, one = Degradation(headroom=0.2, hold_s=20.0), [ladder()]
    assert modes(policy.decide(0.0, one, 0.3)) == ["paused", "paused", "running"]
    seen = [(now, modes(policy.decide(float(now), one, 1.1))) for now in range(1, 100)]
    changes = [(now, found) for (now, found), (_, before) in zip(seen[1:], seen, strict=False) if found != before]
    assert changes == [
        (21, ["paused", "running", "running"]),
        (41, ["halved", "running", "running"]),
    ], "the last step would leave less headroom than a fifth"


def test_a_rung_that_is_asked_for_changes_places_with_one_that_is_not() -> None:
    policy = Degradation()
    policy.decide(0.0, [ladder(watched=(1, 0, 1))], 0.8)
    choices = policy.decide(1.0, [ladder(watched=(0, 1, 1))], 0.8)
    assert modes(choices) == ["paused", "running", "running"]


def test_idle_rungs_rest_whatever_the_budget_is() -> None:
    full = ladder(watched=(0, 0, 0), needs_one=True)
    one = full._replace(rungs=[rung._replace(is_idle=True) for rung in full.rungs])
    assert modes(decide(9.0, one)) == ["paused", "paused", "running"]
    assert decide(9.0, one)["b", "720p"].reason is Reason.IDLE
    assert modes(decide(9.0, one._replace(needs_one=False))) == ["paused"] * 3


@st.composite
def sites(draw: st.DrawFn) -> list[BroadcastLoad]:
    found = []
    for index in range(draw(st.integers(1, 4))):
        rungs = []
        for rung in range(draw(st.integers(1, 4))):
            full = draw(st.integers(1, 100)) / 100
            half = full / 2 if draw(st.booleans()) else full
            rungs.append(RungLoad(f"r{rung}", full, half, draw(st.integers(0, 3)), draw(st.booleans())))
        watchers = sum(rung.watchers for rung in rungs) + draw(st.integers(0, 2))
        found.append(
            BroadcastLoad(
                f"b{index}",
                draw(st.integers(0, 2)),
                watchers,
                draw(st.integers(0, 50)) / 100,
                rungs,
                draw(st.booleans()),
            )
        )
    return found


@given(st.lists(sites(), min_size=1, max_size=5), st.lists(st.floats(0, 5), min_size=5, max_size=5))
@settings(max_examples=40, deadline=None)
def test_never_above_the_budget_when_that_is_possible(
    history: list[list[BroadcastLoad]], budgets: list[float]
) -> None:
    policy = Degradation()
    for now, (broadcasts, budget) in enumerate(zip(history, budgets, strict=False)):
        choices = policy.decide(10.0 * now, broadcasts, budget)
        assert load(broadcasts, choices) <= max(budget, least(broadcasts)) + 1e-9
        assert choices.keys() == {(one.broadcast_id, rung.name) for one in broadcasts for rung in one.rungs}


@given(sites(), st.floats(0, 5), sites())
@settings(max_examples=40, deadline=None)
def test_nothing_flaps_while_nothing_changes(
    before: list[BroadcastLoad], budget: float, after: list[BroadcastLoad]
) -> None:
    policy = Degradation()
    policy.decide(0.0, before, budget / 2)
    policy.decide(1.0, after, budget / 2)
    rank = {RungMode.PAUSED: 0, RungMode.HALVED: 1, RungMode.RUNNING: 2}
    last = policy.decide(2.0, after, budget)
    for now in range(3, 500, 10):
        choices = policy.decide(float(now), after, budget)
        assert all(rank[choices[key].mode] >= rank[last[key].mode] for key in choices), "only ever better"
        assert sum(choices[key].mode is not last[key].mode for key in choices) <= 1, "one step at a time"
        last = choices


@given(sites(), st.floats(0, 5), st.floats(0, 5))
@settings(max_examples=40, deadline=None)
def test_more_budget_runs_no_rung_less(broadcasts: list[BroadcastLoad], one: float, other: float) -> None:
    rank = {RungMode.PAUSED: 0, RungMode.HALVED: 1, RungMode.RUNNING: 2}
    poor, rich = (decide(budget, *broadcasts) for budget in sorted((one, other)))
    assert all(rank[rich[key].mode] >= rank[poor[key].mode] for key in poor)
