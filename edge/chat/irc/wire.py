"""What carries a client's lines: a socket of its own, or a WebSocket."""

from typing import Protocol

from edge.chat.irc.dialect import Framing


class Wire(Protocol):
    """The part of a connection that a client needs. `fd` is none (-1) where bytes are not written as they are."""

    fd: int
    paused: bool
    framing: Framing

    @property
    def ending(self) -> bool:
        """Whether nothing more is to be said."""

    def write(self, data: bytes | memoryview) -> None:
        """Sends lines in their framing."""

    def spill(self, data: bytes | memoryview) -> None:
        """Sends what the socket did not take of a fan-out."""

    def remind(self, at: float) -> None:
        """Has the client's `check` called at that time, or earlier."""

    def finish(self, code: int, reason: str) -> None:
        """Ends the connection after what was written. `code`: as of a WebSocket."""
