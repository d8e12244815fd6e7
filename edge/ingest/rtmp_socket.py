"""One RTMP connection: a thin shell that moves bytes between a transport and its RtmpConnection."""

import asyncio
import contextlib
import socket
import struct
from typing import Final, Protocol, cast

from appliance.runtime.clock import now_us
from appliance.runtime.listening import client_of
from appliance.runtime.metrics import Tally, counter
from edge.ingest.publisher import MOST_COLLECTED, Gate, LinkFigures, Sink, Target
from edge.protocols.rtmp import (
    AudioData,
    Closed,
    Connected,
    Cue,
    Event,
    Metadata,
    PublishRequested,
    Quirk,
    RtmpConnection,
    RtmpLimits,
    Unpublished,
    VideoData,
)

_CLOSE_S: Final = 2.0
_PAUSE_S = 30.0  # back-pressure for longer than that: another connection may fare better
_EARLY: Final = 1000  # media messages of encoders that do not wait for the answer to publish
_WORTH_WAITING: Final = 4096  # bytes of a message that are waited for
_AT_ONCE: Final = 1 << 16
_READ: Final = 1 << 17
_LOOK_TWICE: Final = 16  # each so many looks at a socket whether more comes when what was there is read
_UNSENT = 1 << 18  # bytes of answers that the peer does not read
_HELD: Final = 1 << 18  # bytes that may lie between socket and protocol; more stay in the socket
_SO_TIMESTAMPNS: Final = 35  # not in the socket module
_TIMESPEC: Final = struct.Struct("@ll")
_ANCILLARY: Final = socket.CMSG_SPACE(_TIMESPEC.size)
_TCP_INFO_SIZE: Final = 104  # of struct tcp_info, tcp(7)
_TCP_INFO_RTT: Final = 68  # where tcpi_rtt lies in it, microseconds

RECEIVED: Final = Tally(counter("nearcast_ingest_received_bytes_total", "Bytes received from encoders."))
_QUIRKS: Final = counter(
    "nearcast_ingest_quirks_total", "Protocol errors of encoders that were tolerated.", ["kind"]
)
_PAUSES: Final = counter("nearcast_ingest_pauses_total", "Times a publisher was slowed down.")


class Owner(Protocol):
    """The listener that a connection belongs to."""

    def enter(self, connection: "RtmpSocket") -> bool:
        """Counts it in; False when there are too many."""

    def leave(self, connection: "RtmpSocket") -> None:
        """Counts it out."""

    def published(self, connection: "RtmpSocket") -> None:
        """It has a good key."""

    def ended(self, connection: "RtmpSocket", event: Closed) -> None:
        """The protocol is over, for the reason given."""


