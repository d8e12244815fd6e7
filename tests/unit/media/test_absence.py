"""How long pictures are waited for while sound comes."""

import pytest

from edge.media.absence import Absence

PART = 31_500
STEP = 1_920  # of sound, 90 kHz
SLACK = 27_000


def us(ticks: int) -> int:
    return ticks * 100 // 9


class Stream:
    """Pictures of 1/30 s that come `late` after their sound, and sound; both from time 0."""

    def __init__(self) -> None:
        self.absence = Absence(PART)
        self.now = 0

    def both(self, until: int, *, every: int = 3_000) -> None:
        shown = self.now
        while self.now < until:
            if self.now >= shown:
                self.absence.picture(shown, shown + min(every, 3_000), us(self.now))
                shown += every
            self.now += STEP
            assert not self.absence.sound(self.now, us(self.now))

    def sound(self, until: int) -> int:
        """Where pictures are missing up to, at last."""
        told = 0
        while self.now < until:
            self.now += STEP
            told = self.absence.sound(self.now, us(self.now)) or told
        return told


def test_nothing_is_missing_before_there_was_a_picture() -> None:
    absence = Absence(PART)
    assert not any(absence.sound(index * STEP, us(index * STEP)) for index in range(1000))


def test_what_is_missing_is_whole_parts_as_far_behind_the_sound_as_was_waited() -> None:
    stream = Stream()
    stream.both(90_000)
    end = stream.now - stream.now % 3_000 + 3_000
    waited = next(at for at in range(0, 180_000, STEP) if stream.sound(stream.now + STEP)) + STEP
    assert PART + SLACK <= waited <= PART + SLACK + 2 * 3_000 + STEP
    until = stream.sound(stream.now + 900_000)
    assert (until - end) % PART in {0, PART - 3_000, 3_000}
    assert SLACK <= stream.now - until <= SLACK + PART + 3_000 + 2 * STEP


def test_stamps_that_jump_are_no_time_that_passes() -> None:
    stream = Stream()
    stream.both(90_000)
    assert not stream.absence.sound(stream.now + 900_000, us(stream.now) + 10_000)
    assert stream.absence.sound(stream.now + 900_000, us(stream.now) + 1_000_000)


def test_stamps_that_jump_teach_nothing() -> None:
    stream = Stream()
    stream.both(90_000)
    stream.absence.sound(stream.now + 270_000, us(stream.now))
    stream.absence.picture(stream.now, stream.now + 3_000, us(stream.now))
    stream.now += 270_000
    stream.absence.picture(stream.now, stream.now + 3_000, us(stream.now))
    assert stream.sound(stream.now + 75_000)


def test_slides_are_waited_for_only_as_long_as_they_go_on() -> None:
    stream = Stream()
    stream.both(90_000)
    for _ in range(4):
        told = stream.sound(stream.now + 270_000)
        stream.absence.picture(stream.now, stream.now + 3_000, us(stream.now))
    assert not told
    stream.both(stream.now + 90_000)
    assert stream.sound(stream.now + 75_000)


def test_a_stop_teaches_nothing_but_lateness_and_slowness_do() -> None:
    for missed, dts_moves, waits in ((270_000, True, False), (270_000, False, True), (90_000, True, True)):
        stream = Stream()
        stream.both(90_000)
        stream.sound(stream.now + missed)
        at = stream.now if dts_moves else 93_000
        stream.absence.picture(at, at + 3_000, us(stream.now))
        assert bool(stream.sound(stream.now + 75_000)) is not waits


@pytest.mark.parametrize("late", [540_000, 5_400_000])
def test_sound_is_never_held_for_longer_than_five_seconds(late: int) -> None:
    stream = Stream()
    stream.both(90_000)
    stream.sound(stream.now + late)
    stream.absence.late(93_000, us(stream.now))
    stream.absence.picture(stream.now, stream.now + 3_000, us(stream.now))
    assert stream.sound(stream.now + 450_000)


def test_who_was_late_once_is_not_waited_for_so_long_for_ever() -> None:
    for minutes, waits in ((0.8, True), (2.2, False)):
        stream = Stream()
        stream.both(90_000)
        stream.sound(stream.now + 270_000)
        stream.absence.picture(93_000, 96_000, us(stream.now))
        stream.both(stream.now + round(minutes * 5_400_000))
        assert bool(stream.sound(stream.now + 75_000)) is not waits


def test_time_without_pictures_says_nothing_of_their_lateness() -> None:
    stream = Stream()
    stream.both(90_000)
    stream.sound(stream.now + 270_000)
    stream.absence.picture(93_000, 96_000, us(stream.now))
    stream.sound(stream.now + 30_000_000)
    stream.both(stream.now + 900_000)
    assert not stream.sound(stream.now + 75_000)


def test_what_is_always_late_stays_usual() -> None:
    stream = Stream()
    stream.both(5 * 5_400_000, every=50_000)
    assert not stream.sound(stream.now + 50_000)


@pytest.mark.parametrize(("frame_rate", "apart"), [((1, 1), 90_000), ((2, 1), 45_000), ((1, 10), 0), ((0, 1), 0)])
def test_pictures_that_are_said_to_be_far_apart_are_waited_for_so_long(
    frame_rate: tuple[int, int], apart: int
) -> None:
    stream = Stream()
    stream.absence.announce(frame_rate)
    stream.absence.picture(0, 3_000, 0)
    assert stream.sound(SLACK + PART + apart) == 0
    assert stream.sound(SLACK + PART + apart + 2 * STEP)
