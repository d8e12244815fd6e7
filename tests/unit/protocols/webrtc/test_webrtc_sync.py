"""Sound and picture in step: by arrival first, then slewed to the sender's clock."""

import pytest

from edge.protocols.webrtc.sync import SourceClock

_NTP = (2_208_988_800 + 1_700_000_000) << 32


def ntp(seconds: float) -> int:
    return _NTP + int(seconds * (1 << 32))


def test_by_arrival_before_any_report() -> None:
    sound, picture = SourceClock(48_000), SourceClock(90_000)
    assert sound.place(123, 10.0, sound) == 10.0
    assert picture.place(999_999, 10.25, sound) == 10.25
    assert abs(picture.place(999_999 + 3000, 99.0, sound) - (10.25 + 1 / 30)) < 1e-9


def test_reports_slew_the_picture_and_never_the_sound() -> None:
    """The first picture came 200 ms later than its sound; both were taken at the same moment."""
    sound, picture = SourceClock(48_000), SourceClock(90_000)
    sound.place(0, 10.0, sound)
    picture.place(0, 10.2, sound)
    sound.report(ntp(0), 0)
    picture.report(ntp(0), 0)
    last = 10.2
    for number in range(1, 100):
        now = picture.place(number * 3000, 0.0, sound)
        assert 0.9 / 30 - 1e-9 <= now - last <= 1.1 / 30 + 1e-9
        last = now
    assert abs(last - (10.0 + 99 / 30)) < 1e-6
    assert abs(sound.place(48_000 * 3, 0.0, sound) - 13.0) < 1e-9


@pytest.mark.parametrize("early_s", [1.5, -1.5])
def test_pictures_far_from_their_sound_are_in_step_within_some_seconds(early_s: float) -> None:
    """A sender may have kept the first pictures or sounds back before it sent them all at once."""
    sound, picture = SourceClock(48_000), SourceClock(90_000)
    sound.place(0, 10.0, sound)
    last = picture.place(0, 10.0 - early_s, sound)
    sound.report(ntp(0), 0)
    picture.report(ntp(0), 0)
    for number in range(1, 6 * 30):
        now = picture.place(number * 3000, 0.0, sound)
        assert 0.5 / 30 - 1e-9 <= now - last <= 1.5 / 30 + 1e-9
        last = now
    assert abs(last - (10.0 + (6 * 30 - 1) / 30)) < 1e-6


def test_nonsense_reports_change_nothing() -> None:
    sound, picture = SourceClock(48_000), SourceClock(90_000)
    sound.place(0, 10.0, sound)
    picture.place(0, 10.2, sound)
    sound.report(ntp(0), 0)
    for wrong in (0, ntp(3600), ntp(-5)):
        picture.report(wrong, 0)
        assert abs(picture.place(3000, 0.0, sound) - (10.2 + 1 / 30)) < 1e-9


def test_time_stamps_wrap() -> None:
    picture = SourceClock(90_000)
    first = picture.place(0xFFFFFFFF - 89_999, 5.0, None)
    assert abs(picture.place(0, 0.0, None) - first - 1.0) < 1e-9


def test_a_frame_out_of_order_stands_where_it_belongs() -> None:
    picture = SourceClock(90_000)
    picture.place(9000, 5.0, None)
    assert abs(picture.place(6000, 5.1, None) - (5.0 - 1 / 30)) < 1e-9


def packets(clock: SourceClock, numbers: range, arrivals: list[float]) -> list[float]:
    """Of 20 ms each."""
    return [clock.place(number * 960, at, clock) for number, at in zip(numbers, arrivals, strict=True)]


def test_a_pause_that_the_sender_did_not_count_is_made_up_for_once_that_is_sure() -> None:
    sound = SourceClock(48_000)
    packets(sound, range(100), [10 + 0.02 * number for number in range(100)])
    placed = packets(sound, range(100, 300), [20 + 0.02 * number for number in range(200)])
    assert placed[0] == 12.0
    assert abs(placed[-1] - (20 + 0.02 * 199)) < 0.001


def test_a_pause_that_the_sender_counted_changes_nothing() -> None:
    sound = SourceClock(48_000)
    packets(sound, range(100), [10 + 0.02 * number for number in range(100)])
    placed = packets(sound, range(500, 700), [20 + 0.02 * number for number in range(200)])
    assert abs(placed[-1] - (20 + 0.02 * 199)) < 0.001
    assert abs(placed[0] - 20) < 0.001


def test_what_an_outage_held_back_and_then_came_at_once_stays_in_its_place() -> None:
    sound = SourceClock(48_000)
    packets(sound, range(100), [10 + 0.02 * number for number in range(100)])
    arrivals = [max(15.0 + 0.001 * number, 12 + 0.02 * number) for number in range(400)]
    placed = packets(sound, range(100, 500), arrivals)
    assert abs(placed[-1] - (12 + 0.02 * 399)) < 0.001
