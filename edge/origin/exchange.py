"""One request of HTTP/2 as the routes see it, and its way to another role."""

import asyncio
import dataclasses
import socket
from typing import TYPE_CHECKING

from edge.origin.bodies import BEACON_PATH
from edge.origin.held import Release
from edge.origin.relay import passage
from edge.origin.responses import Response, error
from edge.protocols.http.answers import AnswerReader
from edge.protocols.http.errors import HttpError
from edge.protocols.http.request import RequestHead
from edge.protocols.http2.errors import ErrorCode
from edge.protocols.http2.hpack import encode_fields, encode_status
from edge.protocols.http2.requests import Head
from edge.protocols.http2.stream import Stream

if TYPE_CHECKING:
    from edge.origin.http2 import Http2Connection

_NEVER = float("inf")
_RELAY_S = 60.0  # between two bytes of another role's answer: a long poll takes half of it
_AHEAD = 64 * 1024  # bytes of an answer read before the client took them
_BAD_ANSWER = error("handoff", 502, "What answers here said something odd.")


class Exchange(Stream):
    """Caller of the routes. States: being served, held, streaming, relayed, closed."""

    __slots__ = ("_connection", "_near", "_release", "held_until", "relay")

    def __init__(self, number: int, head: Head, window: int, connection: "Http2Connection") -> None:
        super().__init__(number, head, window)
        self._connection = connection
        self._release: Release | None = None
        self._near: socket.socket | None = None
        self.held_until = _NEVER
        self.relay: StreamRelay | None = None

    @property
    def address(self) -> str:
        """The client's."""
        return self._connection.address

    @property
    def port(self) -> int:
        """The client's."""
        return self._connection.port

    @property
    def rest(self) -> bytes:
        """The body of a report; one for another role follows through its passage."""
        return self.body if isinstance(self.head, RequestHead) and self.head.path == BEACON_PATH else b""

    @property
    def gone(self) -> bool:
        """Whether the client has left, or wants no answer any more."""
        return self.closed

    @property
    def is_head(self) -> bool:
        """Whether only the head of an answer is wanted."""
        return isinstance(self.head, RequestHead) and self.head.method == "HEAD"

    def has_room(self) -> bool:
        """Whether this process may hold one more request."""
        return self._connection.server.has_room()

    def hold(self, release: Release, until: float) -> None:
        """The request waits; `release` takes it off its list."""
        self._release = release
        self.held_until = until
        self._connection.server.held.add(self)

    def claim(self) -> None:
        """An answer comes in a later turn of the loop: time cannot run out any more."""
        self.held_until = _NEVER

    def answer(self, response: Response) -> None:
        """Answers the held request; nothing when it was answered or the client has left."""
        if self.closed or self._release is None:
            return
        self.let_go()
        self._connection.write(self, response)
        self._connection.flush()

    def let_go(self) -> None:
        """Waits for nothing any more."""
        if self._release is not None:
            self._release(self)
            self._release = None
            self.held_until = _NEVER
            self._connection.server.held.discard(self)

    def over(self) -> None:
        """The stream ended early."""
        self.let_go()
        self.forget_passage()
        if self.relay is not None:
            self.relay.close()

    # -- bodies that go on

    def stream(self, response: Response) -> None:
        """Answers with a body that goes on: the caller sends its pieces with `push`."""
        self._connection.begin(self, response)

    def push(self, data: bytes) -> None:
        """The next piece; a client that has not taken the last ones misses it."""
        if not self.closed and not self.waiting:
            self._connection.core.send(self, data)
            self._connection.flush()

    def end(self) -> None:
        """Ends it."""
        if not self.closed:
            self._connection.core.send(self, b"", last=True)
            self._connection.flush()

    # -- another role's requests

    def descriptor(self) -> int | None:
        """The far end of a socket pair, on which the other role is spoken to in HTTP/1.1."""
        self._near, far = passage()
        return far.detach()

    def leave(self) -> None:
        """The other role has the far end."""
        near, self._near = self._near, None
        assert near is not None
        self.relay = StreamRelay(self._connection, self, near)
        self.relay.start()

    def forget_passage(self) -> None:
        """Nobody took the far end."""
        if self._near is not None:
            self._near.close()
            self._near = None


