"""Which rung a line carries: by reports and estimates, on a clock of the test's."""

from edge.media.rung_choice import RungChoice, Step

STEPS = [Step("source", 5_000_000), Step("720p", 3_000_000), Step("480p", 1_500_000), Step("360p", 800_000)]


def test_a_good_line_stays_at_the_top() -> None:
    choice = RungChoice(0.0)
    for second in range(60):
        choice.estimated(7_000_000)
        choice.reported(0.0, second)
        assert choice.wanted(STEPS, "source", 4_500_000, second) == "source"


def test_an_estimate_below_what_is_sent_goes_to_what_fits() -> None:
    choice = RungChoice(0.0)
    choice.estimated(2_000_000)
    assert choice.wanted(STEPS, "source", 4_500_000, 1.0) == "source"  # too early to tell
    assert choice.wanted(STEPS, "source", 4_500_000, 3.0) == "480p"


def test_an_estimate_of_a_quiet_picture_is_no_thin_line() -> None:
    choice = RungChoice(0.0)
    choice.estimated(450_000)
    assert choice.wanted(STEPS, "source", 300_000, 3.0) == "source"


def test_heavy_loss_goes_down_without_any_estimate() -> None:
    choice = RungChoice(0.0)
    choice.reported(0.2, 3.0)
    assert choice.wanted(STEPS, "720p", 2_900_000, 3.0) == "480p"
    assert choice.wanted(STEPS, "360p", 800_000, 3.0) == "360p"


def test_it_rises_by_trial_and_waits_longer_after_each_that_failed() -> None:
    choice, now, waits = RungChoice(0.0), 0.0, []
    for _ in range(3):
        began = now
        while choice.wanted(STEPS, "480p", 1_400_000, now) == "480p":
            now += 0.5
            choice.reported(0.0, now)
            assert now < 500
        assert choice.wanted(STEPS, "480p", 1_400_000, now) == "720p"
        waits.append(now - began)
        choice.changed(now, up=True)
        now += 3
        choice.reported(0.3, now)
        assert choice.wanted(STEPS, "720p", 2_800_000, now) in ("480p", "360p")
        choice.changed(now, up=False)
    assert waits[0] < waits[1] < waits[2]


def test_a_rung_that_is_gone_gives_way_to_the_lowest() -> None:
    assert RungChoice(0.0).wanted(STEPS, "1080p", 1, 9.0) == "360p"
    assert RungChoice(0.0).wanted([], "1080p", 1, 9.0) == "1080p"
