"""Sound and picture in step: by arrival first, then slewed to the sender's clock."""

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
