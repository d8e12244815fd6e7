"""A client on an IRC port: its transport, its pings, and how it ends."""

import asyncio
import random
from typing import TYPE_CHECKING, cast

from appliance.contracts.chat import CloseCode
from edge.chat.connection import NEVER
from edge.chat.crowd import Entry
from edge.chat.irc.client import IrcClient
from edge.chat.irc.dialect import Framing
from edge.chat.irc.lines import HOST
from edge.chat.limits import Budget
from edge.protocols.irc.message import build

if TYPE_CHECKING:
    from edge.chat.server import ChatServer

_BURST_S = 4.0
_BUFFERED = 512 * 1024  # lines of its own that a client may leave unread
_POLICY = 1008
_NONE = -1
_TOO_MANY = build("ERROR", text="Too many connections")
_PING = build("PING", text=HOST)


class IrcSocket(asyncio.Protocol):
    """States: open, ending (what was written is on its way), closed. `paused`: the socket takes no more.

    The transport's high-water mark is as low as can be, so that it says at once that its socket is full.
    """

    _transport: asyncio.Transport

    def __init__(self, server: "ChatServer", address: str, entry: Entry) -> None:
        self.address = address
        self.entry = entry
        self.closed = False
        self.due = 0  # of the wheel
        self.fd = _NONE
        self.paused = False
        self.framing = Framing.NONE
        self._server = server
        now, config = server.now(), server.config
        self._bytes = Budget(config.bytes_per_s, config.bytes_per_s * _BURST_S, now)
        self._paused_at = NEVER
        self._closing_at = NEVER
        self._answer_by = NEVER
        self._ping_at = now + config.irc_ping_s * (0.5 + random.random() / 2)  # noqa: S311 - spreads the pings
        self._client = IrcClient(server, self)

    @property
    def ending(self) -> bool:
        """Whether nothing more is to be said to it."""
        return self.closed or self._closing_at != NEVER

    # -- the transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its type
        secure = transport.get_extra_info("ssl_object") is not None
        self._transport.set_write_buffer_limits(
            high=1 if secure else 0, low=0
        )  # at 0 that of TLS is always reached
        if not secure:
            self.fd = transport.get_extra_info("socket").fileno()
        self._server.opened(self)
        if self.entry is not Entry.TAKEN:
            self.write(_TOO_MANY)
            self.finish(CloseCode.TOO_MANY_CONNECTIONS, "")
            return
        now = self._server.now()
        self._server.remind(self, min(self._ping_at, self._client.check(now)))

    def data_received(self, data: bytes) -> None:
        if self.ending:
            return
        self._answer_by = NEVER
        if not self._bytes.spend(len(data), self._server.now()):
            self._server.tally.events["too_fast"] += 1
            self.finish(_POLICY, "")
            return
        self._client.receive_data(data)

    def pause_writing(self) -> None:
        self.paused = True
        self._paused_at = self._server.now()
        self._server.remind(self, self._paused_at + self._server.config.slow_s)
        self._client.pause()

    def resume_writing(self) -> None:
        self.paused = False
        self._paused_at = NEVER
        self._client.resume()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        self._client.leave()
        self.closed = True
        self._server.lost(self)

    # -- writing and ending

    def write(self, data: bytes | memoryview) -> None:
        """Sends whole lines. A client that leaves too many of its own unread is cut."""
        if self.ending:
            return
        if self.paused and self._transport.get_write_buffer_size() > _BUFFERED:
            self._cut()
            return
        self._transport.write(data)

    def spill(self, data: bytes | memoryview) -> None:
        """See Wire."""
        self._transport.write(data)

    def remind(self, at: float) -> None:
        """See Wire."""
        self._server.remind(self, at)

    def finish(self, code: int, reason: str) -> None:  # noqa: ARG002 - lines have said why
        """Ends behind what was written; what the client still sends is read away, so that it can see it."""
        if self.ending:
            return
        self._client.leave()
        self._server.tally.closed[int(code)] += 1
        self._closing_at = self._server.now() + self._server.config.close_s
        self._server.remind(self, self._closing_at)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def send_elsewhere(self, jitter_s: float) -> None:  # noqa: ARG002 - clients choose their own
        """This process leaves."""
        self._client.reconnect()

    def abort(self) -> None:
        """Ends the connection at once."""
        self._transport.abort()

    def _cut(self) -> None:
        self._server.tally.events["slow_cut"] += 1
        self.finish(CloseCode.TOO_SLOW, "")

    # -- time

    def _ping(self, now: float) -> None:
        """Asks whether the client is there; one that has not come in yet has a deadline of its own."""
        self._ping_at = now + self._server.config.irc_ping_s
        if self._client.session.is_registered:
            self._answer_by = now + self._server.config.irc_pong_s
            self.write(_PING)

    def check(self, now: float) -> float:
        """Does what is due; when to be called next."""
        if now >= self._closing_at:
            self._transport.abort()
            return NEVER
        if self._closing_at != NEVER:
            return self._closing_at
        config = self._server.config
        if now >= self._paused_at + config.slow_s:
            self._cut()
        elif now >= self._answer_by:
            self._server.tally.events["pong_timeout"] += 1
            self.finish(CloseCode.GOING_AWAY, "")
        elif now >= self._ping_at and not self.paused:
            self._ping(now)
        soonest = self._client.check(now)
        return min(self._closing_at, self._paused_at + config.slow_s, self._answer_by, self._ping_at, soonest)
