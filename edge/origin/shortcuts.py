"""Answers that are found again by the words of the question alone, until what they were made of changes.

Viewers of a broadcast ask for the same in the same words, thousands of times between two updates of its playlist.
The first one is served by the routes, which leave a shortcut in the parsed head that all share (`HeadMemo`); it is
gone with the next update. Only what is open to everybody may have one.
"""

from collections.abc import Callable, Collection
from typing import NamedTuple

from edge.origin.held import Group
from edge.origin.responses import Response
from edge.protocols.http.request import RequestHead

Asker = tuple[str, int]  # address and port of a client
_MOST = 4096


class Count(NamedTuple):
    """Is told now and then that somebody asked; `each`: and who."""

    tell: Callable[[Collection[Asker]], None]
    each: bool


class Shortcut:
    """An answer, or the group in which to wait for one, `seconds` long at most; and who took it since they were
    counted last, where that is wanted."""

    __slots__ = ("asked", "askers", "count", "group", "keep", "response", "seconds")

    def __init__(
        self, response: Response | None, count: Count | None, group: Group | None = None, seconds: float = 0.0
    ) -> None:
        self.response = response
        self.group = group
        self.seconds = seconds
        self.count = count
        self.keep = True  # whether the connection goes on after the answer
        self.asked = False
        self.askers: set[Asker] | None = set() if count is not None and count.each else None


class Shortcuts:
    """Those that depend on one rendition."""

    __slots__ = ("_heads",)

    def __init__(self) -> None:
        self._heads: list[RequestHead] = []

    def add(self, request: RequestHead, shortcut: Shortcut) -> None:
        """Equal requests go this way as well; `shortcut.count` is told who they were."""
        if len(self._heads) >= _MOST:
            self.clear()
        shortcut.keep = request.keep_alive
        request.note.value = shortcut
        self._heads.append(request)

    def flush(self) -> None:
        """Counts those who asked."""
        for request in self._heads:
            shortcut = request.note.value
            if shortcut is not None and shortcut.asked and shortcut.count is not None:
                askers = shortcut.askers or ()
                shortcut.asked = False
                if shortcut.askers:
                    shortcut.askers = set()
                shortcut.count.tell(askers)

    def clear(self) -> None:
        """The answers are old."""
        if self._heads:
            self.flush()
            for request in self._heads:
                request.note.value = None
            self._heads.clear()
