"""Where one encoder's stream goes on where another's ends, found by what the frames are. Pure.

Two encoders that send the same frames (one program into two connections, two copies of one file) can be
joined between any two frames: none is lost and none is shown twice, whatever their stamps say. Frames of a still
picture are equal every few of them: they show a place only together with one that is there once.
"""

from collections import Counter
from collections.abc import Sequence

PROOF = 6  # frames in a row that must be equal, one of them found only once


def find_splice(own: Sequence[int], published: Sequence[int]) -> int | None:
    """Index in `own` of the frame after the last published one. None: they do not meet (yet).

    Both are digests of access units in decode order, the newest last. `own` may end before `published` does:
    then there is nothing to go on with yet, and the answer is None as well.
    """
    return _place(published, own)


def runs_behind(own: Sequence[int], published: Sequence[int]) -> int:
    """How many published frames `own` has still to reach; 0 when it does not seem to be the same stream."""
    end = _place(own, published)
    return 0 if end is None else len(published) - end


def _place(wanted: Sequence[int], among: Sequence[int]) -> int | None:
    """Where in `among` the end of `wanted` is, as the index behind it."""
    count = min(PROOF, len(wanted))
    if count < 2:
        return None
    once = _once(wanted) & _once(among)
    for end in range(len(among), count - 1, -1):
        if among[end - 1] == wanted[-1] and _is_proven(wanted, among, end, count, once):
            return end
    return None


def _is_proven(wanted: Sequence[int], among: Sequence[int], end: int, count: int, once: set[int]) -> bool:
    """Whether at least `count` frames before `end` are equal, up to one of `once` and with it."""
    proven = False
    for back in range(1, min(end, len(wanted)) + 1):
        digest = among[end - back]
        if digest != wanted[-back]:
            return False
        proven = proven or digest in once
        if proven and back >= count:
            return True
    return False


def _once(digests: Sequence[int]) -> set[int]:
    return {digest for digest, times in Counter(digests).items() if times == 1}
