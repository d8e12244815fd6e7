"""One viewer connection that speaks HTTP/2: many requests at a time, bounded in bytes, number and time."""

import asyncio
from typing import TYPE_CHECKING, cast

from appliance.runtime.listening import client_of
from edge.origin.exchange import Exchange, StreamRelay, with_length
from edge.origin.responses import FULL, Response, error
from edge.origin.shortcuts import Shortcut
from edge.protocols.http.errors import HttpError
from edge.protocols.http.request import RequestHead
from edge.protocols.http2.connection import Connection
from edge.protocols.http2.errors import ErrorCode
from edge.protocols.http2.requests import Head

if TYPE_CHECKING:
    from edge.origin.server import OriginServer

_NEVER = float("inf")
# Bytes of bodies given to the transport at a time, and where it says that it is full: it keeps references of
# what it was given, but TLS gets a copy, which makes whole records.
_BATCH, _HIGH_WATER = 128 * 1024, 256 * 1024
_SECURE_BATCH, _SECURE_HIGH_WATER = 64 * 1024, 16 * 1024
_TURN = 512 * 1024  # in one turn of the loop
_FEW = 16  # pieces that are rather joined than written one by one


class Http2Connection(asyncio.Protocol):
    """Each request is an `Exchange`. A client that does not take bytes is not read either."""

    __slots__ = (
        "_again", "_batch", "_busy_at", "_flushing", "_is_secure", "_moved_at", "_paused", "_refusal", "_sent",
        "_stalled_size", "address", "closed", "core", "port", "server", "stalled_since", "transport", "waiting",
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(self, server: "OriginServer") -> None:
        self.server = server
        self.core: Connection[Exchange] = Connection(server.blocks, self._make, server.now())
        self.address = ""
        self.port = 0
        self.closed = False
        self.stalled_since = _NEVER
        self._stalled_size = 0
        self._is_secure = False
        self._batch = _BATCH
        self._paused = False
        self._again = False
        self._flushing = False
        self._refusal: Response | None = None
        self._busy_at = self._moved_at = server.now()
        self._sent = 0
        self.waiting: set[StreamRelay] = set()  # whose client has to take bytes first

    def _make(self, number: int, head: Head, window: int) -> Exchange:
        return Exchange(number, head, window, self)

    # -- the transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by its type
        self._is_secure = transport.get_extra_info("ssl_object") is not None
        self._batch = _SECURE_BATCH if self._is_secure else _BATCH
        self.transport.set_write_buffer_limits(high=_SECURE_HIGH_WATER if self._is_secure else _HIGH_WATER)
        self.address, self.port = client_of(transport.get_extra_info("peername"))
        self.server.opened(self)
        self.flush()

    def data_received(self, data: bytes) -> None:
        if self.closed:
            return
        core = self.core
        now = self.server.now()
        core.receive_data(data, now)
        self._busy_at = now
        self._flushing = True  # answers given at once leave together
        if core.ended:
            self._settle()
        if core.requests:
            requests, core.requests = core.requests, []
            for exchange in requests:
                if not exchange.closed:
                    self._serve(exchange)
            if self._refusal is not None:
                core.leave(finally_=True)
        self._flushing = False
        self.flush()
        if self._refusal is not None and not core.streams:
            self._finish()

    def pause_writing(self) -> None:
        self._paused = True
        self.stalled_since = self.server.now()
        self._stalled_size = self.transport.get_write_buffer_size()
        self.core.pause(paused=True)
        if not self.closed:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        self._paused = False
        self.stalled_since = _NEVER
        self.core.pause(paused=False)
        if not self.closed:
            self.transport.resume_reading()
            self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        _ = exc
        self.closed = True
        self.core.close()
        self._settle()
        self.server.lost(self)

    # -- requests

    def _serve(self, exchange: Exchange) -> None:
        head = exchange.head
        if self._refusal is not None:
            self.write(exchange, self._refusal)
        elif isinstance(head, RequestHead) and head.note.value is not None and not exchange.body:
            self._serve_again(exchange, head.note.value)
        elif isinstance(head, RequestHead):
            if exchange.body:
                head = with_length(head, len(exchange.body))
            response = self.server.routes.serve(exchange, head)
            exchange.forget_passage()
            if response is not None:
                self.write(exchange, response)
        elif isinstance(head, HttpError):
            self.server.tally.event("bad_request")
            self.write(exchange, error("request", head.status, head.detail))

    def _serve_again(self, exchange: Exchange, shortcut: Shortcut) -> None:
        shortcut.asked = True
        if shortcut.askers is not None:
            shortcut.askers.add((self.address, self.port))
        if shortcut.response is not None:
            self.write(exchange, shortcut.response)
        elif shortcut.group is not None and self.server.has_room():
            exchange.hold(shortcut.group.add(exchange), self.server.now() + shortcut.seconds)
        else:
            self.write(exchange, FULL)

    def write(self, exchange: Exchange, response: Response) -> None:
        """Answers a request; `flush` sends it."""
        server = self.server
        head_only = exchange.is_head
        self.core.respond(exchange, response.answer(server.date), head_only=head_only)
        server.tally.answered(response.key, 0 if head_only else response.size)

    def begin(self, exchange: Exchange, response: Response) -> None:
        """The head of an answer whose body goes on."""
        self.core.begin(exchange, response.answer(self.server.date).block)
        self.server.tally.answered(response.key, 0)

    def refuse(self, response: Response) -> None:
        """The first requests are answered by this, then the connection ends."""
        self._refusal = response

    def _settle(self) -> None:
        ended, self.core.ended = self.core.ended, []
        for exchange in ended:
            exchange.over()

    # -- writing

    def flush(self) -> None:
        """Writes what is ready, as far as the socket takes it."""
        if self._flushing or self.closed:
            return
        for _ in range(_TURN // self._batch):
            pieces = self.core.take_data(self._batch)
            if not pieces:
                break
            if self._is_secure or len(pieces) < _FEW:
                self.transport.write(b"".join(pieces))
            else:
                self.transport.writelines(pieces)
            if self._paused or not self.core.is_pending:
                break
        else:
            self._call_again()
        if self.core.ended:
            self._settle()
        if self.waiting:
            for relay in list(self.waiting):
                relay.go_on()
        if self.core.dead:
            self._finish()

    def _call_again(self) -> None:
        if not self._again:
            self._again = True
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._again = False
        self.flush()

    def _finish(self) -> None:
        """Closes when what was written is out, or is cut as stalled."""
        if self.closed:
            return
        self.closed = True
        self.core.close()
        self._settle()
        size = self.transport.get_write_buffer_size()
        if size:
            self.stalled_since, self._stalled_size = min(self.stalled_since, self.server.now()), size
        self.transport.close()

    # -- time

    def check(self, now: float) -> str:
        """Called once a second. The reason for which the connection must be cut, or nothing."""
        config = self.server.config
        if now >= self.stalled_since:
            size = self.transport.get_write_buffer_size()
            if size < self._stalled_size:
                self._stalled_size, self.stalled_since = size, now
            elif now - self.stalled_since >= config.stall_s:
                return "stalled_cut"
        if self.closed:
            return ""
        for exchange in list(self.core.streams.values()):
            self._check(exchange, now)
        self.flush()
        if now - self.core.partial_since >= config.head_s:
            return "head_timeout"
        if self.core.sent != self._sent or not self.core.is_pending:
            self._sent, self._moved_at = self.core.sent, now
        elif now - self._moved_at >= config.stall_s:  # the socket takes bytes, but the windows stay closed
            return "stalled_cut"
        if self.core.streams:
            self._busy_at = now
        return "idle_cut" if now - self._busy_at >= config.idle_connection_s else ""

    def _check(self, exchange: Exchange, now: float) -> None:
        config = self.server.config
        if exchange.incoming is not None and now - exchange.incoming.started_at >= config.head_s:
            self.server.tally.event("head_timeout")
            self.core.reset(exchange, ErrorCode.CANCEL)
        elif exchange.relay is not None:
            exchange.relay.check(now)

    def drain(self) -> None:
        """Asks the client to open no more streams here."""
        if not self.closed:
            self.core.leave(finally_=False)
            self.flush()
