"""Bytes passed between a TLS connection and the role that serves it, for what a descriptor cannot carry."""

import asyncio
import socket
from typing import TYPE_CHECKING

from edge.origin.buffered import Buffered

if TYPE_CHECKING:
    from edge.origin.server import OriginServer

_BUFFER = 64 * 1024
_NEVER = float("inf")


def passage() -> tuple[socket.socket, socket.socket]:
    """A connected pair: ours, and the one to give away. What either side may have in flight is bounded."""
    near, far = socket.socketpair()
    near.setblocking(False)
    far.setblocking(False)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
    return near, far


class Relay(Buffered):
    """The client's side; `_Near` is the other role's. A side that does not take bytes stops the other's reading.

    TLS has no half-close here: when either side ends, what is written still leaves and both are closed.
    """

    __slots__ = ("_near", "_opened", "_server", "_socket", "stalled_since", "transport")

    def __init__(self, server: "OriginServer", transport: asyncio.Transport, near: socket.socket) -> None:
        self.transport = transport
        self.stalled_since = _NEVER
        self._server = server
        self._socket = near
        self._near: asyncio.Transport | None = None
        self._opened = False

    def start(self) -> None:
        """Begins to pass bytes; the client is not read before the other side is open."""
        self.transport.pause_reading()
        self._server.start_task(self._open(), "origin-relay")

    async def _open(self) -> None:
        try:
            loop = asyncio.get_running_loop()
            made, _ = await loop.connect_accepted_socket(lambda: _Near(self), self._socket)
        except OSError:
            self._socket.close()
            self.transport.close()
            return
        except asyncio.CancelledError:
            self._socket.close()
            raise
        self._near = made
        if self.transport.is_closing():
            self._near.close()
            return
        self.transport.resume_reading()

    # -- the client's transport

    def data_received(self, data: bytes) -> None:
        assert self._near is not None
        self._near.write(data)

    def pause_writing(self) -> None:
        self.stalled_since = self._server.now()
        if self._near is not None:
            self._near.pause_reading()

    def resume_writing(self) -> None:
        self.stalled_since = _NEVER
        if self._near is not None and not self._near.is_closing():
            self._near.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        _ = exc
        if self._near is not None:
            self._near.close()
        self._server.lost(self)

    # -- the other role's side

    def from_role(self, data: bytes) -> None:
        """Bytes for the client."""
        self.transport.write(data)

    def role_paused(self) -> None:
        """The other role does not take what the client sends."""
        self.transport.pause_reading()

    def role_resumed(self) -> None:
        """It does again."""
        self.transport.resume_reading()

    def role_ended(self) -> None:
        """The other role said its last; what it said still leaves, in a bounded time."""
        self.transport.close()

    # -- the server's calls

    def check(self, now: float) -> str:
        """Called once a second: the reason to cut the connection, or nothing."""
        return "stalled_cut" if now - self.stalled_since >= self._server.config.stall_s else ""


class _Near(asyncio.Protocol):
    """Our end of the socket pair."""

    __slots__ = ("_relay",)

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def data_received(self, data: bytes) -> None:
        self._relay.from_role(data)

    def pause_writing(self) -> None:
        self._relay.role_paused()

    def resume_writing(self) -> None:
        self._relay.role_resumed()

    def eof_received(self) -> bool:
        self._relay.role_ended()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        _ = exc
        self._relay.role_ended()
