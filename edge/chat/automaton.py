"""Many words looked for at once, in time that grows with the text only (Aho and Corasick 1975). Pure."""

from collections import deque
from collections.abc import Iterable


class Automaton:
    """Says which of its words a text contains."""

    __slots__ = ("_fail", "_found", "_next")

    def __init__(self, words: Iterable[str]) -> None:
        self._next: list[dict[str, int]] = [{}]
        self._found: list[str] = [""]
        self._fail: list[int] = [0]
        for word in words:
            self._add(word)
        self._link()

    def _add(self, word: str) -> None:
        state = 0
        for one in word:
            following = self._next[state].get(one)
            if following is None:
                following = len(self._next)
                self._next[state][one] = following
                self._next.append({})
                self._found.append("")
                self._fail.append(0)
            state = following
        self._found[state] = word

    def _link(self) -> None:
        waiting = deque(self._next[0].values())
        while waiting:
            state = waiting.popleft()
            for one, following in self._next[state].items():
                waiting.append(following)
                self._fail[following] = self._step(self._fail[state], one)
                self._found[following] = self._found[following] or self._found[self._fail[following]]

    def _step(self, state: int, one: str) -> int:
        while state and one not in self._next[state]:
            state = self._fail[state]
        return self._next[state].get(one, 0)

    def first(self, text: str) -> str:
        """A word that the text contains, the one that ends first; empty when there is none."""
        state = 0
        for one in text:
            state = self._step(state, one)
            if self._found[state]:
                return self._found[state]
        return ""
