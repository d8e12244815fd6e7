"""An HTTP connection that was handed over: its requests in order, each with its body, bounded in time."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, cast

from appliance.contracts.errors import NearcastError
from edge.access.paths import split
from edge.net.answers import Answer, ResourceError, problem
from edge.protocols.http.errors import HttpError
from edge.protocols.http.request import HeadMemo, RequestHead, RequestReader

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class ConnectionTimes(Protocol):
    """Seconds."""

    @property
    def request_s(self) -> float:
        """From the first byte of a request to its last."""

    @property
    def idle_s(self) -> float:
        """Between requests."""

    @property
    def close_s(self) -> float:
        """From the last answer to the client's end."""


class Owner(Protocol):
    """Whoever answers."""

    memo: HeadMemo
    prefix: str  # paths that are this role's

    @property
    def times(self) -> ConnectionTimes:
        """How long things may take."""

    def now(self) -> float:
        """Monotonic seconds."""

    def opened(self, connection: "HandedConnection") -> None:
        """A connection is ours now."""

    def closed(self, connection: "HandedConnection") -> None:
        """A connection is gone."""

    def answered(self, status: int) -> None:
        """A request was answered."""

    def start_task(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """A child of the owner."""

    async def serve(self, request: RequestHead, body: bytes, address: str) -> Answer:
        """The answer to a request of a client at `address`; NearcastError becomes a problem document."""


class HandedConnection(asyncio.Protocol):
    """States: reading a request, answering it (what comes meanwhile waits, bounded), ending."""

    _transport: asyncio.Transport

    def __init__(self, owner: Owner, head: bytes, address: str) -> None:
        self.address = address
        self._owner = owner
        self._head = head
        self._reader = RequestReader(owner.memo)
        self._request: RequestHead | None = None  # its body is not complete
        self._ended = False
        self._answering = False
        self._deadline = owner.now() + owner.times.request_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its type
        self._owner.opened(self)
        head, self._head = self._head, b""
        self.data_received(head)

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        try:
            self._reader.receive_data(data)
            self._pump()
        except HttpError as error:
            self._answer(problem(error), keep=False)

    def eof_received(self) -> bool:
        """A client may close its side and still want the answer."""
        return self._answering

    def connection_lost(self, exc: Exception | None) -> None:
        _ = exc
        self._ended = True
        self._owner.closed(self)

    def check(self, now: float) -> None:
        """Called once a second."""
        if now >= self._deadline:
            self._transport.abort()

    def abort(self) -> None:
        """Closes at once."""
        self._transport.abort()

    def _pump(self) -> None:
        while not self._answering and self._next():
            pass

    def _next(self) -> bool:
        """Begins to answer one request; False when more bytes are needed. HttpError."""
        request = self._request
        if request is None:
            request = self._reader.next_request()
            if request is None:
                return False
            self._begin(request)
        length = request.headers.body_length
        if len(self._reader.rest) < length:
            self._request = request
            return False
        self._request = None
        body = self._reader.rest[:length]
        self._answering = True
        self._owner.start_task(self._respond(request, body), "handed-request")
        return True

    async def _respond(self, request: RequestHead, body: bytes) -> None:
        answer = await self._serve(request, body)
        self._answering = False
        if self._ended:
            return
        self._answer(answer, keep=_may_go_on(request))
        self.data_received(b"")

    def _begin(self, request: RequestHead) -> None:
        self._deadline = self._owner.now() + self._owner.times.request_s
        if request.headers.chunked:
            raise HttpError(411, "a body needs a Content-Length")
        if len(self._reader.rest) >= request.headers.body_length:
            return
        if request.headers.get("expect").lower() == "100-continue":
            self._transport.write(_CONTINUE)

    async def _serve(self, request: RequestHead, body: bytes) -> Answer:
        prefix = self._owner.prefix
        try:
            _, path = split(request.path)
            if path != prefix and not path.startswith(prefix + "/"):
                raise ResourceError(421, "misdirected", f"This connection is for {prefix}; open another one.")
            return await self._owner.serve(request, body, self.address)
        except NearcastError as error:
            return problem(error)

    def _answer(self, answer: Answer, *, keep: bool) -> None:
        self._owner.answered(answer.status)
        keep = keep and answer.status != 421
        self._transport.write(answer.encode(keep=keep))
        times, now = self._owner.times, self._owner.now()
        if keep:
            self._deadline = now + times.idle_s
            return
        self._ended = True
        self._deadline = now + times.close_s
        self._transport.write_eof()


def _may_go_on(request: RequestHead) -> bool:
    """A browser shares its connections among all that its page asks for: the next request may be for another
    role, so its connection ends here. Encoders ask for nothing else and may go on."""
    return request.keep_alive and not request.headers.get("origin") and not request.headers.get("sec-fetch-mode")
