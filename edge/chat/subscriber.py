"""One WebSocket client of a room: what it says, what it is told, and when it is cut."""

import asyncio
from typing import TYPE_CHECKING

import msgspec

from appliance.contracts.chat import ClientFrame, CloseCode, ErrorCode
from appliance.contracts.errors import BadInputError, NearcastError, UnauthenticatedError
from appliance.runtime.clock import now_ms
from edge.chat.connection import Connection
from edge.chat.crowd import Entry
from edge.chat.frames import ack_frame, anonymous_hello, error_frame, gap_frame, hello_frame
from edge.chat.index import Place
from edge.chat.journal import timestamp_of
from edge.chat.login import Login
from edge.chat.positions import Mark, Position
from edge.chat.ranks import Author, author_of
from edge.chat.resume import Resumed, missed_in_ring, resume
from edge.chat.room import Recent, Room
from edge.chat.rules import Accepted
from edge.protocols.websocket.deflate import Deflate
from edge.protocols.websocket.frames import text_frame

if TYPE_CHECKING:
    from edge.chat.server import ChatServer

_BAD_FRAMES = 10
_NONCE = 64
_decoder = msgspec.json.Decoder(ClientFrame)


class Subscriber(Connection):
    """States: joining (reading what it missed), joined, then as every connection."""

    __slots__ = ("_bad", "_drained", "_greets", "_joining", "_login", "_place", "_server", "_token")

    def __init__(
        self,
        server: "ChatServer",
        transport: asyncio.Transport,
        address: str,
        entry: Entry,
        place: Place,
        deflate: Deflate | None,
        opening: bytes,
    ) -> None:
        super().__init__(server, transport, address, entry, deflate, opening)
        self._server = server
        self._place = place
        self._joining: asyncio.Task[None] | None = None
        self._drained: asyncio.Event | None = None
        self._login: Login[str] | None = None
        self._token = ""
        self._greets = False  # it logged in while it was joining: hello follows what it missed
        self._bad = 0

    def resume_writing(self) -> None:
        if self._drained is not None:
            self._drained.set()
        super().resume_writing()

    def leave(self) -> None:
        """See Connection; also stops reading what it missed."""
        self._server.moderation.presence.leave(self)
        if self._joining is not None:
            self._joining.cancel()
            self._joining = None
        if self._login is not None:
            self._login.cancel()
            self._login = None
        super().leave()

    # -- joining

    def begin(self, token: str, since: Mark | None) -> None:
        """Says hello and joins the room; closes with 4001 when there is a token and it is not valid."""
        if token and self._author(token) is None:
            return
        server = self._server
        room = server.rooms.get(self._place.room_id)
        if since is None or not server.rooms.is_here(since):
            self._join_now(room, since)
            return
        self.write(self._hello(str(since)))
        cursor = missed_in_ring(server.feed, room, since.position)
        upto = room.ring.last if cursor is None else room.ring.position_before(cursor)
        missed = server.rooms.missed(room, since, upto)
        if missed:
            self.write(missed)
        if cursor is None:
            self._joining = server.tasks.start(self._join_after(since.position), "chat-resume")
        elif not self.ending:
            self._join(room, cursor)

    def _join_now(self, room: Room, since: Mark | None) -> None:
        """`since`: where it was at another edge. It gets the last messages as everybody who comes, and what it may
        have on its screen that is gone."""
        server = self._server
        stop = room.level(self)
        recent = room.recent(stop, server.config.history)
        hello = self._hello(server.rooms.says(recent.after))
        if since is not None:
            hello += server.rooms.missed(room, since, room.ring.last) + self._gap(recent, since)
        self.write(hello + recent.frames)
        self._join(room, stop)

    def _gap(self, recent: Recent, since: Mark) -> bytes:
        """Nothing where the last messages reach back to the time when the client was told everything."""
        if recent.said < recent.limit or timestamp_of(recent.first) < since.at_s * 1000:
            return b""
        self._server.tally.events["gap"] += 1
        return gap_frame(str(since), self._server.rooms.says(recent.after.next))

    def _join(self, room: Room, cursor: int) -> None:
        self._room = room
        room.join(self, cursor, exact=True)

    async def _join_after(self, since: Position) -> None:
        server = self._server
        self._drained = asyncio.Event()
        found: Resumed = await resume(server.rooms, server.feed, self._place.room_id, since, self._send_missed)
        self._drained = self._joining = None
        if not self.ending:
            self._join(found.room, found.cursor)
        if self._greets and not self.ending:
            self.write(self._hello(server.rooms.says(self._had())))

    async def _send_missed(self, data: bytes) -> None:
        """Writes and waits until the socket has taken it."""
        self.write(data)
        while self.paused and not self.closed and self._drained is not None:
            self._drained.clear()
            await self._drained.wait()

    def _hello(self, position: str) -> bytes:
        place = self._place
        record = self._author(self._token) if self._token else None
        modes = self._server.rules.states.modes(place.room_id)
        if record is None:
            return anonymous_hello(place.stream_id, place.channel, position, modes)
        user = self._server.moderation.enter(self, place, record)
        return hello_frame(place.stream_id, place.channel, position, user, modes)

    # -- as moderation sees it

    def tell(self, document: bytes) -> None:
        """See Present."""
        self.write(text_frame(document))

    def shut_out(self) -> None:
        """See Present."""
        self.close(CloseCode.BANNED, "banned")

    # -- what it says

    def take_text(self, text: str) -> None:
        """See Connection."""
        if self._login is not None:
            self._login.said.append(text)
            return
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
            self._login = Login.begin(self._server, frame.token, self._settled_login)
            if self._login is None:
                self._log_in(frame.token)
        else:
            self._misspoke(BadInputError("unknown type of frame", code=ErrorCode.UNKNOWN_TYPE))

    def _settled_login(self) -> None:
        login, self._login = self._login, None
        if login is None or self.ending:
            return
        self._log_in(login.token)
        for text in login.said:
            if not self.ending:
                self.take_text(text)

    def _log_in(self, token: str) -> None:
        if self._author(token) is None:
            return
        if self._joining is None:
            self.write(self._hello(self._server.rooms.says(self._had())))
        else:
            self._greets = True

    def _message(self, frame: ClientFrame) -> None:
        if not self._token:
            error = UnauthenticatedError("a token is needed to write", code=ErrorCode.NOT_AUTHENTICATED)
            self._server.rules.refused(error)
            raise error
        author = self._author(self._token)
        if author is None:
            return
        place = self._server.current(self._place)
        accepted = self._server.rules.accept(place, author, frame.message, frame.reply_to, frame.nonce)
        accepted.durable.add_done_callback(lambda done: self._settled(frame.nonce, accepted, done))

    def _settled(self, nonce: str, accepted: Accepted, done: asyncio.Future[None]) -> None:
        if done.cancelled() or self.ending:
            return
        error = done.exception()
        if error is None:
            said, at = self._server.rules.first_of(accepted)
            self.write(ack_frame(nonce, said, at, held=accepted.held, notice=accepted.notice))
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
        if self._server.moderation.is_banned(self._place, record.user_id):
            self.close(CloseCode.BANNED, "banned")
            return None
        self._token = token
        return author_of(record)

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
