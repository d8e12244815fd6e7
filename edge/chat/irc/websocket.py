"""A client whose lines come over a WebSocket of the viewer port: any number of lines in a message."""

import asyncio
from typing import TYPE_CHECKING

from edge.chat.connection import Connection
from edge.chat.crowd import Entry
from edge.chat.dialect import PACKED
from edge.chat.irc.client import IrcClient
from edge.chat.irc.dialect import Framing
from edge.protocols.websocket.deflate import Deflate

if TYPE_CHECKING:
    from edge.chat.server import ChatServer

PROTOCOLS = ("irc", "text.ircv3.net")  # that clients may offer; tmi.js, and IRCv3


class IrcWebSocket(Connection):
    """The WebSocket's pings are enough: there are none of IRC."""

    __slots__ = ("_client", "framing")

    def __init__(
        self,
        server: "ChatServer",
        transport: asyncio.Transport,
        address: str,
        entry: Entry,
        deflate: Deflate | None,
        opening: bytes,
    ) -> None:
        super().__init__(server, transport, address, entry, deflate, opening)
        self.framing = Framing.PACKED if self.dialect is PACKED else Framing.FRAMES
        self._client = IrcClient(server, self)

    def begin(self) -> None:
        """The answer to the upgrade must come at once."""
        self.write(b"")
        self.remind(self._client.check(self._host.now()))

    def take_text(self, text: str) -> None:
        """See Connection."""
        self._client.receive_data(text.encode() + b"\n")

    def take_binary(self, data: bytes) -> None:
        """See Connection."""
        self._client.receive_data(data + b"\n")

    def pause_writing(self) -> None:
        super().pause_writing()
        self._client.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._client.resume()

    def leave(self) -> None:
        """See Connection."""
        self._client.leave()
        super().leave()

    def finish(self, code: int, reason: str) -> None:
        """See Wire."""
        self.close(code, reason)

    def remind(self, at: float) -> None:
        """See Wire."""
        self._host.remind(self, at)

    def send_elsewhere(self, jitter_s: float) -> None:  # noqa: ARG002 - clients choose their own
        """See Connection."""
        self._client.reconnect()

    def check(self, now: float) -> float:
        """See Connection."""
        at = super().check(now)
        return at if self.ending else min(at, self._client.check(now))
