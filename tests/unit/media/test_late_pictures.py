"""Pictures that came too late: what is kept of them, and in which order all are shown."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge.media.late_pictures import UNSEEN, LatePictures
from edge.protocols.fmp4 import Sample

FRAME = 3_000


def sample(index: int, *, shown: int | None = None, key: bool = False, size: int = 10) -> Sample:
    """`shown` as which one."""
    return Sample(index * FRAME, FRAME, ((index if shown is None else shown) - index) * FRAME, key, b"x" * size)


def held(*samples: Sample) -> LatePictures:
    late = LatePictures()
    for one in samples:
        assert late.hold(one, 0) == []
    return late


def test_from_a_key_frame_on_what_came_before_is_not_needed() -> None:
    late = held(*(sample(index, key=index == 3) for index in range(5)))
    out = late.before(sample(10), 10 * FRAME)
    assert [one.key for one in out] == [True, False]
    assert [one.dts for one in out] == [10 * FRAME, 10 * FRAME + UNSEEN]
    assert late.take(10 * FRAME) == []
    assert held(sample(0, key=True), sample(1)).before(sample(2, key=True), 0) == []


def test_what_is_held_has_a_bound() -> None:
    late = held(*(sample(index) for index in range(599)))
    assert len(late.hold(sample(599), 900 * FRAME)) == 600
    assert not late.has_any
    assert len(late.hold(sample(0, size=16 << 20), 0)) == 1


def test_times_of_what_is_not_reordered_stay_a_constant_apart() -> None:
    """WebRTC takes such streams only."""
    late = held(*(sample(index, shown=index + 2, key=not index) for index in range(30)))
    first, second = sample(30, shown=32), sample(31, shown=33)
    out = late.before(first, 0)
    out.append(late.fit(first, out[-1].end))
    assert {one.cts for one in out} == {2 * FRAME}
    assert [one.duration for one in out] == [UNSEEN] * 30 + [FRAME - 30]
    assert late.fit(second, out[-1].end) == second


@given(st.integers(1, 40), st.lists(st.permutations(range(4)), min_size=12, max_size=12))
def test_what_is_shown_stays_in_order(count: int, orders: list[list[int]]) -> None:
    """Pictures are shown six after they are decoded, give or take three."""
    shown = [4 * group + at for group, order in enumerate(orders) for at in order]
    every = [sample(index, shown=at + 6) for index, at in enumerate(shown)]
    late = LatePictures()
    late.fit(sample(-6, shown=0, key=True), 0)
    late.fit(sample(-5, shown=0), 0)
    for one in every[:count]:
        late.hold(one, 0)
    out = late.before(every[count], 0)
    for one in every[count:]:
        out.append(late.fit(one, out[-1].end))
    assert all(one.end == two.dts for one, two in pairwise(out))
    due = every[count].dts + 6 * FRAME
    assert [one.pts for one in out if one.pts >= due] == [one.pts for one in every if one.pts >= due]
    late_ones = range(count)
    assert sorted(late_ones, key=lambda at: out[at].pts) == sorted(late_ones, key=lambda at: every[at].pts)
    assert all(0 < due - out[at].pts <= 16 + count for at in range(48) if every[at].pts < due)
