"""Connections that asked for a room this edge has not heard of yet: the directory may be on its way here."""

import asyncio
from collections.abc import Callable

_RETRY_S = 0.05


class Newcomers:
    """At most `limit` waiting calls, tried again soon after the directory changed.

    A channel made a moment ago is announced to its owner before its record has reached every edge. Whoever
    waits keeps an eye on its own deadline and calls `leave`.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: set[Callable[[], None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, again: Callable[[], None]) -> bool:
        """Has `again` called after changes; False when too many wait."""
        if len(self._waiting) >= self._limit:
            return False
        self._waiting.add(again)
        return True

    def leave(self, again: Callable[[], None]) -> None:
        """Waits no longer."""
        self._waiting.discard(again)

    def directory_changed(self) -> None:
        """A record came: one round for all that come within a moment, however many they are."""
        if self._waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_RETRY_S, self._round)

    def _round(self) -> None:
        self._timer = None
        for again in list(self._waiting):
            again()

    def close(self) -> None:
        """No more rounds."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
