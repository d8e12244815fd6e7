"""Where one encoder's frames go on where another's end."""

from hypothesis import given
from hypothesis import strategies as st

from edge.media.splice import find_splice, runs_behind

MOVING = list(range(1, 400))


def still(pictures: int, *, period: int = 16, gop: int = 60, start: int = 0) -> list[int]:
    """A picture that stands still: equal frames every few of them, and key frames that are there once."""
    return [
        10_000 + number if number % gop == 0 else number % gop % period for number in range(start, start + pictures)
    ]


@given(st.integers(6, 399), st.integers(0, 300), st.integers(0, 399))
def test_moving_pictures_go_on_behind_the_last_one(ends: int, begins: int, has: int) -> None:
    published, own = MOVING[:ends], MOVING[begins : max(has, begins)]
    found = find_splice(own, published)
    if has >= ends and ends - begins >= 6:
        assert found is not None
        assert own[found:] == MOVING[ends:has]
    else:
        assert found is None
        assert runs_behind(own, published) == (ends - has if has < ends and len(own) >= 2 else 0)


def test_a_still_picture_is_not_taken_for_an_earlier_one() -> None:
    whole = still(400)
    assert find_splice(whole[100:390], whole[:380]) == 280
    behind = whole[100:360]
    assert find_splice(behind, whole[:380]) is None
    assert runs_behind(behind, whole[:380]) == 20


def test_pictures_that_show_no_place_are_not_joined() -> None:
    whole = still(400, gop=1000)[1:]
    assert find_splice(whole[100:390], whole[:380]) is None
    assert runs_behind(whole[100:360], whole[:380]) == 0


def test_a_frame_that_one_of_them_lost_ends_the_proof() -> None:
    published = [*MOVING[:50], *MOVING[51:100]]
    assert find_splice(MOVING[20:120], published) == 80
    assert find_splice(MOVING[20:120], [*MOVING[:96], *MOVING[97:100]]) is None


def test_too_few_frames() -> None:
    assert find_splice(MOVING, [1]) is None
    assert find_splice(MOVING, [1, 2]) == 2
    assert find_splice([], MOVING) is None
    assert runs_behind([1], MOVING) == 0
