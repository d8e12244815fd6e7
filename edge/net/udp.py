"""The one port of a role's WebRTC peers: UDP with the kernel's arrival times, and TCP for networks without it."""

import asyncio
import collections
import contextlib
import socket
import struct
import time
from typing import Final, Protocol, cast

from appliance.contracts.errors import ConfigError
from appliance.runtime.listening import client_of, open_listener
from appliance.runtime.logs import get_logger
from edge.protocols.webrtc import stun
from edge.protocols.webrtc.ice import Address, IceAgent

_BATCH: Final = 64  # datagrams in one turn of the loop
_MOST_BATCHES: Final = 8  # in one look
_NO_STUN: Final = 4  # the least first byte of a datagram that is none (RFC 7983, 7)
_MOST_BYTES: Final = 2048  # of a datagram; more is no packet of ours
_BUFFER: Final = 4 << 20
_LEAST_TO_REST: Final = 1 << 20  # bytes of buffer: 20 ms of some dozens of publishers
_SO_RCVBUFFORCE: Final = 33  # not in the socket module
_SO_TIMESTAMPNS: Final = 35  # not in the socket module
_TIMESPEC: Final = struct.Struct("=qq")
_ANCILLARY: Final = socket.CMSG_SPACE(_TIMESPEC.size)
_TCP_UNKNOWN_S: Final = 15.0  # a connection that belongs to no session by then is closed
_TCP_BEHIND: Final = 256 * 1024
_PORTS: Final = 10  # tried to find one


class Peer(Protocol):
    """A session as the port sees it."""

    agent: IceAgent

    def receive(self, datagram: bytes, at: float) -> None:
        """A datagram of an authenticated address that is no STUN; `at` is monotonic seconds."""