class RtmpSocket(asyncio.Protocol):
    """A Publisher. All methods run on the loop."""

    def __init__(self, owner: Owner, gate: Gate, limits: RtmpLimits, *, kind: str, address: str = "") -> None:
        """`address` of the client where a balancer stands between, else the transport's is taken."""
        self.kind = kind
        self.address = address
        self.encoder = ""
        self.received_bytes = 0
        self._owner = owner
        self._gate = gate
        self._loop = asyncio.get_running_loop()
        self._core = RtmpConnection(self._loop.time(), limits)
        self._transport: asyncio.Transport | None = None
        self._sink: Sink | None = None
        self._early: list[tuple[Event, int]] = []
        self._paused = False
        self._paused_at = 0.0
        self._low_water = 1
        self._held: socket.socket | None = None  # the transport's socket, while it is read here
        self._lying: list[tuple[bytes, int]] = []  # what was taken off it and when it came, _HELD bytes at most
        self._lying_bytes = 0
        self._lying_ends = False
        self._looks = 0
        self._trickles = True  # a read sets free what the next one finds

    # --- the transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        opened = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        self._transport = opened
        self.address = self.address or client_of(transport.get_extra_info("peername"))[0]
        if not self._owner.enter(self):
            opened.abort()

    def data_received(self, data: bytes) -> None:
        self._receive(data, now_us())
        if self._core.missing > _WORTH_WAITING or self._low_water > 1:
            self._wait_for(self._core.missing)

    def _receive(self, data: bytes, arrived_us: int) -> None:
        self.received_bytes += len(data)
        RECEIVED.add(len(data))
        self._core.receive_data(data, self._loop.time())
        self._pump(arrived_us)
        if not self._paused and self._gate.is_full(self._sink):
            self._pause()

    def _wait_for(self, missing: int) -> None:
        """Has the kernel wake this process when the rest of a large message is there, not for each packet of it.

        Of a stream of 6 Mbit/s that comes over a line of 10 Mbit/s it saves half the processor's time. In TLS
        the bytes on the wire are others.
        """
        low_water = min(missing, _AT_ONCE) if missing > _WORTH_WAITING else 1
        if low_water != self._low_water and self.kind == "rtmp":
            self._low_water = low_water
            wire = self._transport.get_extra_info("socket") if self._transport is not None else None
            if wire is not None:
                with contextlib.suppress(OSError):  # it has gone
                    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, low_water)

    def eof_received(self) -> bool:
        self._core.receive_eof()
        self._pump()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        _ = exc
        self.release()
        self._core.receive_eof()
        self._pump()
        self._owner.leave(self)

    # --- the gate's calls

    @property
    def closed(self) -> bool:
        """Whether it has gone."""
        return self._core.closed

    @property
    def is_probe(self) -> bool:
        """Whether nothing was ever said, as load balancers do."""
        return self._core.is_probe

    def accept(self, sink: Sink) -> None:
        """It may publish: what it sent already and what comes goes to `sink`."""
        self._sink = sink
        self._owner.published(self)
        self._core.accept_publish(self._loop.time())
        early, self._early = self._early, []
        for event, arrived_us in early:
            sink.offer(event, arrived_us)
        self._loop.call_soon(self._pump)

    def refuse(self, code: str, text: str) -> None:
        """It may not; the encoder shows the text."""
        self._core.refuse_publish(code, text)
        self._loop.call_soon(self._pump)

    def close(self, code: str, text: str) -> None:
        """Ends the connection from this side."""
        self.read()  # with bytes left unread the kernel would reset it before the peer has read why
        self.release()
        self._core.end(code, text)
        self._loop.call_soon(self._pump)

    def drop(self) -> None:
        """Makes place for another connection, before it published anything."""
        self._core.end("too_many", "too many connections that publish nothing")
        self._pump()
        if self._transport is not None:
            self._transport.abort()

    def move(self, url: str, text: str) -> bool:
        """Asks the encoder to connect again (Enhanced RTMP v2, "Reconnect Request")."""
        asked = self._core.request_reconnect(url, text)
        if asked:
            self._loop.call_soon(self._pump)
        return asked

    def figures(self) -> LinkFigures:
        """The round trip as the kernel has measured it."""
        wire = self._transport.get_extra_info("socket") if self._transport is not None else None
        if wire is None or wire.family == socket.AF_UNIX:
            return LinkFigures()
        try:
            info = wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_SIZE)
        except (OSError, ValueError):  # it has gone
            return LinkFigures()
        if len(info) < _TCP_INFO_SIZE:
            return LinkFigures()
        return LinkFigures(rtt_ms=struct.unpack_from("=I", info, _TCP_INFO_RTT)[0] / 1000)

    # --- read by its session

    def hold(self) -> None:
        """See Publisher. To be woken for each frame of each encoder costs more than to look at what came."""
        wire = self._transport.get_extra_info("socket") if self._transport is not None else None
        if wire is None or self.kind != "rtmp" or self._held is not None or self._core.closed:
            return
        self._wait_for(0)
        with contextlib.suppress(OSError):
            wire.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._held = socket.socket(wire.family, wire.type, wire.proto, wire.fileno())
        self._held.setblocking(False)
        self._lying_ends = False
        if not self._paused and self._transport is not None:
            self._transport.pause_reading()

    def collect(self) -> int:
        """See Publisher. Where what the first read acknowledges sets more free, it goes on until there is nothing.

        An encoder without TCP_NODELAY has one small packet under way at a time. The kernel acknowledges it when it
        is read, or 40 ms later. Frames arrived when the kernel says that the last of those read with them did.
        """
        held = self._held
        if held is None or self._paused or self._lying_ends:
            return 0
        self._looks += 1
        goes_on = self._trickles or self._looks % _LOOK_TWICE == 0
        before = len(self._lying)
        try:
            while self._lying_bytes < _HELD:
                data, ancillary, _, _ = held.recvmsg(_READ, _ANCILLARY)
                if not data:
                    self._lying_ends = True
                    break
                self._lying.append((data, _arrived_us(ancillary)))
                self._lying_bytes += len(data)
                if len(data) < _READ and not goes_on:
                    break
        except BlockingIOError:
            if pieces := len(self._lying) - before:
                self._trickles = pieces > 1
        except OSError:
            self._lying_ends = True
        return MOST_COLLECTED if self._lying_ends else self._lying_bytes

    def read(self) -> None:
        """See Publisher."""
        self.collect()
        self._read_lying()
        if self._lying_ends:
            self.release()  # the transport finds the end by itself

    def _read_lying(self) -> None:
        lying, self._lying = self._lying, []
        self._lying_bytes = 0
        for data, arrived_us in lying:
            self._receive(data, arrived_us)

    def release(self) -> None:
        """See Publisher."""
        held, self._held = self._held, None
        if held is None:
            return
        held.detach()
        self._read_lying()
        if self._transport is not None and not self._transport.is_closing() and not self._paused:
            self._transport.resume_reading()

    # --- time

    def tick(self) -> None:
        """Deadlines, and the end of back-pressure. Time spent paused is not the publisher's."""
        if not self._paused:
            if self._held is None:
                self._wait_for(0)  # what comes slowly is to be seen too
            self.read()  # the log may have no ticks for a while: what comes then is kept here
            self._core.handle_timeout(self._loop.time())
            self._pump()
        elif self._loop.time() - self._paused_at > _PAUSE_S:
            self._core.end("log_away", "the media log has not taken anything for too long; connect again")
            self._pump()
        elif not self._gate.is_full(self._sink) and self._transport is not None:
            self._paused = False
            self._core.refresh(self._loop.time())
            if self._held is None:
                self._transport.resume_reading()

    def _pause(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._paused = True
            self._paused_at = self._loop.time()
            _PAUSES.inc()
            if self._held is None:
                self._transport.pause_reading()

    # --- events

    def _pump(self, arrived_us: int = 0) -> None:
        """Events to the sink, bytes to the peer."""
        arrived_us = arrived_us or now_us()
        for event in self._core.events():
            self._event(event, arrived_us)
        if self._core.has_nothing_to_say:
            return
        data = self._core.data_to_send()
        if self._transport is None or self._transport.is_closing():
            return
        if data:
            self._transport.write(data)
        if self._transport.get_write_buffer_size() > _UNSENT and not self._core.closed:
            self._core.end("deaf", "the encoder asks and does not read the answers")
            self._pump()
            self._transport.abort()
            return
        if self._core.closed:
            self._transport.close()
            self._loop.call_later(_CLOSE_S, self._transport.abort)

    def _event(self, event: Event, arrived_us: int) -> None:
        if isinstance(event, (VideoData, AudioData, Metadata, Cue)):
            if self._sink is not None:
                self._sink.offer(event, arrived_us)
            elif len(self._early) < _EARLY:
                self._early.append((event, arrived_us))
        elif isinstance(event, Connected):
            self.encoder = event.encoder
        elif isinstance(event, PublishRequested):
            self._gate.admit(self, Target(event.key, event.params))
        elif isinstance(event, Quirk):
            _QUIRKS.labels(event.kind).inc()
        elif isinstance(event, Unpublished):
            self._leave("the encoder stopped", clean=True)
        elif isinstance(event, Closed):
            self._leave(event.reason, clean=False)
            self._owner.ended(self, event)

    def _leave(self, reason: str, *, clean: bool) -> None:
        self._early.clear()
        self.release()
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.end(reason, clean=clean)


def _arrived_us(ancillary: list[tuple[int, int, bytes]]) -> int:
    """When the last of what was read had come, Unix microseconds; the present where the kernel does not say."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            return int(seconds) * 1_000_000 + int(nanoseconds) // 1000
    return now_us()
