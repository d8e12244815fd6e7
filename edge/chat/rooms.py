"""All rooms of a gateway, filled from the outbox as every gateway of the edge reads it."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from appliance.contracts.errors import NearcastError, UnavailableError
from appliance.contracts.subjects import chat, outbox, room_of
from appliance.runtime.bus import LogMessage
from appliance.runtime.logs import get_logger
from appliance.runtime.tasks import Tasks
from edge.chat.config import ChatConfig
from edge.chat.metrics import Tally
from edge.chat.positions import Position
from edge.chat.ring import Entry, Ring
from edge.chat.room import Room, Timer

_ALL_ROOMS = "chat.>"
_START_S = 30.0
_AGAIN_S = 0.2
_AHEAD_S = 2.0
_ROOM_BYTES = 2048  # of a room in which nobody has spoken
_decoder = msgspec.json.Decoder(list[msgspec.Raw])


class Log(Protocol):
    """The part of a bus that reading needs."""

    async def last_message(self, stream: str, subject: str) -> LogMessage | None:
        """The newest message of a subject."""

    async def api(self, verb: str) -> Any:
        """One JetStream API call."""

    def tail(self, stream: str, subjects: Sequence[str], start: int = 1) -> AsyncIterator[LogMessage]:
        """Every message of `subjects` from `start`, in order, without end."""


class Older(NamedTuple):
    """What the log has of a room: all messages behind `start` and not behind `upto`.

    `start` is further than was asked for where the log has been trimmed; `failed`: it could not be read on.
    """

    start: Position
    entries: list[Entry]
    upto: Position
    failed: bool


def entries_of(message: LogMessage) -> list[Entry]:
    """The chat messages of one log entry. msgspec.DecodeError when it is not an array."""
    found = _decoder.decode(message.data)
    return [Entry(Position(message.seq, item), bytes(one)) for item, one in enumerate(found)]


class Rooms:
    """Makes rooms when they are asked for or spoken in; the longest silent, unread ones make place.

    Everything behind `floor` is in a ring, unless that ring's own floor says otherwise.
    """

    def __init__(self, config: ChatConfig, timer: Timer, tally: Tally) -> None:
        self.floor = Position(0, 0)
        self._config = config
        self._timer = timer
        self._tally = tally
        self._rooms: OrderedDict[str, Room] = OrderedDict()

    def __len__(self) -> int:
        return len(self._rooms)

    def known(self, room_id: str) -> Room | None:
        """The room if it is in memory."""
        return self._rooms.get(room_id)

    def get(self, room_id: str) -> Room:
        """The room, made where it is not in memory."""
        room = self._rooms.get(room_id)
        if room is None:
            room = Room(room_id, Ring(self.floor), self._timer, self._tally, self._config.window_s)
            self._rooms[room_id] = room
        return room

    def deliver(self, message: LogMessage) -> None:
        """Shows the messages of one log entry."""
        try:
            room_id, entries = room_of(message.subject), entries_of(message)
        except (ValueError, msgspec.DecodeError):
            self._tally.events["bad_entry"] += 1
            return
        room = self.get(room_id)
        self._rooms.move_to_end(room_id)
        for entry in entries:
            room.publish(entry)

    def reset(self, floor: Position) -> None:
        """The log was made anew: what was numbered before means nothing now."""
        self.floor = floor
        for room in self._rooms.values():
            room.ring.reset(floor)

    def shrink(self) -> None:
        """Lets unread rooms go when all together hold too much. Called once a second."""
        excess = sum(_weight(room) for room in self._rooms.values()) - self._config.rooms_bytes
        for room_id, room in list(self._rooms.items()):
            if excess <= 0:
                return
            if not room.in_use:
                excess -= _weight(room)
                self.floor = max(self.floor, room.ring.last)
                del self._rooms[room_id]


def _weight(room: Room) -> int:
    return room.ring.bytes + _ROOM_BYTES


class Feed:
    """Reads the outbox into the rooms, from its newest `replay` entries on."""

    def __init__(
        self,
        log: Log,
        rooms: Rooms,
        config: ChatConfig,
        tally: Tally,
        on_failure: Callable[[BaseException], None] | None,
    ) -> None:
        self.seen = 0
        self._log = log
        self._rooms = rooms
        self._config = config
        self._tally = tally
        self._stream = outbox(config.edge_id)
        self._tasks = Tasks(on_failure)
        self._progress = asyncio.Event()
        self._events = get_logger("chat")

    async def start(self) -> None:
        """Returns when everything that was in the log is in the rooms. UnavailableError after half a minute."""
        try:
            async with asyncio.timeout(_START_S):
                oldest, newest = await self._bounds()
                first = max(1, oldest, newest - self._config.replay + 1)
                self._rooms.floor = Position.before_entry(first)
                self.seen = first - 1
                self._tasks.start(self._follow(first), "chat-feed")
                await self.reached(newest)
        except TimeoutError:
            raise UnavailableError("the outbox cannot be read") from None

    async def _bounds(self) -> tuple[int, int]:
        """Of the log: the first entry that has not been trimmed, and the newest chat."""
        while True:
            try:
                info = await self._log.api(f"STREAM.INFO.{self._stream}")
                message = await self._log.last_message(self._stream, _ALL_ROOMS)
            except UnavailableError:
                await asyncio.sleep(_AGAIN_S)
            else:
                return int(info["state"]["first_seq"]), 0 if message is None else message.seq

    async def _follow(self, first: int) -> None:
        async for message in self._log.tail(self._stream, [_ALL_ROOMS], first):
            if message.seq <= self.seen:
                self._tally.events["log_reset"] += 1
                self._events.warning("chat_log_made_anew", seen=self.seen, now=message.seq)
                self._rooms.reset(Position.before_entry(message.seq))
            self.seen = message.seq
            self._rooms.deliver(message)
            self._progress.set()
            self._progress.clear()

    async def reached(self, seq: int) -> None:
        """Returns when entry `seq` was read; the caller bounds the wait."""
        while self.seen < seq:
            await self._progress.wait()

    async def has(self, seq: int) -> bool:
        """Whether entry `seq` was read, waited for a moment: another gateway of the edge may be ahead."""
        try:
            async with asyncio.timeout(_AHEAD_S):
                await self.reached(seq)
        except TimeoutError:
            return False
        return True

    async def older(self, room_id: str, after: Position, limit: int, wait_s: float) -> Older:
        """About `limit` messages of a room behind `after`, in order, read from the log."""
        found = Older(after, [], after, failed=True)
        try:
            async with asyncio.timeout(wait_s):
                async for found in self._read(chat(room_id, self._config.edge_id), after):
                    if not found.failed or len(found.entries) >= limit:
                        break
        except (TimeoutError, NearcastError):
            self._tally.events["older_cut"] += 1
            return found
        return found._replace(failed=False)

    async def _read(self, subject: str, after: Position) -> AsyncGenerator[Older, None]:
        """What has been read so far, after each entry; the last one has not `failed`."""
        seen = self.seen
        info = await self._log.api(f"STREAM.INFO.{self._stream}")
        start = max(after, Position.before_entry(int(info["state"]["first_seq"])))
        newest = await self._log.last_message(self._stream, subject)
        end = max(seen, newest.seq if newest else 0)
        entries: list[Entry] = []
        if newest is not None and newest.seq >= start.seq:
            async for message in self._log.tail(self._stream, [subject], max(1, start.seq)):
                entries += [entry for entry in _readable(message) if entry.position > start]
                if message.seq >= newest.seq:
                    break
                yield Older(start, entries, Position.before_entry(message.seq + 1), failed=True)
        yield Older(start, entries, Position.before_entry(end + 1), failed=False)

    async def close(self) -> None:
        """Stops reading."""
        await self._tasks.close()


def _readable(message: LogMessage) -> list[Entry]:
    try:
        return entries_of(message)
    except msgspec.DecodeError:
        return []