class MediaPort:
    """Finds the session of a datagram: checks by the name they carry, all else by an authenticated address.

    While it rests what comes lies there until `look`: to be woken for each packet costs several times what the
    packet does.
    """

    def __init__(self, connections: int) -> None:
        """At most so many TCP connections."""
        self.port = 0
        self._resting = False
        self.counts: collections.Counter[str] = collections.Counter()
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._by_fragment: dict[str, Peer] = {}
        self._by_address: dict[Address, Peer] = {}
        self._legs: set[TcpLeg] = set()
        self._log = get_logger("net.port")

    async def open(self, host: str, port: int) -> None:
        """Listens. ConfigError when the port cannot be had; TCP is left out when only that is taken.

        Port 0 is any port that is free for both.
        """
        for _ in range(_PORTS):
            opened = _bound(host, port)
            self.port = int(opened.getsockname()[1])
            try:
                self._server = await self._loop.create_server(
                    lambda: TcpLeg(self), sock=open_listener(host, self.port, shared=False)
                )
            except OSError as error:
                self._log.warning("tcp_port_not_available", port=self.port, error=str(error))
                if not port:
                    opened.close()
                    continue
            self._socket = opened
            self._loop.add_reader(opened, self._readable)
            return
        raise ConfigError("no port is free for WebRTC")

    def close(self) -> None:
        """Closes everything."""
        if self._server is not None:
            self._server.close()
        for leg in list(self._legs):
            leg.abort()
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    # --- sessions

    def register(self, peer: Peer) -> None:
        """Checks for any of the peer's credentials reach it from now on; again after an ICE restart."""
        for fragment in peer.agent.fragments:
            self._by_fragment[fragment] = peer

    def unregister(self, peer: Peer) -> None:
        """Nothing reaches it any more."""
        self.unregister_fragments(peer)
        for address in peer.agent.addresses:
            if self._by_address.get(address) is peer:
                del self._by_address[address]

    def unregister_fragments(self, peer: Peer) -> None:
        """No check reaches it until it is registered again."""
        for fragment in [one for one, owner in self._by_fragment.items() if owner is peer]:
            del self._by_fragment[fragment]

    def send(self, datagram: bytes, address: Address) -> None:
        """Sends, or drops what the system does not take: losses are what the protocols above expect."""
        leg = address[0]
        if isinstance(leg, TcpLeg):
            leg.send(datagram)
        elif self._socket is not None:
            try:
                self._socket.sendto(datagram, address)
            except OSError:
                self.counts["not_sent"] += 1

    # --- datagrams

    @property
    def is_resting(self) -> bool:
        """Whether what comes lies there."""
        return self._resting

    def rest(self, resting: bool) -> None:
        """Whether what comes may lie there until `look`. It may not where the system keeps little of it."""
        opened = self._socket
        if opened is None or resting is self._resting:
            return
        if not resting:
            self._loop.add_reader(opened, self._readable)
        elif opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= _LEAST_TO_REST:
            self._loop.remove_reader(opened)
        else:
            return
        self._resting = resting

    def look(self) -> None:
        """Takes what came while it rests, within a bound."""
        for _ in range(_MOST_BATCHES):
            if not self._resting or self._socket is None or self._take(self._socket) < _BATCH:
                return

    def _readable(self) -> None:
        if self._socket is not None:
            self._take(self._socket)

    def _take(self, opened: socket.socket) -> int:
        """Takes a batch of datagrams; how many there were.

        Kernel times: with those of a busy loop the sender sees a congested network.
        """
        monotonic, wall = time.monotonic(), time.time()
        take, known = opened.recvmsg, self._by_address
        for count in range(_BATCH):
            try:
                datagram, ancillary, _, address = take(_MOST_BYTES, _ANCILLARY)
            except BlockingIOError:
                return count
            except OSError:  # an ICMP error of something sent before, or what was taken had it closed
                continue
            at = monotonic
            if ancillary:
                seconds, nanoseconds = _TIMESPEC.unpack_from(ancillary[0][2])
                at += min(0.0, max(-1.0, seconds - wall + nanoseconds * 1e-9))
            peer = known.get(address)
            if peer is not None and datagram and datagram[0] >= _NO_STUN:  # nearly all are
                peer.agent.data_from(address, at)
                peer.receive(datagram, at)
            else:
                self.receive(datagram, address, address[:2], at)
        return _BATCH

    def receive(self, datagram: bytes, address: Address, mapped: tuple[str, int], at: float) -> bool:
        """Takes a datagram; False when it belongs to no session."""
        if stun.is_stun(datagram):
            return self._check(datagram, address, mapped, at)
        peer = self._by_address.get(address)
        if peer is None or not datagram:
            self.counts["stray"] += 1
            return False
        peer.agent.data_from(address, at)
        peer.receive(datagram, at)
        return True

    def _check(self, datagram: bytes, address: Address, mapped: tuple[str, int], at: float) -> bool:
        fragment = stun.local_fragment(datagram)
        peer = self._by_fragment.get(fragment)
        checked = peer.agent.check(datagram, address, mapped, fragment, at) if peer is not None else None
        if peer is None or checked is None:
            self.counts["stray"] += 1
            return False
        if checked.added:
            self._by_address[address] = peer
        if checked.dropped is not None and self._by_address.get(checked.dropped) is peer:
            del self._by_address[checked.dropped]
        self.send(checked.reply, address)
        return True

    # --- TCP

    def enter(self, leg: "TcpLeg") -> bool:
        """Counts a TCP connection in; False when there are too many."""
        if len(self._legs) >= self._connections:
            self.counts["over_tcp"] += 1
            return False
        self._legs.add(leg)
        return True

    def leave(self, leg: "TcpLeg") -> None:
        """Counts it out."""
        self._legs.discard(leg)
        peer = self._by_address.pop(leg.name, None)
        if peer is not None:
            peer.agent.drop(leg.name)

    def sweep(self, now: float) -> None:
        """Closes TCP connections that belong to no session. To be called every second or so."""
        for leg in list(self._legs):
            if leg.name not in self._by_address and now - leg.opened_at > _TCP_UNKNOWN_S:
                leg.abort()


class TcpLeg(asyncio.Protocol):
    """One TCP connection: packets behind 16-bit lengths (RFC 4571)."""

    _transport: asyncio.Transport

    def __init__(self, port: MediaPort) -> None:
        self.name: Address = (self,)
        self.opened_at = time.monotonic()
        self._port = port
        self._buffer = b""
        self._mapped = ("0.0.0.0", 0)  # noqa: S104 - a value to be replaced, not bound

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its type
        self._mapped = client_of(transport.get_extra_info("peername"))
        if not self._port.enter(self):
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data
        at, now = 0, time.monotonic()
        while at + 2 <= len(buffer):
            end = at + 2 + (buffer[at] << 8 | buffer[at + 1])
            if end - at > _MOST_BYTES:
                self._transport.abort()
                return
            if end > len(buffer):
                break
            self._port.receive(buffer[at + 2 : end], self.name, self._mapped, now)
            at = end
        self._buffer = buffer[at:]

    def connection_lost(self, exc: Exception | None) -> None:
        _ = exc
        self._port.leave(self)

    def send(self, datagram: bytes) -> None:
        """Sends, or drops when the peer does not keep up."""
        if not self._transport.is_closing() and self._transport.get_write_buffer_size() < _TCP_BEHIND:
            self._transport.write(len(datagram).to_bytes(2, "big") + datagram)

    def abort(self) -> None:
        """Closes at once."""
        self._transport.abort()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            made.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        with contextlib.suppress(OSError):  # beyond the system's limit only for who administers the network
            made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        made.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise ConfigError(f"UDP port {port} for WebRTC cannot be opened: {error}") from error
    made.setblocking(False)
    return made
