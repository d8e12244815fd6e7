"""A connection as it is handed over: one request, then either a WebSocket or one answer and the end."""

import asyncio
from typing import TYPE_CHECKING, cast

from appliance.contracts.chat import CloseCode, ErrorCode
from appliance.contracts.errors import NearcastError, NotFoundError, UnavailableError
from edge.chat.answers import preflight, problem
from edge.chat.connection import NEVER, Connection
from edge.chat.crowd import Entry
from edge.chat.index import Place
from edge.chat.irc.websocket import PROTOCOLS, IrcWebSocket
from edge.chat.routes import Action, Query, bearer, find_route, parse_query
from edge.chat.shortcut import Shortcut
from edge.chat.subscriber import Subscriber
from edge.protocols.http.errors import HttpError
from edge.protocols.http.request import RequestHead, RequestReader
from edge.protocols.websocket.handshake import HandshakeError, accept, agree

if TYPE_CHECKING:
    from edge.chat.server import ChatServer

_MAX_BODY = 16 * 1024
_MAX_AHEAD = 64 * 1024
_METHODS = frozenset({"GET", "HEAD", "POST"})
_OVERLOADED_S = 10.0
_NOWHERE = Place("", "", "", "")
_IRC = ("/irc", "/")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Arrival(asyncio.Protocol):
    """States: reading the request (and its body), waiting for an unknown room, answering, ending.

    An upgrade replaces this protocol.
    """

    _transport: asyncio.Transport

    def __init__(self, server: "ChatServer", head: bytes, address: str, entry: Entry) -> None:
        self.address = address
        self.entry = entry
        self.closed = False
        self._server = server
        self._head = head
        self._reader = RequestReader(server.memo)
        self._request: RequestHead | None = None
        self._answering: asyncio.Task[None] | None = None
        self._waits = False
        self._ended = False
        self._deadline = NEVER
        self.due = 0  # of the wheel
        self._end_by(server.config.handshake_s)

    # -- the transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its type
        self._transport.set_write_buffer_limits(0)
        self._server.opened(self)
        head, self._head = self._head, b""
        self.data_received(head)

    def data_received(self, data: bytes) -> None:
        if self._ended or self._waits or self._answering is not None:
            return
        try:
            self._reader.receive_data(data)
            if self._request is None:
                self._request = self._reader.next_request()
                if self._request is not None:
                    self._begin(self._request)
            elif len(self._reader.rest) >= self._request.headers.body_length:
                self._serve(self._request)
        except HandshakeError as error:
            self._end(problem(error, error.fields), error.status)
        except NearcastError as error:
            self._refuse(error)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        self.closed = True
        self._server.newcomers.leave(self._again)
        if self._answering is not None:
            self._answering.cancel()
        self._server.lost(self)

    @property
    def _is_over(self) -> bool:
        return self.entry is not Entry.TAKEN

    # -- the request

    def _begin(self, request: RequestHead) -> None:
        if request.headers.chunked:
            raise HttpError(411, "a body needs a Content-Length")
        if request.headers.body_length > _MAX_BODY:
            raise HttpError(413, "request body too large")
        if len(self._reader.rest) < request.headers.body_length:
            if request.headers.get("expect").lower() == "100-continue":
                self._transport.write(_CONTINUE)
            return
        self._serve(request)

    def _serve(self, request: RequestHead) -> None:
        if request.method == "OPTIONS":
            self._end(preflight(), 204)
            return
        if request.method not in _METHODS:
            raise HttpError(405, "method not allowed")
        if request.path in _IRC:
            self._upgrade_irc(request)
            return
        route = find_route(request.path)
        index = self._server.index
        place = route.find(index)
        query = parse_query(request.query)
        token = bearer(request.headers.get("authorization")) or query.token
        is_known = place is not None and (not token or index.knows(token))
        if not is_known and self._may_wait():
            return
        if route.action is Action.SUBSCRIBE:
            shortcut = Shortcut(agree(request), route, query.since)
            if not token:
                request.note.value = shortcut
            self._upgrade(request, place, token, shortcut)
            return
        if self._is_over:
            raise UnavailableError("too many connections", retry_after_s=_OVERLOADED_S)
        if place is None:
            raise NotFoundError("no such room", code=ErrorCode.UNKNOWN_ROOM)
        body = self._reader.rest[: request.headers.body_length]
        self._end_by(self._server.config.poll_s + self._server.config.handshake_s)
        self._answering = self._server.tasks.start(
            self._answer(request, route.action, place, token, query, body), "chat-request"
        )

    def _is_served(self) -> bool:
        return self._ended or self._answering is not None

    def _may_wait(self) -> bool:
        """Begins to wait, or goes on waiting, for the record of an unknown room or token."""
        server = self._server
        if not self._waits:
            self._waits = not self._is_over and server.newcomers.enter(self._again)
            self._end_by(server.config.unknown_s)
            return self._waits
        return server.now() < self._deadline

    def _again(self) -> None:
        request = self._request
        if self.closed or self._is_served() or request is None:
            return
        try:
            self._serve(request)
        except HandshakeError as error:
            self._end(problem(error, error.fields), error.status)
        except NearcastError as error:
            self._refuse(error)
        if self._is_served():
            self._server.newcomers.leave(self._again)

    async def _answer(
        self, request: RequestHead, action: Action, place: Place, token: str, query: Query, body: bytes
    ) -> None:
        requests = self._server.requests
        status = 200
        try:
            if request.method == "POST":
                if action not in (Action.MESSAGES, Action.MODERATE):
                    raise HttpError(405, "method not allowed")
                status = 201
                if action is Action.MESSAGES:
                    found = await requests.post(place, token, body, request.headers.get("idempotency-key"))
                else:
                    key = request.headers.get("idempotency-key")
                    found = await self._server.moderation.act(place, token, body, key)
            elif action is Action.MODERATE:
                raise HttpError(405, "method not allowed")
            elif action is Action.POLL:
                found = await requests.poll(place, query)
            elif action is Action.MESSAGES:
                found = await requests.history(place, query)
            else:
                found = self._server.moderation.show(action, place, token)
        except NearcastError as error:
            self._refuse(error)
        else:
            self._end(found, status)

    # -- ending

    def _refuse(self, error: NearcastError) -> None:
        self._end(problem(error), error.status)

    def _end(self, answer: bytes, status: int) -> None:
        """Writes the answer; what the client still sends is read away for a moment, so that it sees it."""
        self._ended = True
        self._server.tally.requests[status] += 1
        if self.closed:
            return
        if self._request is not None and self._request.method == "HEAD":
            answer = answer[: answer.index(b"\r\n\r\n") + 4]
        self._transport.write(answer)
        self._transport.write_eof()
        self._end_by(self._server.config.close_s)

    def _upgrade_irc(self, request: RequestHead) -> None:
        answer, deflate = accept(request, PROTOCOLS)
        self._ended = True
        client = IrcWebSocket(self._server, self._transport, self.address, self.entry, deflate, answer)
        self._become(client)
        client.begin()
        self._pass_on(client)

    def _become(self, connection: Connection) -> None:
        """The rest of its life is another's."""
        self._server.replace(self, connection)
        self._transport.set_protocol(connection)

    def _pass_on(self, connection: Connection) -> None:
        """What came behind the request; nothing to one that is beyond a limit."""
        if self._is_over:
            connection.close(CloseCode.TOO_MANY_CONNECTIONS, "too many connections")
        if self._reader.rest:
            connection.data_received(self._reader.rest)

    def _upgrade(self, request: RequestHead, place: Place | None, token: str, agreed: Shortcut) -> None:
        deflate = agreed.agreement.deflate
        answer = agreed.agreement.answer(request.headers.get("sec-websocket-key"))
        self._ended = True
        subscriber = Subscriber(
            self._server, self._transport, self.address, self.entry, place or _NOWHERE, deflate, answer
        )
        self._become(subscriber)
        if not self._is_over and place is None:
            subscriber.close(CloseCode.UNKNOWN_ROOM, "no such room")
        elif not self._is_over:
            subscriber.begin(token, agreed.since)
        self._pass_on(subscriber)

    def abort(self) -> None:
        """Ends the connection at once."""
        self._transport.abort()

    # -- time

    def _end_by(self, seconds: float) -> None:
        self._deadline = self._server.now() + seconds
        self._server.remind(self, self._deadline)

    def check(self, now: float) -> float:
        """Ends what takes too long; when to be called next."""
        if now < self._deadline:
            return self._deadline
        if self._waits and not self._is_served():
            self._again()
        else:
            if not self._ended:
                self._server.tally.events["handshake_timeout"] += 1
            self._transport.abort()
        return self._deadline if now < self._deadline else NEVER
