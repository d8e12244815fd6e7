"""Where one encoder's stream goes on where another's ends, found by what the frames are. Pure.

Two encoders that send the same frames (one program into two connections, two copies of one file) can be
joined between any two frames: none is lost and none is shown twice, whatever their stamps say.
"""

from collections.abc import Sequence

PROOF = 6  # frames in a row that must be equal: a still picture has many equal ones


def find_splice(own: Sequence[int], published: Sequence[int]) -> int | None:
    """Index in `own` of the frame after the last published one. None: they do not meet (yet).

    Both are digests of access units in decode order, the newest last. `own` may end before `published` does:
    then there is nothing to go on with yet, and the answer is None as well.
    """
    count = min(PROOF, len(published))
    if count < 2:
        return None
    wanted = list(published[-count:])
    for end in range(len(own), count - 1, -1):
        if own[end - 1] == wanted[-1] and list(own[end - count : end]) == wanted:
            return end
    return None


def runs_behind(own: Sequence[int], published: Sequence[int]) -> int:
    """How many published frames `own` has still to reach; 0 when it does not seem to be the same stream."""
    count = min(PROOF, len(own))
    if count < 2:
        return 0
    wanted = list(own[-count:])
    for end in range(len(published) - 1, count - 1, -1):
        if published[end - 1] == wanted[-1] and list(published[end - count : end]) == wanted:
            return len(published) - end
    return 0
