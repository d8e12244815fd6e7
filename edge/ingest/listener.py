"""The RTMP ports: plain and in TLS, with limits, and behind a balancer that speaks the PROXY protocol."""

import asyncio
import ipaddress
import socket
import ssl
from collections import Counter
from collections.abc import Sequence

from appliance.contracts.errors import ConfigError
from appliance.runtime.listening import BACKLOG, inherited, open_listener
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter, gauge
from appliance.runtime.tasks import Tasks
from edge.ingest.publisher import Gate
from edge.ingest.rtmp_socket import RtmpSocket
from edge.protocols.proxy import LONGEST, ProxyError, parse_header
from edge.protocols.rtmp import Closed, RtmpLimits

_TICK_S = 0.5
_HEADER_S = 3.0
_READING_HEADERS = 256  # connections of balancers whose header has not come yet

_CONNECTIONS = gauge("nearcast_ingest_connections", "RTMP connections.")
_CLOSED = counter("nearcast_ingest_closed_total", "RTMP connections ended, by reason.", ["code"])

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(addresses: Sequence[str]) -> list[Network]:
    """Addresses and networks of a setting. ConfigError names the one that is none."""
    found: list[Network] = []
    for text in addresses:
        try:
            found.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise ConfigError(f"ingest.proxy_from: {text!r} is no address or network") from None
    return found


class RtmpListener:
    """Accepts connections, with limits in all and per address."""

    def __init__(
        self,
        gate: Gate,
        limits: RtmpLimits,
        tasks: Tasks,
        *,
        connections: int,
        per_address: int,
        proxy_from: Sequence[str] = (),
    ) -> None:
        """`proxy_from`: balancers whose word about the client's address is taken. ConfigError."""
        self.log = get_logger("ingest.listener")
        self._gate = gate
        self._limits = limits
        self._tasks = tasks
        self._connections = connections
        self._per_address = per_address
        self._trusted = networks(proxy_from)
        self._sockets: set[RtmpSocket] = set()
        self._addresses: Counter[str] = Counter()
        self._waiting: dict[RtmpSocket, None] = {}  # not publishing yet, the oldest first
        self._servers: list[asyncio.Server] = []
        self._ports: list[socket.socket] = []
        self._reading_headers = 0

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Opens a port, or takes the one that this process was given, and returns its number. OSError."""
        kind = "rtmp" if tls is None else "rtmps"
        wire = inherited(kind) or open_listener(host, port)
        if self._trusted:
            return self._listen_behind(wire, kind, tls)
        server = await asyncio.get_running_loop().create_server(
            lambda: self._new(kind),
            sock=wire,
            ssl=tls,
            backlog=BACKLOG,
            ssl_handshake_timeout=self._limits.connect_s if tls else None,
        )
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def run(self) -> None:
        """Keeps the connections' deadlines, until cancelled."""
        while True:
            await asyncio.sleep(_TICK_S)
            for connection in list(self._sockets):
                connection.tick()

    def stop_accepting(self) -> None:
        """No new connections."""
        for server in self._servers:
            server.close()
        for port in self._ports:
            asyncio.get_running_loop().remove_reader(port)
            port.close()
        self._ports.clear()

    def close_all(self, code: str, text: str) -> None:
        """Ends every connection."""
        for connection in list(self._sockets):
            connection.close(code, text)

    # --- the connections' calls

    def enter(self, connection: RtmpSocket) -> bool:
        """Counts a connection in; False when there are too many.

        Where the limit is reached, the oldest connection that publishes nothing makes place: somebody who
        opens connections and says nothing must not keep an encoder out.
        """
        _CONNECTIONS.inc()
        self._sockets.add(connection)
        self._addresses[connection.address] += 1
        full = len(self._sockets) > self._connections
        if not full and self._addresses[connection.address] <= self._per_address:
            self._waiting[connection] = None
            return True
        idle = (one for one in self._waiting if full or one.address == connection.address)
        victim = next(idle, None)
        if victim is not None:
            self._waiting.pop(victim)
            self._waiting[connection] = None
            victim.drop()
        else:
            _CLOSED.labels("too_many").inc()
        return victim is not None

    def published(self, connection: RtmpSocket) -> None:
        """It has a good key."""
        self._waiting.pop(connection, None)

    def leave(self, connection: RtmpSocket) -> None:
        """Counts it out."""
        if connection not in self._sockets:
            return
        _CONNECTIONS.dec()
        self._sockets.discard(connection)
        self._waiting.pop(connection, None)
        self._addresses[connection.address] -= 1
        if not self._addresses[connection.address]:
            del self._addresses[connection.address]

    def ended(self, connection: RtmpSocket, event: Closed) -> None:
        """The protocol is over, for the reason given."""
        if not connection.is_probe:
            _CLOSED.labels(event.code).inc()
            self.log.info("connection_closed", code=event.code, reason=event.reason, peer=connection.address)

    def _new(self, kind: str, address: str = "") -> RtmpSocket:
        return RtmpSocket(self, self._gate, self._limits, kind=kind, address=address)

    # --- behind a balancer

    def _listen_behind(self, wire: socket.socket, kind: str, tls: ssl.SSLContext | None) -> int:
        self._ports.append(wire)
        asyncio.get_running_loop().add_reader(wire, self._take, wire, kind, tls)
        return int(wire.getsockname()[1])

    def _take(self, port: socket.socket, kind: str, tls: ssl.SSLContext | None) -> None:
        try:
            wire, peer = port.accept()
        except OSError:
            return
        wire.setblocking(False)
        if self._reading_headers >= _READING_HEADERS:
            _CLOSED.labels("too_many").inc()
            wire.close()
            return
        self._reading_headers += 1
        self._tasks.start(self._introduce(wire, str(peer[0]), kind, tls), "ingest-introduce")

    async def _introduce(self, wire: socket.socket, peer: str, kind: str, tls: ssl.SSLContext | None) -> None:
        """Finds out who it is, then goes on as with any other connection."""
        loop = asyncio.get_running_loop()
        address = peer
        try:
            try:
                if any(ipaddress.ip_address(peer) in network for network in self._trusted):
                    async with asyncio.timeout(_HEADER_S):
                        address = await read_source(wire) or peer
            finally:
                self._reading_headers -= 1
            limit = self._limits.connect_s if tls else None
            await loop.connect_accepted_socket(
                lambda: self._new(kind, address), wire, ssl=tls, ssl_handshake_timeout=limit
            )
        except (TimeoutError, ProxyError, OSError) as error:
            _CLOSED.labels("proxy_header").inc()
            self.log.info("introduction_failed", peer=peer, error=repr(error))
            wire.close()


async def read_source(wire: socket.socket) -> str:
    """Takes a PROXY header off a socket, and nothing behind it. ProxyError, OSError."""
    loop = asyncio.get_running_loop()
    seen = 0
    while True:
        readable: asyncio.Future[None] = loop.create_future()
        loop.add_reader(wire, _resolve, readable)
        try:
            await readable
        finally:
            loop.remove_reader(wire)
        data = wire.recv(LONGEST, socket.MSG_PEEK)
        header = parse_header(data)
        if header is not None:
            left = header.size
            while left:
                left -= len(wire.recv(left))
            return header.address
        if len(data) == seen:
            if not data:
                raise ConnectionResetError("closed before a PROXY header")
            await asyncio.sleep(0.02)  # what was seen stays readable: wait for more of it
        seen = len(data)


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
