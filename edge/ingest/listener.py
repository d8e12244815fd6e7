"""The RTMP sockets: a thin shell that moves bytes between a transport and its RtmpConnection."""

import asyncio
import ssl
from collections import Counter
from typing import Protocol, cast

from appliance.runtime.clock import now_us
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter, gauge
from edge.protocols.rtmp import (
    AudioData,
    Closed,
    Connected,
    Event,
    Metadata,
    PublishRequested,
    Quirk,
    RtmpConnection,
    RtmpLimits,
    Unpublished,
    VideoData,
)

_TICK_S = 0.5
_CLOSE_S = 2.0

_CONNECTIONS = gauge("nearcast_ingest_connections", "RTMP connections.")
_RECEIVED = counter("nearcast_ingest_received_bytes_total", "Bytes received from encoders.")
_QUIRKS = counter("nearcast_ingest_quirks_total", "Protocol errors of encoders that were tolerated.", ["kind"])
_CLOSED = counter("nearcast_ingest_closed_total", "RTMP connections ended, by reason.", ["code"])
_PAUSES = counter("nearcast_ingest_pauses_total", "Times a publisher was slowed down.")


class Sink(Protocol):
    """Where an accepted publisher's events go."""

    queued_bytes: int

    def offer(self, event: Event, now_us: int) -> None:
        """Takes a media or metadata event."""

    def end(self, reason: str, *, clean: bool = False) -> None:
        """The publisher is gone."""


class Gate(Protocol):
    """What decides about publishers and back-pressure."""

    def admit(self, connection: "RtmpSocket", request: PublishRequested, encoder: str) -> Sink | None:
        """The sink of an accepted publisher; None after calling `connection.refuse`."""

    def is_full(self, sink: Sink | None) -> bool:
        """Whether no more bytes should be read now."""


class RtmpSocket(asyncio.Protocol):
    """One connection. All methods run on the loop."""

    def __init__(self, owner: "RtmpListener", gate: Gate, limits: RtmpLimits) -> None:
        self._owner = owner
        self._gate = gate
        self._loop = asyncio.get_running_loop()
        self._core = RtmpConnection(self._loop.time(), limits)
        self._transport: asyncio.Transport | None = None
        self._sink: Sink | None = None
        self._encoder = ""
        self._paused = False
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        opened = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self._transport = opened
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]) if peer else ""
        if not self._owner.enter(self):
            opened.abort()

    def data_received(self, data: bytes) -> None:
        _RECEIVED.inc(len(data))
        self._core.receive_data(data, self._loop.time())
        self._pump()
        if not self._paused and self._gate.is_full(self._sink):
            self._pause()

    def eof_received(self) -> bool:
        self._core.receive_eof()
        self._pump()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        _ = exc
        self._core.receive_eof()
        self._pump()
        self._owner.leave(self)

    def accept(self) -> None:
        """The gate lets the publisher in."""
        self._core.accept_publish(self._loop.time())

    def refuse(self, code: str, text: str, *, bad_name: bool = True) -> None:
        """The gate does not; the encoder shows the text."""
        self._core.refuse_publish(code, text, bad_name=bad_name)

    def close(self, code: str, text: str) -> None:
        """Ends the connection from this side."""
        self._core.end(code, text)
        self._loop.call_soon(self._pump)

    def tick(self) -> None:
        """Deadlines, and the end of back-pressure. Time spent paused is not the publisher's."""
        if not self._paused:
            self._core.handle_timeout(self._loop.time())
            self._pump()
        elif not self._gate.is_full(self._sink) and self._transport is not None:
            self._paused = False
            self._core.refresh(self._loop.time())
            self._transport.resume_reading()

    def _pause(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._paused = True
            _PAUSES.inc()
            self._transport.pause_reading()

    def _pump(self) -> None:
        """Events to the sink, bytes to the peer."""
        arrived_us = now_us()
        for event in self._core.events():
            self._event(event, arrived_us)
        data = self._core.data_to_send()
        if self._transport is None or self._transport.is_closing():
            return
        if data:
            self._transport.write(data)
        if self._core.closed:
            self._transport.close()
            self._loop.call_later(_CLOSE_S, self._transport.abort)

    def _event(self, event: Event, arrived_us: int) -> None:
        if isinstance(event, VideoData | AudioData | Metadata):
            if self._sink is not None:
                self._sink.offer(event, arrived_us)
        elif isinstance(event, Connected):
            self._encoder = event.encoder
        elif isinstance(event, PublishRequested):
            self._sink = self._gate.admit(self, event, self._encoder)
        elif isinstance(event, Quirk):
            _QUIRKS.labels(event.kind).inc()
        elif isinstance(event, Unpublished):
            self._leave("the encoder stopped", clean=True)
        elif isinstance(event, Closed):
            self._closed(event)

    def _closed(self, event: Closed) -> None:
        self._leave(event.reason, clean=False)
        if not self._core.is_probe:
            _CLOSED.labels(event.code).inc()
            self._owner.log.info("connection_closed", code=event.code, reason=event.reason, peer=self.address)

    def _leave(self, reason: str, *, clean: bool) -> None:
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.end(reason, clean=clean)


class RtmpListener:
    """Accepts connections, with limits in all and per address."""

    def __init__(self, gate: Gate, limits: RtmpLimits, *, connections: int, per_address: int) -> None:
        self.log = get_logger("ingest.listener")
        self._gate = gate
        self._limits = limits
        self._connections = connections
        self._per_address = per_address
        self._sockets: set[RtmpSocket] = set()
        self._addresses: Counter[str] = Counter()
        self._servers: list[asyncio.Server] = []

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Opens a port and returns its number (the chosen one when `port` is 0)."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._new, host, port, ssl=tls, reuse_port=bool(port))
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def run(self) -> None:
        """Keeps the connections' deadlines, until cancelled."""
        while True:
            await asyncio.sleep(_TICK_S)
            for socket in list(self._sockets):
                socket.tick()

    def stop_accepting(self) -> None:
        """No new connections."""
        for server in self._servers:
            server.close()

    def close_all(self, code: str, text: str) -> None:
        """Ends every connection."""
        for socket in list(self._sockets):
            socket.close(code, text)

    def enter(self, socket: RtmpSocket) -> bool:
        """Counts a connection in; False when there are too many."""
        _CONNECTIONS.inc()
        self._sockets.add(socket)
        self._addresses[socket.address] += 1
        too_many = len(self._sockets) > self._connections
        if too_many or self._addresses[socket.address] > self._per_address:
            _CLOSED.labels("too_many").inc()
            return False
        return True

    def leave(self, socket: RtmpSocket) -> None:
        """Counts it out."""
        if socket not in self._sockets:
            return
        _CONNECTIONS.dec()
        self._sockets.discard(socket)
        self._addresses[socket.address] -= 1
        if not self._addresses[socket.address]:
            del self._addresses[socket.address]

    def _new(self) -> RtmpSocket:
        return RtmpSocket(self, self._gate, self._limits)
