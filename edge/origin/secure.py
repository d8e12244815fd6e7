"""The TLS port: accepts, shakes hands within bounds of number and time, then goes on as on the plain port."""

import asyncio
import errno
import socket
from typing import TYPE_CHECKING, Any

import aiofastnet

from appliance.runtime.listening import inherited
from appliance.runtime.tasks import Tasks
from appliance.runtime.tls import ServerTls
from edge.origin.buffered import Buffered
from edge.origin.config import SLACK, OriginConfig
from edge.origin.connection import ViewerConnection
from edge.origin.http2 import Http2Connection
from edge.origin.relay import Relay, passage
from edge.origin.responses import Response

if TYPE_CHECKING:
    from edge.origin.server import OriginServer

_PROTOCOLS = ["h2", "http/1.1"]
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; what HTTP/2 may be spoken over (RFC 9113, 9.2.2)
_BACKLOG = 4096
_AT_ONCE = 64  # accepted in one turn of the loop
_PAUSE_S = 1.0
_SHUTDOWN_S = 10.0
_OUT_OF_FILES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class SecureListener:
    """Owns the listening socket and the connections that still shake hands.

    When too many do, the oldest one is dropped: an honest client needs a round trip, a hostile one sits.
    """

    def __init__(self, server: "OriginServer", tls: ServerTls) -> None:
        self._server = server
        self._tls = tls
        self._tls.set_up(protocols=_PROTOCOLS, ciphers=_CIPHERS)
        self._listener: socket.socket | None = None
        self._reading = False
        self._handshakes: dict[asyncio.Task[None], None] = {}
        self._tasks = Tasks()

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._listener is not None
        return int(self._listener.getsockname()[1])

    async def start(self) -> None:
        """Returns when listening. OSError when the address cannot be had."""
        config = self._server.config
        loop = asyncio.get_running_loop()
        listener = inherited("https") or await _opened(config)
        self._listener = listener
        self._quieten(loop)
        self._read()
        self._tasks.start(self._tls.watch(), "origin-certificate")

    def _quieten(self, loop: asyncio.AbstractEventLoop) -> None:
        """A client that leaves in the middle of its handshake is counted, not told to the operator."""
        before = loop.get_exception_handler()

        def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            failure = context.get("exception")
            if failure is ConnectionResetError:  # the class: how aiofastnet says so
                return
            if before is not None:
                before(loop, context)
            else:
                loop.default_exception_handler(context)

        loop.set_exception_handler(handle)

    def _read(self) -> None:
        if self._listener is not None and not self._reading:
            self._reading = True
            asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _unread(self) -> None:
        if self._listener is not None and self._reading:
            self._reading = False
            asyncio.get_running_loop().remove_reader(self._listener)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            if self._listener is None:
                return
            try:
                accepted, _ = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as failure:
                if failure.errno in _OUT_OF_FILES:
                    self._server.tally.event("accept_paused")
                    self._unread()
                    asyncio.get_running_loop().call_later(_PAUSE_S, self._read)
                return
            self._admit(accepted)

    def _admit(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        if self._server.count >= self._server.config.connections + SLACK:
            self._server.tally.event("over_connections")
            accepted.close()
            return
        if len(self._handshakes) >= self._server.config.handshakes:
            self._server.tally.event("handshake_dropped")
            oldest = next(iter(self._handshakes))
            del self._handshakes[oldest]
            oldest.cancel()
        task = self._tasks.start(self._shake(accepted), "origin-handshake")
        self._handshakes[task] = None
        task.add_done_callback(lambda done: self._handshakes.pop(done, None))

    async def _shake(self, accepted: socket.socket) -> None:
        try:
            await aiofastnet.connect_accepted_socket(
                asyncio.get_running_loop(),
                lambda: _Greeting(self._server),
                accepted,
                ssl=self._tls.current,
                ssl_handshake_timeout=self._server.config.handshake_s,
                ssl_shutdown_timeout=_SHUTDOWN_S,
            )
        except OSError:  # ssl.SSLError is one: another protocol, no common cipher, a client that left
            self._server.tally.event("handshake_failed")
            accepted.close()
        except asyncio.CancelledError:
            accepted.close()
            raise

    def close_listener(self) -> None:
        """Takes no new connections."""
        self._unread()
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def close(self) -> None:
        """Ends the handshakes as well."""
        self.close_listener()
        await self._tasks.close()


async def _opened(config: OriginConfig) -> socket.socket:
    found = await asyncio.get_running_loop().getaddrinfo(config.host, config.https_port, type=socket.SOCK_STREAM)
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if config.reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


class _Greeting(asyncio.Protocol):
    """A connection whose handshake is over: the protocol that ALPN chose takes its place."""

    def __init__(self, server: "OriginServer") -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        wire = transport.get_extra_info("ssl_object")
        is_h2 = wire is not None and wire.selected_alpn_protocol() == "h2"
        chosen = _SecureHttp2(self._server) if is_h2 else SecureConnection(self._server)
        transport.set_protocol(chosen)
        chosen.connection_made(transport)


class _SecureHttp2(Buffered, Http2Connection):
    """HTTP/2 inside TLS."""

    __slots__ = ()


class SecureConnection(Buffered, ViewerConnection):
    """HTTP/1.1 inside TLS: what belongs to another role is relayed, because a TLS state cannot be passed on."""

    __slots__ = ("_near",)

    def __init__(self, server: "OriginServer") -> None:
        super().__init__(server)
        self._near: socket.socket | None = None

    def bare(self) -> int:
        """Never: what goes out is encrypted."""
        return -1

    def descriptor(self) -> int | None:
        """The far end of a socket pair, which the other role talks to."""
        if self.transport.get_write_buffer_size():
            return None
        self._near, far = passage()
        return far.detach()

    def leave(self) -> None:
        """The other role has the far end: from here on bytes are passed along."""
        near, self._near = self._near, None
        assert near is not None
        self._end_service()
        relay = Relay(self.server, self.transport, near)
        self.transport.set_protocol(relay)
        self.server.replace(self, relay)
        relay.start()

    def _write(self, response: Response) -> None:
        if self._near is not None:  # nobody took the far end
            self._near.close()
            self._near = None
        super()._write(response)
