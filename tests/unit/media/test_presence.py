"""Whether pictures come steadily, far apart or not at all."""

from edge.media.presence import Patience, Presence

S = 1_000_000


def seen(*times: float) -> Presence:
    presence = Presence()
    for at in times:
        presence.came(round(at * S))
    return presence


def test_of_one_that_sent_none_they_are_missing() -> None:
    presence = Presence()
    assert presence.is_missing(0)
    assert presence.steady_us(0) == 0
    assert presence.gone_us(0) is None


def test_a_camera_is_steady_until_it_stops() -> None:
    presence = seen(*(10 + at / 30 for at in range(90)))
    assert presence.steady_us(13 * S) == 3 * S
    assert not presence.is_missing(13 * S)
    assert presence.steady_us(15 * S) == 0
    assert presence.is_missing(15 * S)
    presence.came(20 * S)
    assert not presence.is_missing(20 * S)
    assert presence.steady_us(20 * S + 100) == 100


def test_slow_cameras_are_steady() -> None:
    assert seen(1, 2, 3, 4, 5).steady_us(6 * S) == 5 * S


def test_slides_are_usual_and_not_steady() -> None:
    presence = seen(0, 4, 8)
    assert presence.is_missing(12 * S + S // 2) is False
    assert presence.steady_us(9 * S) == S
    assert presence.steady_us(10 * S) == 0
    assert presence.is_missing(14 * S)


def test_one_pause_is_a_stop() -> None:
    presence = seen(0, 1, 10, 11)
    assert presence.is_missing(13 * S)


def test_the_interval_is_not_that_of_one_pause() -> None:
    assert seen(0, 1, 2).interval_us == S
    assert seen(0, 1, 2, 9).interval_us == S
    assert seen(0, 1, 2, 9, 10).interval_us == S
    assert seen(0, 1, 2, 9, 16).interval_us == 7 * S


def test_pictures_that_come_together_count_once() -> None:
    assert seen(0, 0.01, 2, 2.01, 4, 4.01).interval_us == 2 * S
    camera = seen(*(at / 30 for at in range(90)))
    assert camera.interval_us < S // 5


def test_patience_grows_each_time_and_is_found_again() -> None:
    patience = Patience()
    found = []
    for at in range(100, 700, 100):
        found.append(patience.times(at))
        patience.lost(at)
    assert found == [1, 2, 4, 8, 16, 16]
    assert patience.times(1200) == 16
    assert patience.times(1300) == 1
