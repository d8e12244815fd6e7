"""An open WebSocket of the gateway: its transport, its frames, its pings, and how it ends."""

import abc
import asyncio
import random
from typing import Protocol

from appliance.contracts.chat import MAX_FRAME_BYTES, CloseCode
from edge.chat.audience import Reader
from edge.chat.config import ChatConfig
from edge.chat.crowd import Entry
from edge.chat.dialect import PACKED
from edge.chat.limits import Budget
from edge.chat.metrics import Tally
from edge.chat.room import Room
from edge.protocols.websocket.connection import Binary, Closed, Event, Failed, Ping, Pong, ServerConnection, Text
from edge.protocols.websocket.deflate import SHARED_WINDOW_BITS, Deflate

_BURST_S = 4.0
_BUFFERED = 512 * 1024  # frames of its own that a client may leave unread
_POLICY = 1008
NEVER = float("inf")


class Host(Protocol):
    """What owns connections."""

    config: ChatConfig
    tally: Tally

    def now(self) -> float:
        """Monotonic seconds."""

    def remind(self, connection: "Connection", at: float) -> None:
        """Calls `connection.check` at that time, or earlier."""

    def lost(self, connection: "Connection") -> None:
        """The connection is no more."""


class Connection(Reader, asyncio.Protocol):
    """States: open, closing (our close frame is out), closed. `paused`: the socket takes no more.

    `opening`, the handshake's answer, is written together with the first frame: that must come at once.
    The transport's high-water mark is 0, so that it says at the first unsent byte that its socket is full.
    """

    __slots__ = (
        "_bytes", "_closing_at", "_frames", "_host", "_opening", "_paused_at", "_ping_at", "_pong_by", "_room",
        "_transport", "_ws", "address", "closed", "due", "entry",
    )  # fmt: skip

    def __init__(
        self,
        host: Host,
        transport: asyncio.Transport,
        address: str,
        entry: Entry,
        deflate: Deflate | None,
        opening: bytes = b"",
        max_message: int = MAX_FRAME_BYTES,
    ) -> None:
        super().__init__()
        config, now = host.config, host.now()
        self.address = address
        self.entry = entry
        self.closed = False
        self.due = 0  # of the wheel
        if deflate is not None and deflate.window_bits >= SHARED_WINDOW_BITS:
            self.dialect = PACKED
        self.fd = transport.get_extra_info("socket").fileno()
        self._host = host
        self._transport = transport
        self._ws = ServerConnection(max_message, deflate=deflate is not None)
        self._room: Room | None = None
        self._opening = opening
        self._bytes: Budget | None = None  # what it may say; most say nothing
        self._frames: Budget | None = None
        self._paused_at = NEVER
        self._closing_at = NEVER
        self._pong_by = NEVER
        self._ping_at = now + config.ping_s * (0.5 + random.random() / 2)  # noqa: S311 - spreads the pings
        host.remind(self, self._ping_at)

    @property
    def ending(self) -> bool:
        """Whether nothing more is to be said to it."""
        return self.closed or self._closing_at != NEVER

    # -- for subclasses

    @abc.abstractmethod
    def take_text(self, text: str) -> None:
        """The client said something; not called when it is ending."""

    def take_binary(self, data: bytes) -> None:  # noqa: ARG002 - for those who speak it
        """The client said something that is no text."""
        self.close(CloseCode.UNSUPPORTED_DATA, "only text is spoken here")

    def leave(self) -> None:
        """Takes part in nothing any more; may be called more than once."""
        room, self._room = self._room, None
        if room is not None:
            room.leave(self)

    # -- the transport's calls

    def data_received(self, data: bytes) -> None:
        before = self._ws.frames
        events = self._ws.receive_data(data)
        if not self._may_say(len(data), self._ws.frames - before) and not self.ending:
            self._host.tally.events["too_fast"] += 1
            self.close(_POLICY, "too fast")
        for event in events:
            if not self.closed:
                self._take(event)
        self._flush()

    def _may_say(self, size: int, frames: int) -> bool:
        config, now = self._host.config, self._host.now()
        if self._bytes is None or self._frames is None:
            self._bytes = Budget(config.bytes_per_s, config.bytes_per_s * _BURST_S, now)
            self._frames = Budget(config.frames_per_s, config.frames_per_s * _BURST_S, now)
        return self._bytes.spend(size, now) & self._frames.spend(frames, now)

    def pause_writing(self) -> None:
        self.paused = True
        self._paused_at = self._host.now()
        self._host.remind(self, self._paused_at + self._host.config.slow_s)
        if self._room is not None:
            self._room.lag(self)

    def resume_writing(self) -> None:
        self.paused = False
        self._paused_at = NEVER
        if self._room is not None:
            self._room.go_on(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        self.leave()
        self.closed = True
        self._host.lost(self)

    def _take(self, event: Event) -> None:
        if isinstance(event, Text):
            if not self.ending:
                self.take_text(event.text)
        elif isinstance(event, Ping):
            self.write(event.pong)
        elif isinstance(event, Pong):
            self._pong_by = NEVER
        elif isinstance(event, Binary):
            if not self.ending:
                self.take_binary(event.data)
        elif isinstance(event, Closed):
            self._finish()
        else:
            self._failed(event)

    # -- writing and ending

    def write(self, data: bytes | memoryview) -> None:
        """Sends whole frames. A client that leaves too many of its own unread is cut."""
        if self.ending:
            return
        if self.paused and self._transport.get_write_buffer_size() > _BUFFERED:
            self._cut()
            return
        self._emit(data)

    def spill(self, data: bytes | memoryview) -> None:
        """See Reader."""
        self._transport.write(data)

    def _flush(self) -> None:
        data = self._ws.data_to_send()
        if data and not self.closed:
            self._emit(data)

    def _emit(self, data: bytes | memoryview) -> None:
        if self._opening:
            data, self._opening = self._opening + bytes(data), b""
        self._transport.write(data)

    def close(self, code: int, reason: str = "") -> None:
        """Sends a close frame; the connection ends with the client's answer, or soon without it."""
        if self.ending:
            return
        self.leave()
        self._host.tally.closed[int(code)] += 1
        self._ws.send_close(code, reason)
        self._flush()
        self._end_soon()

    def _failed(self, event: Failed) -> None:
        """The core has its close frame ready; what the client still sends is read away, so that it can see it."""
        self.leave()
        self._host.tally.closed[event.code] += 1
        self._flush()
        self._transport.write_eof()
        self._end_soon()

    def _finish(self) -> None:
        self.leave()
        self._flush()
        self.closed = True
        self._transport.close()
        self._end_soon()

    def _end_soon(self) -> None:
        self._closing_at = min(self._closing_at, self._host.now() + self._host.config.close_s)
        self._host.remind(self, self._closing_at)

    def send_elsewhere(self, jitter_s: float) -> None:
        """This process leaves: the client is to come back after that time."""
        self.close(CloseCode.DRAINING, f"retry_after={jitter_s:.1f}")

    def abort(self) -> None:
        """Ends the connection at once."""
        self._transport.abort()

    def _cut(self) -> None:
        self._host.tally.events["slow_cut"] += 1
        self.close(CloseCode.TOO_SLOW, "too slow")

    # -- time

    def check(self, now: float) -> float:
        """Does what is due; when to be called next."""
        if now >= self._closing_at:
            self._transport.abort()
            return NEVER
        if self._closing_at != NEVER:
            return self._closing_at
        config = self._host.config
        if now >= self._paused_at + config.slow_s:
            self._cut()
        elif now >= self._pong_by:
            self._host.tally.events["pong_timeout"] += 1
            self.close(CloseCode.GOING_AWAY, "no pong")
        elif now >= self._ping_at and not self.paused:
            self._ping_at = now + config.ping_s
            self._pong_by = now + config.pong_s
            self._ws.send_ping()
            self._flush()
        return min(self._closing_at, self._paused_at + config.slow_s, self._pong_by, self._ping_at)
