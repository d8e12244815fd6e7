"""How much a message is like what its author, or a crowd, has just written. Pure and bounded."""

from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import NamedTuple

from edge.chat.talk import plain

LIMIT = 1.0  # a score from here on is spam
_WINDOW_MS = 60_000
_REMEMBERED = 8  # messages of a user
_USERS = 5_000
_ALIKE = 0.8
_LEAST = 6  # characters: shorter ones ("gg", "lol") are said again and again
_CROWD = 200
_OWN = 0.4  # each message of the user's own that it is like
_OTHERS = 0.3  # each of others, while the shield is on


class _Said(NamedTuple):
    at_ms: int
    user_id: str
    text: str
    grams: frozenset[str]


def grams(text: str) -> frozenset[str]:
    """The runs of three characters of a text."""
    return frozenset(text[at : at + 3] for at in range(max(1, len(text) - 2)))


def likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard index: 1 for the same text, 0 for nothing in common."""
    return len(one & other) / max(1, len(one | other))


class SpamScore:
    """Of one room."""

    __slots__ = ("_crowd", "_users")

    def __init__(self) -> None:
        self._users: OrderedDict[str, deque[_Said]] = OrderedDict()
        self._crowd: deque[_Said] = deque(maxlen=_CROWD)

    def score(self, user_id: str, text: str, now_ms: int, *, shield: bool) -> float:
        """The score of a message, which is remembered whether it is taken or not."""
        same = plain(text)
        said = _Said(now_ms, user_id, same, grams(same))
        own = self._users.setdefault(user_id, deque(maxlen=_REMEMBERED))
        self._users.move_to_end(user_id)
        if len(self._users) > _USERS:
            self._users.popitem(last=False)
        score = 0.0
        if len(same) >= _LEAST:
            score = _OWN * _count(own, said, now_ms)
            if shield:
                score += _OTHERS * _count((one for one in self._crowd if one.user_id != user_id), said, now_ms)
        own.append(said)
        self._crowd.append(said)
        return score


def _count(earlier: Iterable[_Said], said: _Said, now_ms: int) -> int:
    return sum(
        1
        for one in earlier
        if one.at_ms > now_ms - _WINDOW_MS and (one.text == said.text or likeness(one.grams, said.grams) >= _ALIKE)
    )
