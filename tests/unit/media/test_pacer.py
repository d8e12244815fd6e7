"""Chunks leave over their own time, by a clock of the test's."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from edge.media.pacer import Pacer


def test_items_leave_at_their_offsets() -> None:
    pacer: Pacer[str] = Pacer(speed=1.0)
    pacer.put([(0.0, "a"), (0.03, "b"), (0.06, "c")], 10.0)
    assert pacer.take(10.0) == ["a"]
    assert pacer.next_at == 10.03
    assert pacer.take(10.029) == []
    assert pacer.take(10.07) == ["b", "c"]
    assert pacer.next_at is None


def test_the_next_chunk_pushes_out_what_is_left() -> None:
    pacer: Pacer[str] = Pacer(speed=1.0)
    pacer.put([(0.0, "a"), (0.09, "b")], 0.0)
    assert pacer.take(0.0) == ["a"]
    pacer.put([(0.0, "c"), (0.09, "d")], 0.05)
    assert pacer.take(0.05) == ["b", "c"]


def test_too_much_is_due_at_once() -> None:
    pacer: Pacer[int] = Pacer(most=3)
    pacer.put([(number, number) for number in range(4)], 0.0)
    assert pacer.take(0.0) == [0, 1, 2, 3]


@given(
    st.lists(st.tuples(st.floats(0, 0.5), st.lists(st.floats(0, 0.4), min_size=1, max_size=5)), max_size=12),
)
def test_order_is_kept_and_nothing_is_late_by_more_than_a_chunk(chunks: list[tuple[float, list[float]]]) -> None:
    pacer: Pacer[tuple[int, float]] = Pacer(speed=1.0)
    now, left, numbers = 0.0, [], itertools.count()
    for pause, offsets in chunks:
        now += pause
        left += pacer.take(now)
        pacer.put([(offset, (next(numbers), now)) for offset in sorted(offsets)], now)
    left += pacer.take(now + 0.5)
    assert [number for number, _ in left] == list(range(len(left)))
    assert len(left) == sum(len(offsets) for _, offsets in chunks)
