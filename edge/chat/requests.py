"""The chat over plain HTTP: posting, history, long polls."""

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from appliance.contracts.chat import MAX_NONCE, ChatPost, ChatPosted, ErrorCode
from appliance.contracts.errors import (
    BadInputError,
    ForbiddenError,
    NearcastError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from appliance.runtime.clock import now_ms
from edge.chat.answers import document, raw_document
from edge.chat.frames import Says
from edge.chat.index import Place
from edge.chat.journal import timestamp_of
from edge.chat.positions import Mark, Position
from edge.chat.ranks import Author, author_of
from edge.chat.ring import Entry
from edge.chat.room import Room
from edge.chat.routes import Query

if TYPE_CHECKING:
    from edge.chat.server import ChatServer

_ALL = 1 << 30
_FURTHER = 16
_READ_S = 3.0
_OVERLOADED_S = 5.0


class Gap(NamedTuple):
    """What is behind `after` and not behind `before` could not be kept."""

    after: Position
    before: Position


class _Found(NamedTuple):
    entries: list[Entry]
    gap: Gap | None


class Requests:
    """Handlers for requests whose room is known. Each returns a whole answer or raises a NearcastError."""

    def __init__(self, server: "ChatServer") -> None:
        self._server = server
        self._polls = 0

    # -- writing

    async def post(self, place: Place, token: str, body: bytes, key: str = "") -> bytes:
        """201 when the message is durable. `key`: its nonce, where the body has none."""
        if not token:
            raise UnauthenticatedError("a token is needed to write")
        user = self._server.index.user_of(token, now_ms())
        try:
            wanted = msgspec.json.decode(body, type=ChatPost)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise BadInputError("expected {user_id, message}", code=ErrorCode.INVALID_FRAME) from error
        if wanted.user_id != user.user_id:
            raise ForbiddenError("this token belongs to another user")
        posted = await self._accept(place, author_of(user), wanted.message, wanted.nonce or key)
        answer: dict[str, object] = {"message_id": posted.message_id, "timestamp": posted.timestamp}
        if posted.held:
            answer["held"] = True
        return document(201, answer)

    async def posted_for(self, wanted: ChatPost) -> ChatPosted:
        """Accepts a message that somebody else has authenticated; the answer in either case."""
        try:
            place = self._server.index.by_stream(wanted.stream_id)
            if place is None:
                raise NotFoundError("no such stream here", code=ErrorCode.UNKNOWN_ROOM)
            author = Author(wanted.user_id, wanted.username or wanted.user_id, tuple(wanted.badges))
            return await self._accept(place, author, wanted.message, wanted.nonce)
        except NearcastError as error:
            return ChatPosted(
                code=str(error.code),
                detail=error.detail,
                status=error.status,
                retry_after_s=error.retry_after_s or 0.0,
            )

    async def _accept(self, place: Place, author: Author, text: str, nonce: str) -> ChatPosted:
        if len(nonce) > MAX_NONCE:
            raise BadInputError(f"a nonce has at most {MAX_NONCE} characters", code=ErrorCode.INVALID_FRAME)
        accepted = self._server.rules.accept(place, author, text, nonce=nonce)
        try:
            await accepted.durable
        except UnavailableError as error:
            self._server.rules.refused(error)
            raise
        message_id, timestamp = self._server.rules.first_of(accepted)
        return ChatPosted(message_id=message_id, timestamp=timestamp, held=accepted.held)

    # -- reading

    async def history(self, place: Place, query: Query) -> bytes:
        """Up to `limit` messages: those behind `after`, or else the last ones ahead of `before`."""
        rooms = self._server.rooms
        room = rooms.get(place.room_id)
        before = query.before.position if query.before is not None and rooms.is_here(query.before) else None
        if query.after is not None and rooms.is_here(query.after):
            after = query.after.position
            return self._page((await self._behind(room, after, before, query.limit)).entries, after)
        entries = await self._ahead(room, before, query.limit)
        return self._page(_newer(entries, query.after), before or room.ring.last)

    async def poll(self, place: Place, query: Query) -> bytes:
        """Messages behind `since`, as soon as there are any; without `since` the last ones, at once.

        As at a WebSocket a gap stands for what cannot be had any more; it is told at once.
        """
        rooms = self._server.rooms
        room = rooms.get(place.room_id)
        if query.since is None or not rooms.is_here(query.since):
            return self._page(_newer(await self._ahead(room, None, query.limit), query.since), room.ring.last)
        since = query.since.position
        if not await self._server.feed.has(since.seq):
            gap = Gap(since, room.ring.opening(room.ring.end))
            return self._page([], room.ring.last, gap)
        found = await self._behind(room, since, None, query.limit)
        if not found.entries and found.gap is None:
            await self._something_new(room)
            found = await self._behind(room, since, None, query.limit)
        return self._page(found.entries, since, found.gap)

    def _page(self, entries: list[Entry], position: Position, gap: Gap | None = None) -> bytes:
        return raw_document(_page(entries, position, gap, self._server.rooms.says))

    async def _something_new(self, room: Room) -> None:
        config = self._server.config
        if self._polls >= config.polls:
            raise UnavailableError("too many polls are held", retry_after_s=_OVERLOADED_S)
        wake = asyncio.Event()
        self._polls += 1
        room.wait(wake, wake.set)
        try:
            async with asyncio.timeout(config.poll_s):
                await wake.wait()
        except TimeoutError:
            return
        finally:
            self._polls -= 1
            room.stop_waiting(wake)

    async def _behind(self, room: Room, after: Position, before: Position | None, limit: int) -> _Found:
        ring = room.ring
        gap = None
        if after >= ring.floor:
            found = [entry for entry in ring.entries(ring.number_after(after), ring.end) if not entry.event]
        else:
            older = await self._server.feed.older(room.room_id, after, limit, _READ_S)
            found = [entry for entry in older.entries if not entry.event]
            if older.start.seq > after.seq:
                gap = Gap(after, Position(older.start.seq + 1, 0))
        if before is not None:
            found = [entry for entry in found if entry.position < before]
        return _Found(found[:limit], gap)

    async def _ahead(self, room: Room, before: Position | None, limit: int) -> list[Entry]:
        ring = room.ring
        found = [entry for entry in ring.entries(ring.first, ring.end) if not entry.event]
        if before is not None:
            found = [entry for entry in found if entry.position < before]
        floor = ring.floor
        if len(found) < limit and floor.seq > 0:
            end = found[0].position if found else min(before or floor, Position.before_entry(floor.seq + 1))
            found = await self._read_back(room, end, limit - len(found)) + found
        return found[-limit:]

    async def _read_back(self, room: Room, end: Position, wanted: int) -> list[Entry]:
        """The last `wanted` messages ahead of `end`, or all there are, from the log: from further back each time,
        as far as a moment reaches."""
        span, found = wanted, list[Entry]()
        until = self._server.now() + _READ_S
        while (left_s := until - self._server.now()) > 0:
            start = max(1, end.seq - span)
            after = Position.before_entry(start)
            older = await self._server.feed.older(room.room_id, after, _ALL, left_s, upto=max(1, end.seq))
            if older.failed:
                break
            found = [entry for entry in older.entries if entry.position < end and not entry.event]
            if len(found) >= wanted or start == 1 or older.start > after:
                break
            span *= _FURTHER
        return found[-wanted:]


def _newer(entries: list[Entry], mark: Mark | None) -> list[Entry]:
    """Those said since a client was told everything, at another edge."""
    return entries if mark is None else [one for one in entries if timestamp_of(one.data) >= mark.at_s * 1000]


def _page(entries: list[Entry], position: Position, gap: Gap | None, says: Says) -> bytes:
    """`position` follows the newest message, `before` asks for what is older than the oldest."""
    newest = entries[-1].position if entries else position
    oldest = entries[0].position if entries else position
    return b'{"messages":[%b],"position":"%b","before":"%b"%b}' % (
        b",".join(entry.data for entry in entries),
        says(newest).encode(),
        says(oldest).encode(),
        b""
        if gap is None
        else b',"gap":{"after":"%b","before":"%b"}' % (says(gap.after).encode(), says(gap.before).encode()),
    )
