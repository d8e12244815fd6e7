"""One WebSocket client of a room: what it says, what it is told, and when it is cut."""

import asyncio
import random
from typing import TYPE_CHECKING

import msgspec

from appliance.contracts.chat import MAX_FRAME_BYTES, ClientFrame, CloseCode, ErrorCode
from appliance.contracts.errors import BadInputError, NearcastError, UnauthenticatedError
from appliance.runtime.clock import now_ms
from edge.chat.frames import ack_frame, entries_frames, error_frame, hello_frame
from edge.chat.index import Place
from edge.chat.limits import Budget
from edge.chat.positions import Position
from edge.chat.resume import Resumed, resume
from edge.chat.room import CATCH_UP_BYTES, Reader, Room
from edge.chat.rules import Accepted, Author
from edge.protocols.websocket.connection import Binary, Closed, Event, Failed, Pong, ServerConnection, Text

if TYPE_CHECKING:
    from edge.chat.server import ChatServer

_BAD_FRAMES = 10
_NONCE = 64
_BURST_S = 4.0
_BUFFERED = 512 * 1024  # frames of its own that a client may leave unread
_POLICY = 1008
_NEVER = float("inf")
_decoder = msgspec.json.Decoder(ClientFrame)


class Subscriber(Reader, asyncio.Protocol):
    """States: joining (reading what it missed), joined, closing (our close frame is out), closed."""

    __slots__ = (
        "_bad", "_bytes", "_closing_at", "_drained", "_frames", "_joining", "_paused_at", "_ping_at", "_place",
        "_pong_by", "_room", "_server", "_token", "_transport", "_ws", "address", "closed",
    )  # fmt: skip

    def __init__(self, server: "ChatServer", transport: asyncio.Transport, address: str, place: Place) -> None:
        super().__init__()
        now = server.now()
        config = server.config
        self.address = address
        self.closed = False
        self._server = server
        self._transport = transport
        self._place = place
        self._ws = ServerConnection(MAX_FRAME_BYTES)
        self._room: Room | None = None
        self._joining: asyncio.Task[None] | None = None
        self._drained: asyncio.Event | None = None
        self._token = ""
        self._bad = 0
        self._bytes = Budget(config.bytes_per_s, config.bytes_per_s * _BURST_S, now)
        self._frames = Budget(config.frames_per_s, config.frames_per_s * _BURST_S, now)
        self._paused_at = _NEVER
        self._closing_at = _NEVER
        self._pong_by = _NEVER
        self._ping_at = now + config.ping_s * (0.5 + random.random() / 2)  # noqa: S311 - spreads the pings

    # -- the transport's calls

    def data_received(self, data: bytes) -> None:
        before = self._ws.frames
        events = self._ws.receive_data(data)
        now = self._server.now()
        enough = self._bytes.spend(len(data), now) & self._frames.spend(self._ws.frames - before, now)
        if not enough and self._closing_at == _NEVER:
            self._server.tally.events["too_fast"] += 1
            self.close(_POLICY, "too fast")
        for event in events:
            if not self.closed:
                self._take(event)
        self._flush()

    def pause_writing(self) -> None:
        self.paused = True
        self._paused_at = self._server.now()
        if self._room is not None:
            self._room.lag(self)

    def resume_writing(self) -> None:
        self.paused = False
        self._paused_at = _NEVER
        if self._drained is not None:
            self._drained.set()
        if self._room is not None:
            self._room.go_on(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        self._leave()
        self.closed = True
        self._server.lost(self)

    # -- joining

    def begin(self, token: str, since: Position | None) -> None:
        """Says hello and joins the room; closes with 4001 when there is a token and it is not valid."""
        if token and self._author(token) is None:
            return
        room = self._server.rooms.get(self._place.room_id)
        if since is None:
            self._join_now(room)
        else:
            self._hello(since)
            self._joining = self._server.tasks.start(self._join_after(since), "chat-resume")

    def _join_now(self, room: Room) -> None:
        ring = room.ring
        stop = room.level()
        start = max(ring.newest(stop, self._server.config.history), ring.newest_bytes(stop, CATCH_UP_BYTES))
        self._hello(ring.position_before(start))
        recent = [entry for entry in ring.entries(start, stop) if not entry.event]
        if recent:
            self.write(entries_frames(recent))
        self._join(room, stop)

    def _join(self, room: Room, cursor: int) -> None:
        self._room = room
        room.join(self, cursor, exact=True)

    async def _join_after(self, since: Position) -> None:
        server = self._server
        self._drained = asyncio.Event()
        found: Resumed = await resume(server.rooms, server.feed, self._place.room_id, since, self._send_missed)
        self._drained = None
        if not self.closed and self._closing_at == _NEVER:
            self._join(found.room, found.cursor)

    async def _send_missed(self, data: bytes) -> None:
        """Writes and waits until the socket has taken it."""
        self.write(data)
        while self.paused and not self.closed and self._drained is not None:
            self._drained.clear()
            await self._drained.wait()

    def _hello(self, position: Position) -> None:
        record = self._author(self._token) if self._token else None
        user = record.document(self._place) if record is not None else None
        self.write(hello_frame(self._place.stream_id, self._place.channel, position, user))

    # -- what it says

    def _take(self, event: Event) -> None:
        if isinstance(event, Text):
            if self._closing_at == _NEVER:
                self._text(event.text)
        elif isinstance(event, Pong):
            self._pong_by = _NEVER
        elif isinstance(event, Binary):
            self.close(CloseCode.UNSUPPORTED_DATA, "only text is spoken here")
        elif isinstance(event, Closed):
            self._finish()
        else:
            self._failed(event)

    def _text(self, text: str) -> None:
        nonce = ""
        try:
            frame = self._decoded(text)
            if frame is not None:
                nonce = frame.nonce
                self._frame(frame)
        except NearcastError as error:
            self.write(error_frame(error, nonce))

    def _decoded(self, text: str) -> ClientFrame | None:
        try:
            frame = _decoder.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            frame = None
        if frame is None or len(frame.nonce) > _NONCE:
            self._misspoke(BadInputError("not a frame that chat knows", code=ErrorCode.INVALID_FRAME))
            return None
        return frame

    def _frame(self, frame: ClientFrame) -> None:
        if frame.type == "message":
            self._message(frame)
        elif frame.type == "auth":
            if self._author(frame.token) is not None:
                self._hello(self._had())
        else:
            self._misspoke(BadInputError("unknown type of frame", code=ErrorCode.UNKNOWN_TYPE))

    def _message(self, frame: ClientFrame) -> None:
        if not self._token:
            error = UnauthenticatedError("a token is needed to write", code=ErrorCode.NOT_AUTHENTICATED)
            self._server.rules.refused(error)
            raise error
        author = self._author(self._token)
        if author is None:
            return
        place = self._server.current(self._place)
        accepted = self._server.rules.accept(place, author, frame.message, frame.reply_to)
        accepted.durable.add_done_callback(lambda done: self._settled(frame.nonce, accepted, done))

    def _settled(self, nonce: str, accepted: Accepted, done: asyncio.Future[None]) -> None:
        if done.cancelled() or self.closed or self._closing_at != _NEVER:
            return
        error = done.exception()
        if error is None:
            self.write(ack_frame(nonce, accepted.message_id, accepted.timestamp))
        elif isinstance(error, NearcastError):
            self._server.rules.refused(error)
            self.write(error_frame(error, nonce))

    def _author(self, token: str) -> Author | None:
        """Whose token it is; a token that is not, or no longer, valid ends the connection."""
        try:
            record = self._server.index.user_of(token, now_ms())
        except UnauthenticatedError as error:
            self.close(CloseCode.TOKEN_INVALID, error.detail)
            return None
        self._token = token
        return Author(record.user_id, record.username, tuple(record.badges))

    def _misspoke(self, error: BadInputError) -> None:
        self._bad += 1
        self._server.rules.refused(error)
        if self._bad >= _BAD_FRAMES:
            self.close(CloseCode.PROTOCOL_ERROR, "too many frames that make no sense")
            return
        raise error

    def _had(self) -> Position:
        """Everything up to here was written to it."""
        return self._room.had(self) if self._room is not None else Position(0, 0)

    # -- writing and ending

    def write(self, data: bytes) -> None:
        """Sends whole frames. A client that leaves too many of its own unread is cut."""
        if self.closed:
            return
        if self.paused and self._transport.get_write_buffer_size() > _BUFFERED:
            self._cut()
            return
        self._transport.write(data)

    def _flush(self) -> None:
        data = self._ws.data_to_send()
        if data and not self.closed:
            self._transport.write(data)

    def close(self, code: int, reason: str = "") -> None:
        """Sends a close frame; the connection ends with the client's answer, or soon without it."""
        if self._closing_at != _NEVER or self.closed:
            return
        self._leave()
        self._server.tally.closed[int(code)] += 1
        self._ws.send_close(code, reason)
        self._flush()
        self._closing_at = self._server.now() + self._server.config.close_s

    def _failed(self, event: Failed) -> None:
        """The core has its close frame ready; what the client still sends is read away, so that it can see it."""
        self._leave()
        self._server.tally.closed[event.code] += 1
        self._flush()
        self._transport.write_eof()
        self._closing_at = self._server.now() + self._server.config.close_s

    def _finish(self) -> None:
        self._leave()
        self._flush()
        self.closed = True
        self._closing_at = min(self._closing_at, self._server.now() + self._server.config.close_s)
        self._transport.close()

    def abort(self) -> None:
        """Ends the connection at once."""
        self._transport.abort()

    def _cut(self) -> None:
        self._server.tally.events["slow_cut"] += 1
        self.close(CloseCode.TOO_SLOW, "too slow")

    def _leave(self) -> None:
        if self._joining is not None:
            self._joining.cancel()
            self._joining = None
        room, self._room = self._room, None
        if room is not None:
            room.leave(self)

    # -- time

    def check(self, now: float) -> None:
        """Called once a second."""
        config = self._server.config
        if now >= self._closing_at:
            self._transport.abort()
        elif self._closing_at != _NEVER:
            return
        elif now - self._paused_at >= config.slow_s:
            self._cut()
        elif now >= self._pong_by:
            self._server.tally.events["pong_timeout"] += 1
            self.close(CloseCode.GOING_AWAY, "no pong")
        elif now >= self._ping_at and not self.paused:
            self._ping_at = now + config.ping_s
            self._pong_by = now + config.pong_s
            self._ws.send_ping()
            self._flush()
