"""One viewer connection: requests in order, one answer at a time, bounded in bytes and in time."""

import asyncio
import os
from typing import TYPE_CHECKING, cast

from appliance.runtime.listening import client_of
from edge.origin.bodies import awaits_body
from edge.origin.held import Release
from edge.origin.http2 import Http2Connection
from edge.origin.responses import FULL, Response, error
from edge.origin.shortcuts import Asker, Shortcut
from edge.protocols.http.errors import HttpError, OtherVersionError
from edge.protocols.http.request import RequestHead, RequestReader
from edge.protocols.http2.frames import PREFACE

if TYPE_CHECKING:
    from edge.origin.server import OriginServer

_AHEAD = 16 * 1024  # bytes a client may send while it waits for an answer
_PREFACE_HEAD = PREFACE[: -len(b"SM\r\n\r\n")]  # what reads as the head of a request
_LINGER_S = 2.0
_NEVER = float("inf")


class ViewerConnection(asyncio.Protocol):
    """States: reading a request; holding one; writing (the client is slow); streaming events; closed.

    While it holds, writes or streams, further requests stay unread in a bounded buffer.
    """

    __slots__ = (
        "_asker", "_fd", "_head_only", "_keep", "_paused", "_pumping", "_quiet", "_reader", "_reading", "_release",
        "_served", "_stalled_size", "_unread", "closed", "deadline", "held_until", "server", "stalled_since",
        "streaming", "transport",
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(self, server: "OriginServer") -> None:
        self.server = server
        self._reader = RequestReader(server.memo)
        self._release: Release | None = None
        self._fd = -1  # of the socket, once a request was held
        self._served = False
        self._unread: RequestHead | None = None  # its body is still to come
        self._head_only = False
        self._keep = True
        self._quiet = True  # nothing is on its way in either direction: the next byte begins a request
        self._paused = False
        self._pumping = False
        self._reading = True
        self._stalled_size = 0
        self.stalled_since = _NEVER
        self.held_until = _NEVER
        self.deadline = _NEVER
        self.streaming = False
        self.closed = False
        self._asker: Asker = ("", 0)

    # -- the transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by its type
        self._asker = client_of(transport.get_extra_info("peername"))
        self.deadline = self.server.now() + self.server.config.head_s
        self.server.opened(self)

    def data_received(self, data: bytes) -> None:
        server = self.server
        request = server.memo.whole.get(data)
        if request is None or not self._quiet:
            self._receive(data)
            return
        shortcut = request.note.value
        if shortcut is None:
            self._serve_whole(request)
            return
        response = shortcut.response  # nearly all come so
        if response is None or response.date is not server.date or response.whole is None or not shortcut.keep:
            self._serve_again(shortcut)
            return
        self._served = shortcut.asked = True
        if shortcut.askers is not None:
            shortcut.askers.add(self._asker)
        self.transport.write(response.whole)
        counts = server.tally.requests[response.key]
        counts[0] += 1
        counts[1] += response.size
        if self._quiet:
            self.deadline = server.idle_until

    def _receive(self, data: bytes) -> None:
        """Takes what is no whole request that is known, or cannot be answered yet."""
        if self.closed:
            return
        self._quiet = False
        try:
            self._reader.receive_data(data)
        except HttpError as failure:
            self._refuse(failure)
            return
        if self._busy:
            if self._reading and self._reader.waiting > _AHEAD:
                self._reading = False
                self.transport.pause_reading()
            return
        self._pump()

    def pause_writing(self) -> None:
        self._paused = True
        self._quiet = False
        self.stalled_since = self.server.now()
        self._stalled_size = self.transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        self._paused = False
        self.stalled_since = _NEVER
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        self._end_service()
        self._let_go()
        self.server.lost(self)

    # -- requests

    @property
    def address(self) -> str:
        """The client's."""
        return self._asker[0]

    @property
    def port(self) -> int:
        """The client's."""
        return self._asker[1]

    @property
    def _busy(self) -> bool:
        return self._paused or self.streaming or self._release is not None

    def _go_on(self) -> None:
        if self.closed or self._busy:
            return
        if not self._reading:
            self._reading = True
            self.transport.resume_reading()
        if self._reader.waiting:
            self._pump()
        else:
            self._await_request()

    def _pump(self) -> None:
        if self._pumping:
            return
        self._pumping = True
        try:
            while not (self.closed or self._paused or self.streaming or self._release is not None):
                request = self._unread or self._reader.next_request()
                self._unread = None
                if request is None:
                    self._await_request()
                    break
                if awaits_body(request, self._reader.waiting):
                    self._unread = request
                    self.deadline = min(self.deadline, self.server.now() + self.server.config.head_s)
                    break
                self._serve(request)
                if not self._reader.waiting:
                    self._await_request()
                    break
        except OtherVersionError as failure:
            self._change_version(failure)
        except HttpError as failure:
            self._refuse(failure)
        finally:
            self._pumping = False

    def _await_request(self) -> None:
        if self.closed or self._busy:
            return
        if not self._reader.waiting:
            self.deadline = self.server.idle_until
            self._quiet = self._reader.is_fresh
        else:  # the first bytes set it; later ones do not move it
            self.deadline = min(self.deadline, self.server.now() + self.server.config.head_s)

    def _serve(self, request: RequestHead) -> None:
        self.deadline = _NEVER
        self._served = True
        self._head_only = request.method == "HEAD"
        self._keep = request.keep_alive and not request.headers.chunked
        response = self.server.routes.serve(self, request)
        if response is not None:
            self._write(response)

    def _serve_whole(self, request: RequestHead) -> None:
        """Serves what came in one piece, with nothing before it."""
        self._quiet = False
        self._serve(request)
        if self._release is None:
            self._await_request()

    def _serve_again(self, shortcut: Shortcut) -> None:
        """Answers what was answered to others since the last update, or waits with them."""
        server = self.server
        self._quiet = self._head_only = False
        self._served = shortcut.asked = True
        self._keep = shortcut.keep
        if shortcut.askers is not None:
            shortcut.askers.add(self._asker)
        if shortcut.group is not None and server.has_room():
            self.deadline = _NEVER
            self.hold(shortcut.group.add(self), server.ticked + shortcut.seconds)
            return
        self._write(shortcut.response or FULL)
        self._await_request()

    @property
    def rest(self) -> bytes:
        """What came after the head of the request being served."""
        return self._reader.rest

    def has_room(self) -> bool:
        """Whether this process may hold one more request."""
        return self.server.has_room()

    def hold(self, release: Release, until: float) -> None:
        """The request being served waits; `release` takes it off its list."""
        self._release = release
        self.held_until = until
        self.server.held.add(self)

    def claim(self) -> None:
        """An answer is on its way in a later turn of the loop: the request's time cannot run out any more."""
        self.held_until = _NEVER

    def answer(self, response: Response) -> None:
        """Answers the held request and goes on; nothing when it was answered or the client has left."""
        if self.closed or self._release is None:
            return
        self._let_go()
        self._write(response)
        self._go_on()

    # -- answers past the transport

    def bare(self) -> int:
        """The socket's descriptor, when the held request may be answered by writing to it; else -1.

        The transport has nothing to write, so that the order of bytes is kept. The descriptor is good until
        control goes back to the loop.
        """
        if self.closed or self._release is None or self._head_only or not self._keep or self.transport.is_closing():
            return -1
        if self.transport.get_write_buffer_size():
            return -1
        if self._fd < 0:
            found = self.transport.get_extra_info("socket")
            self._fd = found.fileno() if found is not None else -1
        return self._fd

    def bytes_of(self, response: Response) -> bytes:
        """All of an answer."""
        pieces = response.wire(self.server.date)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def spill(self, data: bytes) -> None:
        """The rest of an answer, which the socket did not take."""
        self.transport.write(data)

    def answered(self) -> None:
        """The answer to the held request has gone out, to all who waited with it: nobody is to be told."""
        self._release = None
        self.held_until = _NEVER
        reader = self._reader
        if reader.rest or reader.skipped or self._paused or not self._reading:
            self._go_on()
        else:  # as `_await_request` does: thousands are answered at once
            self.deadline = self.server.idle_until
            self._quiet = True

    def _let_go(self) -> None:
        if self._release is not None:
            self._release(self)
            self._release = None
            self.held_until = _NEVER
            self.server.held.discard(self)

    def _write(self, response: Response) -> None:
        server = self.server
        if self._head_only:
            self.transport.write(response.head(server.date))
            server.tally.answered(response.key, 0)
        else:
            pieces = response.wire(server.date)
            if len(pieces) == 1:
                self.transport.write(pieces[0])
            else:
                self.transport.writelines(pieces)
            server.tally.answered(response.key, response.size)
        if response.close:
            self._linger()
        elif not self._keep:
            self._finish()

    def _refuse(self, failure: HttpError) -> None:
        self.server.tally.event("bad_request")
        if self._busy:  # an earlier request has no answer yet, so this one cannot have one
            self.transport.abort()
            return
        self._head_only = False
        self._write(error("request", failure.status, failure.detail, close=True))

    def _change_version(self, failure: HttpError) -> None:
        """Goes on in HTTP/2 when that is what the connection began with."""
        if self._served:
            self._refuse(failure)
            return
        self._end_service()
        other = Http2Connection(self.server)
        self.transport.set_protocol(other)
        self.server.lost(self)
        other.connection_made(self.transport)
        other.data_received(_PREFACE_HEAD + self._reader.rest)

    def refuse(self, response: Response) -> None:
        """Answers before any request came, and closes."""
        self._write(response)

    def descriptor(self) -> int | None:
        """A second descriptor of the socket; whoever asks closes it. None when bytes are still to be written:
        the new owner must not write between them."""
        found = self.transport.get_extra_info("socket")
        if found is None or found.fileno() < 0 or self.transport.get_write_buffer_size():
            return None
        return os.dup(found.fileno())

    def leave(self) -> None:
        """Closes our descriptor without a shutdown: another process goes on with the connection."""
        self._end_service()
        if self._reading:
            self._reading = False
            self.transport.pause_reading()
        self.transport.abort()

    @property
    def gone(self) -> bool:
        """Whether the client has left."""
        return self.closed

    def _end_service(self) -> None:
        """No request is served any more."""
        self.closed = True
        self._quiet = False

    def _linger(self) -> None:
        """Closes our side and takes what still comes for a moment: a socket closed with bytes unread is reset,
        and the client might never see why (RFC 9112, 9.6)."""
        if not self.transport.can_write_eof():
            self._finish()
            return
        self._end_service()
        self.deadline = self.server.now() + _LINGER_S
        self.transport.write_eof()

    def _finish(self) -> None:
        """Nothing more is read; the connection closes when what was written is out, or is cut as stalled."""
        self._end_service()
        if self.transport.get_write_buffer_size():
            self.stalled_since = min(self.stalled_since, self.server.now())
            self._stalled_size = self.transport.get_write_buffer_size()
        self.transport.close()

    # -- events

    def stream(self, response: Response) -> None:
        """Answers with a body that goes on: the caller sends its pieces with `push`."""
        self._quiet = False
        self._write(response)
        self.streaming = True

    def push(self, data: bytes) -> None:
        """The next piece of a stream; a client that has not taken the last ones misses it."""
        if not self.closed and not self._paused:
            self.transport.write(data)

    def end(self) -> None:
        """Ends a stream."""
        if not self.closed:
            self._finish()

    # -- time

    def check(self, now: float) -> str:
        """Called once a second. The reason for which the connection must be cut, or nothing."""
        if now >= self.stalled_since:
            size = self.transport.get_write_buffer_size()
            if size < self._stalled_size:
                self._stalled_size, self.stalled_since = size, now
            elif now - self.stalled_since >= self.server.config.stall_s:
                return "stalled_cut"
        if now >= self.deadline:
            return "head_timeout" if self._reader.waiting else "idle_cut"
        return ""