def with_length(head: RequestHead, size: int) -> RequestHead:
    """A request whose body's length HTTP/1.1 must be told, though the client did not announce it."""
    if not size or "content-length" in head.headers.fields:
        return head
    headers = dataclasses.replace(head.headers, body_length=size)
    return dataclasses.replace(head, raw=head.raw[:-2] + b"content-length: %d\r\n\r\n" % size, headers=headers)


class StreamRelay(asyncio.Protocol):
    """Our end of a passage: writes the body, reads the answer, waits when the client does not take it."""

    def __init__(self, connection: "Http2Connection", exchange: Exchange, near: socket.socket) -> None:
        self._connection = connection
        self._exchange = exchange
        self._socket = near
        self._near: asyncio.Transport | None = None
        self._reader = AnswerReader(has_body=not exchange.is_head)
        self._begun = False
        self._closed = False
        self.deadline = connection.server.now() + _RELAY_S

    def start(self) -> None:
        """Begins."""
        self._connection.server.start_task(self._open(), "origin-stream-relay")

    async def _open(self) -> None:
        try:
            loop = asyncio.get_running_loop()
            made, _ = await loop.connect_accepted_socket(lambda: self, self._socket)
        except OSError:
            self._socket.close()
            self._fail()
            return
        except asyncio.CancelledError:
            self._socket.close()
            raise
        self._near = made
        if self._closed:
            self._near.close()
            return
        if self._exchange.body:
            self._near.write(self._exchange.body)
            self._exchange.body = b""

    def data_received(self, data: bytes) -> None:
        if self._closed:
            return
        self.deadline = self._connection.server.now() + _RELAY_S
        try:
            body = self._reader.receive_data(data)
        except HttpError:
            self._fail()
            return
        self._pass_on(body)

    def eof_received(self) -> bool:
        if self._closed:
            return False
        try:
            self._reader.receive_eof()
        except HttpError:
            self._fail()
        else:
            self._pass_on(b"")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        _ = exc
        if not self._closed:
            self.eof_received()

    def _pass_on(self, body: bytes) -> None:
        head, exchange, connection = self._reader.head, self._exchange, self._connection
        if head is None:
            return
        ends = self._reader.done and not body
        if not self._begun:
            self._begun = True
            connection.server.tally.answered(("handoff", head.status), 0)
            connection.core.begin(exchange, encode_status(head.status) + encode_fields(head.fields), last=ends)
        if body or (self._reader.done and not exchange.closed):
            connection.core.send(exchange, body, last=self._reader.done)
        if self._reader.done:
            self.close()
        connection.flush()
        if not self._closed and exchange.waiting > _AHEAD and self._near is not None:
            connection.waiting.add(self)
            self._near.pause_reading()

    def go_on(self) -> None:
        """After the client took bytes: reads on when few of them wait."""
        if self._near is not None and self._exchange.waiting <= _AHEAD // 2:
            self._connection.waiting.discard(self)
            self._near.resume_reading()

    def _fail(self) -> None:
        self.close()
        self._connection.server.tally.event("relay_failed")
        if self._begun:
            self._connection.core.reset(self._exchange, ErrorCode.INTERNAL_ERROR)
        else:
            self._connection.write(self._exchange, _BAD_ANSWER)
        self._connection.flush()

    def check(self, now: float) -> None:
        """Called once a second."""
        if now >= self.deadline and not self._closed:
            self._fail()

    def close(self) -> None:
        """Nothing more is passed on."""
        self._closed = True
        self._connection.waiting.discard(self)
        if self._near is not None:
            self._near.close()
