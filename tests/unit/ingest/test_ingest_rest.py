"""How long a publisher on the air is left alone: never past the frame that completes the next message."""

import itertools
import random

import pytest

from edge.ingest import rest
from edge.ingest.rest import Rest

START_US = 1_700_000_000_000_000


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.us = START_US
        monkeypatch.setattr(rest, "now_us", lambda: self.us)

    @property
    def loop_s(self) -> float:
        return (self.us - START_US) / 1e6


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_nothing_is_known_at_first(clock: Clock) -> None:
    assert not Rest().lasts(clock.loop_s)


def test_it_lasts_until_the_next_message_can_be_complete(clock: Clock) -> None:
    one = Rest()
    clock.us += 8_000  # a tick after the frame came
    one.begin(clock.loop_s, START_US, 5_000_000, 5_100_000)
    assert one.lasts(0.100)
    assert not one.lasts(0.103)


def test_the_socket_is_looked_at_meanwhile_and_shortly_before_the_end(clock: Clock) -> None:
    one = Rest()
    one.begin(clock.loop_s, START_US, 0, 300_000)
    looks = [0.0]
    while one.lasts(looks[-1]):
        ready, due = one.next_look(looks[-1], int(looks[-1] * 2_000_000))
        assert ready <= due
        looks.append(due)
    pauses = [after - before for before, after in itertools.pairwise(looks)]
    assert len(pauses) < 9
    assert max(pauses) < 0.051
    assert 0.01 <= pauses[-1] <= 0.025
    assert 0 < one.next_look(looks[-1], 0)[0] - looks[-1] < 0.01


def test_a_socket_that_fills_slowly_is_looked_at_seldom(clock: Clock) -> None:
    one, looks = Rest(), 0
    for index in range(20):
        clock.us = START_US + index * 300_000
        now = clock.loop_s
        one.begin(now, clock.us, index * 300_000, (index + 1) * 300_000)
        while one.lasts(now):
            _, now = one.next_look(now, int((now - clock.loop_s) * 40_000))
            looks += 1
    assert looks <= 2 * 20 + 2


def test_a_socket_into_which_little_comes_at_once_is_looked_at_seldom(clock: Clock) -> None:
    """An encoder that sends two pictures a second sends the sound between them together with the next one."""
    one, looks = Rest(), []
    for index in range(10):
        clock.us = START_US + index * 500_000
        now, count = clock.loop_s, 0
        one.begin(now, clock.us, index * 500_000, (index + 1) * 500_000, (index + 1) * 4_000)
        while one.lasts(now):
            _, now = one.next_look(now, 0)
            count += 1
        looks.append(count)
    assert looks[0] > 5, "nothing is known of it"
    assert set(looks[1:]) <= {1, 2}


def test_who_has_no_socket_of_its_own_is_looked_at_at_the_end_only(clock: Clock) -> None:
    one = Rest(collects=False)
    for index in range(5):
        clock.us = START_US + index * 300_000
        one.begin(clock.loop_s, clock.us, index * 300_000, (index + 1) * 300_000)
        ready_at, due_at = one.next_look(clock.loop_s, 0)
        assert ready_at == due_at
        assert not one.lasts(due_at)


def test_who_sends_punctually_is_not_looked_at_before_the_end(clock: Clock) -> None:
    one, looks = Rest(), []
    for index in range(20):
        late_us = 12_000 if index in (5, 10) else 0
        clock.us = START_US + index * 300_000 + late_us
        if index == 5:
            late_us = 0  # the look alone was late, as other publishers have their turn
        elif index == 10:
            one.next_look(clock.loop_s, 0)  # the frame is not there
        one.begin(clock.loop_s, START_US + index * 300_000 + late_us, index * 300_000, (index + 1) * 300_000)
        now, count = clock.loop_s, 0
        while one.lasts(now):
            _, now = one.next_look(now, 1000 * count)
            count += 1
        looks.append(count)
    assert set(looks[2:10]) == {1}, "at the end only"
    assert looks[10] == 2, "once more when the frame was not there"
    assert set(looks[12:]) == {1}


def test_who_sends_nothing_is_looked_at_less_and_less(clock: Clock) -> None:
    one = Rest()
    one.begin(clock.loop_s, START_US, 0, 100_000)
    looks = [one._until]
    while looks[-1] < one._until + 1:
        _, due = one.next_look(looks[-1], 0)
        looks.append(due)
    assert all(after - before < 0.0081 for before, after in itertools.pairwise(looks[:4]))
    assert max(after - before for before, after in itertools.pairwise(looks)) < 0.051
    assert len(looks) < 35


def test_for_a_reader_that_waits_it_ends_with_the_frame(clock: Clock) -> None:
    """Frames that come up to 10 ms late: looked at soon after each could be there, and again and again."""
    rng = random.Random(7)
    waits: dict[bool, list[int]] = {False: [], True: []}
    for is_prompt, found in waits.items():
        one, clock.us = Rest(), START_US
        one.is_prompt = is_prompt
        for index in range(200):
            arrived = START_US + index * 100_000 + rng.randint(0, 10_000)
            while one.lasts(clock.loop_s) or clock.us < arrived:
                _, due = one.next_look(clock.loop_s, 0)
                clock.us = max(clock.us + 1, START_US + round(due * 1e6))
            found.append(clock.us - arrived)
            one.begin(clock.loop_s, arrived, index * 100_000, (index + 1) * 100_000)
    assert max(waits[True][10:]) <= 6_000 < max(waits[False][10:])
    assert 2 * sum(waits[True]) < sum(waits[False])


def test_it_ends_when_it_is_told_to(clock: Clock) -> None:
    one = Rest()
    one.begin(clock.loop_s, START_US, 0, 100_000)
    one.end()
    assert not one.lasts(clock.loop_s)


@pytest.mark.parametrize("jitter_ms", [0, 3, 40])
def test_frames_wait_little(clock: Clock, jitter_ms: int) -> None:
    """Each message ends with a frame that may be late; what is usual stays near the early ones."""
    rng = random.Random(7)
    one, waits = Rest(), []
    for index in range(200):
        arrived = START_US + index * 100_000 + rng.randint(0, jitter_ms * 1000)
        clock.us = max(clock.us, arrived)
        while one.lasts(clock.loop_s):
            clock.us += 1000
        waits.append(clock.us - arrived)
        one.begin(clock.loop_s, arrived, index * 100_000, (index + 1) * 100_000)
    assert max(waits) <= jitter_ms * 1000 + 4000
    assert sum(waits) / len(waits) <= jitter_ms * 1000 / 4 + 4000


def test_media_time_or_clock_may_jump(clock: Clock) -> None:
    """Whatever the numbers are: it lasts half a second at most."""
    one = Rest()
    stamps = [0, 10**9, 0, -(10**12), 5, 10**15]
    for last, following in itertools.pairwise(stamps):
        one.begin(clock.loop_s, START_US, last, following)
        assert not one.lasts(clock.loop_s + 0.501)
