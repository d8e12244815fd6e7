"""How often encoders may take a channel from each other."""

from edge.ingest.take_overs import TakeOvers

SLOT, OTHER = ("channel0", "primary"), ("channel0", "standby")


def test_as_many_as_a_minute_allows() -> None:
    take_overs = TakeOvers(2)
    assert [take_overs.allow(SLOT, now) for now in (0.0, 50.0, 61.0, 62.0)] == [True, True, True, False]
    assert take_overs.allow(OTHER, 62.0)


def test_a_fight_is_over_when_nobody_has_tried_for_a_minute() -> None:
    take_overs = TakeOvers(2)
    tries = [0.0, 2.0, 4.0, 30.0, 70.0, 125.0, 186.0]
    assert [take_overs.allow(SLOT, now) for now in tries] == [True, True, False, False, False, False, True]
    assert take_overs.allow(SLOT, 187.0)


def test_what_is_kept_of_many_channels_is_bounded() -> None:
    take_overs = TakeOvers(1)
    for number in range(10_002):
        assert take_overs.allow((str(number), "primary"), 0.0)
    assert take_overs.allow(("0", "primary"), 1.0)
