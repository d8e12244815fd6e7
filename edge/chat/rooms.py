"""All rooms of a gateway, filled from the outbox as every gateway of the edge reads it."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from appliance.contracts.chat import ChatMessage
from appliance.contracts.errors import NearcastError, UnavailableError
from appliance.contracts.moderation import EventKind, RoomEvent
from appliance.contracts.subjects import chat, is_room_event, outbox, room_event, room_events, room_of
from appliance.runtime.bus import LogMessage
from appliance.runtime.clock import now_ms
from appliance.runtime.fanout import FanOut
from appliance.runtime.logs import get_logger
from appliance.runtime.tasks import Tasks
from edge.chat.config import ChatConfig
from edge.chat.frames import text_frames
from edge.chat.happenings import GREETED, HIDING, is_echo
from edge.chat.journal import Journal, events_of
from edge.chat.metrics import Tally
from edge.chat.positions import Mark, Position
from edge.chat.ring import Entry, Ring
from edge.chat.room import Room, Timer

_ALL_ROOMS = "chat.>"
_START_S = 30.0
_AGAIN_S = 0.2
_AHEAD_S = 2.0
_ROOM_BYTES = 2048  # of a room in which nobody has spoken
_BEFORE_MIN = 60  # a link that was cut for longer: what was done meanwhile is seen when the page is loaded anew
_GONE = 500  # events of those that took messages away
_MINUTES = 32  # in which those who come back were last there


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


class Rooms:
    """Makes rooms when they are asked for or spoken in; the longest silent, unread ones make place.

    Everything behind `floor` is in a ring, unless that ring's own floor says otherwise. `on_event` runs after an
    event of the log, or of another edge, was shown.
    """

    def __init__(
        self,
        config: ChatConfig,
        timer: Timer,
        tally: Tally,
        journal: Journal,
        fan_out: FanOut,
        on_event: Callable[[RoomEvent], None],
    ) -> None:
        self.journal = journal
        self._on_event = on_event
        self.floor = Position(0, 0)
        self._config = config
        self._timer = timer
        self._tally = tally
        self._fan_out = fan_out
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
            ring, window_s = Ring(self.floor), self._config.window_s
            room = Room(room_id, ring, self._timer, self._tally, self._fan_out, window_s, self.says)
            self._rooms[room_id] = room
        return room

    def deliver(self, message: LogMessage) -> None:
        """Shows the messages, or does and shows the events, of one log entry."""
        try:
            room_id = room_of(message.subject)
            if is_room_event(message.subject):
                for item, event in enumerate(events_of(message)):
                    if self.journal.takes(event):
                        self._happen(room_id, message.seq, item, event)
                return
            entries = self.journal.read(message, live=True)
        except (ValueError, msgspec.DecodeError):
            self._tally.events["bad_entry"] += 1
            return
        self._show(room_id, entries)

    def _show(self, room_id: str, entries: list[Entry]) -> None:
        room = self.get(room_id)
        self._rooms.move_to_end(room_id)
        for entry in entries:
            room.publish(entry)

    def _happen(self, room_id: str, seq: int, item: int, event: RoomEvent) -> None:
        self.journal.states.apply(event)
        if event.event in HIDING:
            self.hide(room_id)
        self._show(room_id, self.journal.shown(seq, item, event))
        if not is_echo(event):
            self._on_event(event)

    def elsewhere(self, room_id: str, events: Iterable[RoomEvent]) -> None:
        """Shows what was done in a room at other edges, if anybody has read it; it holds already."""
        room = self._rooms.get(room_id)
        if room is None:
            return
        found = [self._named(event) for event in events]
        if any(event.event in HIDING for event in found):
            self.hide(room_id)
        for event in found:
            for entry in self.journal.shown(0, 0, event):
                if event.event not in GREETED:
                    room.told.add(room.ring.last, entry.data)
                if room.in_use:
                    room.event(entry.data)
            if room.in_use:
                self._on_event(event)

    def _named(self, event: RoomEvent) -> RoomEvent:
        """With the author of a message that was deleted, while it is in memory."""
        said = self.find(event.room, event.message_id) if event.event is EventKind.DELETE else None
        return (
            event if said is None else msgspec.structs.replace(event, target_id=said.user_id, target=said.username)
        )

    def says(self, position: Position) -> str:
        """A position as clients are told it, who have been told everything until now."""
        return str(Mark(position, now_ms() // 1000, self._config.edge_id))

    def is_here(self, mark: Mark) -> bool:
        """Whether it is a position in this edge's log."""
        return mark.edge in ("", self._config.edge_id)

    def missed(self, room: Room, since: Mark, upto: Position) -> bytes:
        """Frames of what one missed who was there until `since` and that is not in this edge's log, as far as it
        stands behind `upto` at most.

        Where this gateway was not there, or another edge's log is meant, that is what took messages away: from a
        while before, since a link may have been cut then. Some of it may come again.
        """
        if not since.at_s:
            return b""
        is_here = self.is_here(since)
        told = room.told.since(since, upto) if is_here else None
        if told is not None:
            return text_frames(told) if told else b""
        minute = since.at_s // 60 - _BEFORE_MIN
        found = room.gone.get((minute, is_here))
        if found is None:
            events = self.journal.states.taken_away(room.room_id, minute * 60_000, _GONE, elsewhere=is_here)
            shown = [entry.data for event in events for entry in self.journal.shown(0, 0, event)]
            found = text_frames(shown) if shown else b""
            if len(room.gone) >= _MINUTES:
                room.gone.clear()
            room.gone[minute, is_here] = found
        return found

    def hide(self, room_id: str) -> None:
        """Takes what is gone out of the room's ring, and out of what quotes it."""
        room = self._rooms.get(room_id)
        if room is not None:
            room.hide(lambda data: self.journal.left(room_id, data))

    def find(self, room_id: str, message_id: str) -> ChatMessage | None:
        """A message in memory, by its id."""
        room = self._rooms.get(room_id)
        if room is None:
            return None
        wanted = b'"%b"' % message_id.encode()
        for entry in reversed(room.ring.entries(room.ring.first, room.ring.end)):
            if not entry.event and wanted in entry.data:
                found = msgspec.json.decode(entry.data, type=ChatMessage)
                if found.message_id == message_id:
                    return found
        return None

    def reset(self, floor: Position) -> None:
        """The log was made anew: what was numbered before means nothing now."""
        self.floor = floor
        for room in self._rooms.values():
            room.reset(floor)

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
        self._happenings = room_events(config.edge_id)
        self._tasks = Tasks(on_failure)
        self._progress = asyncio.Event()
        self._events = get_logger("chat")

    async def start(self) -> None:
        """Returns when everything that was in the log is in the rooms. UnavailableError after half a minute."""
        try:
            async with asyncio.timeout(_START_S):
                oldest, newest, happened = await self._bounds()
                if happened:
                    await self._recall(max(1, oldest), happened)
                first = max(1, oldest, newest - self._config.replay + 1)
                self._rooms.floor = Position.before_entry(first)
                self.seen = first - 1
                self._tasks.start(self._follow(first), "chat-feed")
                await self.reached(newest)
        except TimeoutError:
            raise UnavailableError("the outbox cannot be read") from None

    async def _recall(self, oldest: int, newest: int) -> None:
        """What was done in rooms of this edge and may not have reached the centre: all events the outbox has."""
        async for message in self._log.tail(self._stream, [self._happenings], oldest):
            try:
                for event in events_of(message):
                    if self._rooms.journal.takes(event):
                        self._rooms.journal.states.apply(event)
            except msgspec.DecodeError:
                self._tally.events["bad_entry"] += 1
            if message.seq >= newest:
                return

    async def _bounds(self) -> tuple[int, int, int]:
        """Of the log: the first entry that has not been trimmed, the newest of all rooms, their newest event."""
        while True:
            try:
                info = await self._log.api(f"STREAM.INFO.{self._stream}")
                message = await self._log.last_message(self._stream, _ALL_ROOMS)
                event = await self._log.last_message(self._stream, self._happenings)
            except UnavailableError:
                await asyncio.sleep(_AGAIN_S)
            else:
                happened = 0 if event is None else event.seq
                newest = max(happened, 0 if message is None else message.seq)
                return int(info["state"]["first_seq"]), newest, happened

    async def _follow(self, first: int) -> None:
        async for message in self._log.tail(self._stream, [_ALL_ROOMS, self._happenings], first):
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

    async def older(self, room_id: str, after: Position, limit: int, wait_s: float, *, upto: int = 0) -> Older:
        """About `limit` messages and events of a room behind `after`, in order, read from the log; `upto`: nothing
        behind this entry is wanted."""
        found = Older(after, [], after, failed=True)
        try:
            async with asyncio.timeout(wait_s):
                async for found in self._read(room_id, after, upto):
                    if not found.failed or len(found.entries) >= limit:
                        break
        except (TimeoutError, NearcastError):
            self._tally.events["older_cut"] += 1
            return found
        return found._replace(failed=False)

    async def _read(self, room_id: str, after: Position, upto: int) -> AsyncGenerator[Older, None]:
        """What has been read so far, after each entry; the last one has not `failed`."""
        seen = self.seen
        info = await self._log.api(f"STREAM.INFO.{self._stream}")
        start = max(after, Position.before_entry(int(info["state"]["first_seq"])))
        subjects = [chat(room_id, self._config.edge_id), room_event(room_id, self._config.edge_id)]
        last = [await self._log.last_message(self._stream, subject) for subject in subjects]
        newest = max(message.seq if message else 0 for message in last)
        end = max(seen, newest)
        if upto:
            newest = min(newest, upto)
        entries: list[Entry] = []
        if newest >= max(1, start.seq):
            async for message in self._log.tail(self._stream, subjects, max(1, start.seq)):
                entries += [entry for entry in self._readable(message) if entry.position > start]
                if message.seq >= newest:
                    break
                yield Older(start, entries, Position.before_entry(message.seq + 1), failed=True)
        yield Older(start, entries, Position.before_entry(end + 1), failed=False)

    def _readable(self, message: LogMessage) -> list[Entry]:
        try:
            return self._rooms.journal.read(message)
        except (ValueError, msgspec.DecodeError):
            return []

    async def close(self) -> None:
        """Stops reading."""
        await self._tasks.close()
