"""The round at a tick of the log: who has to work does, and nobody is forgotten."""

import math

import pytest

from edge.ingest.rounds import go_round


class Session:
    """What a round asks of a session."""

    def __init__(self, ready_at: float, due_at: float, next_s: float = 1.0, *, is_prompt: bool = False) -> None:
        self.ready_at, self.due_at, self.is_prompt = ready_at, due_at, is_prompt
        self.worked: list[float] = []
        self._next_s = next_s

    def work(self, now: float) -> None:
        self.worked.append(now)
        self.ready_at = self.due_at = now + self._next_s


def go(*sessions: Session, now: float = 10.0) -> float:
    return go_round(sessions, now)  # type: ignore[arg-type] # of the same shape


def test_those_whose_time_has_come_work() -> None:
    early, ready, due = Session(10.1, 10.2), Session(9.9, 10.5), Session(9.0, 9.5)
    assert go(early, ready, due) == pytest.approx(10.2)
    assert [one.worked for one in (early, ready, due)] == [[], [10.0], [10.0]]


def test_nobody_is_there() -> None:
    assert go() == math.inf
    assert go(Session(math.inf, math.inf)) == math.inf


def test_publishers_that_are_due_soon_have_their_turn_together() -> None:
    assert go(Session(10.001, 10.001), Session(10.01, 10.01)) == pytest.approx(10.0062)


def test_the_more_publishers_there_are_the_more_have_their_turn_together() -> None:
    pauses = [go(*(Session(10.001, 10.001) for _ in range(count))) - 10.0 for count in (1, 50, 100, 1000)]
    assert pauses == pytest.approx([0.0061, 0.011, 0.016, 0.016])


def test_who_is_waited_for_is_not_kept_waiting_by_others() -> None:
    waited_for, other = Session(9.0, 9.0, 0.003, is_prompt=True), Session(10.001, 10.001)
    assert go(waited_for, other) == pytest.approx(10.003)
