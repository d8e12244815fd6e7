"""The clock by which a test is told that it held the event loop."""

import gc
import time
from collections.abc import Iterator

import pytest

from tests.support.held_loop import LoopClock


@pytest.fixture
def clock() -> Iterator[LoopClock]:
    clock = LoopClock()
    clock.start()
    yield clock
    clock.stop()


def test_a_call_that_waits_counts(clock: LoopClock) -> None:
    began = clock.now()
    time.sleep(0.03)
    assert clock.now() - began >= 0.029


def test_a_full_collection_does_not(clock: LoopClock) -> None:
    began, wall = clock.now(), time.monotonic()
    gc.collect()
    took = time.monotonic() - wall
    assert clock.now() - began < took / 2


def test_nothing_is_left_behind(clock: LoopClock) -> None:
    again = LoopClock()
    again.start()
    again.stop()
    assert gc.callbacks.count(clock._collection) == 1
    assert again._collection not in gc.callbacks
