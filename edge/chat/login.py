"""A client whose token nobody here has heard of yet: one made a moment ago may be on its way."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from edge.chat.server import ChatServer

Said = TypeVar("Said")


class Login(Generic[Said]):
    """Calls `settle` once: when there is a record of the token, good or not, or when it was waited for long enough.

    `said` has what the client says meanwhile; what a client may say in that time is bounded by its budget.
    """

    __slots__ = ("_server", "_settle", "_timer", "said", "token")

    def __init__(self, server: "ChatServer", token: str, settle: Callable[[], None]) -> None:
        self.token = token
        self.said: list[Said] = []
        self._server = server
        self._settle = settle
        loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle = loop.call_later(server.config.unknown_s, self._over)

    @classmethod
    def begin(cls, server: "ChatServer", token: str, settle: Callable[[], None]) -> "Login[Said] | None":
        """None when there is nothing to wait for, or when too many wait already."""
        if server.index.knows(token):
            return None
        login = cls(server, token, settle)
        if server.newcomers.enter(login._look):
            return login
        server.tally.events["unknown_full"] += 1
        login.cancel()
        return None

    def cancel(self) -> None:
        """Waits no longer; `settle` is not called."""
        self._timer.cancel()
        self._server.newcomers.leave(self._look)

    def _look(self) -> None:
        if self._server.index.knows(self.token):
            self._over()

    def _over(self) -> None:
        self.cancel()
        self._settle()
