"""A clock that stands still, a log in memory, readers that take as much as they are told to."""

import asyncio
import heapq
import itertools
import zlib

import msgspec
import pytest

from appliance.contracts.directory import ChannelRecord, TokenRecord
from appliance.contracts.errors import NearcastError, UnavailableError
from appliance.contracts.moderation import ModerationRequest
from appliance.runtime.bus import LogMessage
from appliance.runtime.fanout import EachFanOut
from edge.chat.audience import Reader
from edge.chat.config import ChatConfig
from edge.chat.crossing import Crossing
from edge.chat.dialect import PACKED
from edge.chat.index import Index
from edge.chat.journal import Journal, events_of
from edge.chat.limits import SharedLimit, UserLimit
from edge.chat.log import ChatLog
from edge.chat.metrics import Tally
from edge.chat.moderator import Moderator
from edge.chat.quotas import Quotas
from edge.chat.ranks import Author
from edge.chat.rooms import Rooms
from edge.chat.rules import Rules
from edge.chat.states import RoomStates


class FakeTimer:
    """Time moves only by `run`."""

    def __init__(self):
        self.now = 100.0
        self._queue = []
        self._count = itertools.count()

    def time(self):
        return self.now

    def call_soon(self, callback):
        self.call_later(0, callback)

    def call_later(self, delay, callback):
        heapq.heappush(self._queue, (self.now + delay, next(self._count), callback))

    def run(self, seconds=0.0):
        until = self.now + seconds
        while self._queue and self._queue[0][0] <= until:
            at, _, callback = heapq.heappop(self._queue)
            self.now = max(self.now, at)
            callback()
        self.now = max(self.now, until)

    def turn(self):
        """One callback that is due."""
        _, _, callback = heapq.heappop(self._queue)
        callback()


class FakeReader(Reader):
    """Takes `room` bytes, then its socket is full; whole frames land in `frames`."""

    def __init__(self, space=1 << 30):
        super().__init__()
        self.space = space
        self.data = b""
        self.joined = None
        self.slowness, self.clock = 0.0, None  # a write takes as long
        self.packed = 0  # compressed ones among the frames last read

    def write(self, data):
        assert not self.paused or self.joined is None, "written to although it takes no more"
        if self.clock is not None:
            self.clock.now += self.slowness
        self.data += bytes(data)
        self.space -= len(data)
        if self.space < 0 and not self.paused:
            self.paused = True
            if self.joined is not None:
                self.joined.lag(self)

    def spill(self, data):
        self.write(data)

    def drain(self, space=1 << 30):
        self.space, self.paused = space, False
        self.joined.go_on(self)

    def join(self, room, cursor):
        self.joined = room
        room.join(self, cursor, exact=True)

    @property
    def documents(self):
        found, at, self.packed = [], 0, 0
        while at < len(self.data):
            assert self.data[at] in ((0x81, 0xC1) if self.dialect is PACKED else (0x81,))
            packed = self.data[at] == 0xC1
            length, start = self.data[at + 1], at + 2
            if length == 126:
                length, start = int.from_bytes(self.data[at + 2 : at + 4], "big"), at + 4
            elif length == 127:
                length, start = int.from_bytes(self.data[at + 2 : at + 10], "big"), at + 10
            document = self.data[start : start + length]
            if packed:
                self.packed += 1
                document = zlib.decompress(document + b"\x00\x00\xff\xff\x03\x00", -15)
            found.append(msgspec.json.decode(document))
            at = start + length
        return found

    @property
    def messages(self):
        return [one for found in self.documents if found["type"] == "messages" for one in found["messages"]]


class FakeLog:
    """A stream in memory. `away`: appends and questions fail; `hold`: appends wait."""

    def __init__(self, first=1):
        self.stored = []
        self.first = first
        self.next = first
        self.away = False
        self.hold = None
        self.appends = []
        self._wake = asyncio.Event()

    def add(self, subject, *messages):
        data = msgspec.json.encode(list(messages))
        self.put(subject, data)

    def put(self, subject, data):
        self.stored.append(LogMessage(self.next, subject, data))
        self.next += 1
        self._wake.set()
        return self.next - 1

    async def append(self, subject, data, *, message_id, deadline_s):
        self.appends.append((subject, msgspec.json.decode(data), message_id, deadline_s))
        if self.hold is not None:
            await self.hold.wait()
        if self.away:
            raise UnavailableError("away")
        return self.put(subject, data)

    async def last_message(self, stream, subject):
        if self.away:
            raise UnavailableError("away")
        found = [one for one in self.stored if _matches(subject, one.subject)]
        return found[-1] if found else None

    async def api(self, verb):
        return {"state": {"first_seq": self.stored[0].seq if self.stored else self.next}}

    async def tail(self, stream, subjects, start=1):
        at = start
        while True:
            for message in list(self.stored):
                if message.seq >= at and any(_matches(one, message.subject) for one in subjects):
                    at = message.seq + 1
                    yield message
            self._wake.clear()
            await self._wake.wait()


async def read(seq):
    """A gateway that reads what it appends at once."""
    return True


def _matches(wanted, subject):
    """NATS' wildcards, as far as chat uses them."""
    tokens, found = wanted.split("."), subject.split(".")
    if tokens[-1] == ">":
        return found[: len(tokens) - 1] == tokens[:-1]
    return len(tokens) == len(found) and all(a in ("*", b) for a, b in zip(tokens, found, strict=True))


class Desk:
    """Rules with everything behind them, over a log in memory and without a socket.

    `said(name, text)` is what a user with that name writes in alice's room; what is appended is read back at once.
    """

    def __init__(self, **changes):
        self.log, self.tally = FakeLog(), Tally()
        self.config = ChatConfig(edge_id="edge1", **({"user_per_minute": 600} | changes))
        self.changed = []
        self.states = RoomStates("edge1", self.tally, self._elsewhere, self.changed.append)
        self.happened = []
        journal = Journal(self.states, self._heard)
        self.timer = FakeTimer()
        self.rooms = Rooms(self.config, self.timer, self.tally, journal, EachFanOut(), self.happened.append)
        self.index = Index(self.tally, lambda *_: None)
        for number, name in enumerate(("alice", "bob", "carol", "dave", "mona", "vince")):
            record = TokenRecord(token_id=name, user_id=user_id(name), username=name)
            self.index.directory_changed(f"token.{name}", msgspec.json.encode(record))
            channel = ChannelRecord(channel_id=ROOMS[number], channel=name, user_id=user_id(name))
            self.index.directory_changed(f"channel.{channel.channel_id}", msgspec.json.encode(channel))
        self.place = self.index.by_name("alice")
        self.writer = ChatLog(self.log, self.config, self.tally, None, read)
        moderator = Moderator(
            "edge1", self.states, self.index, self.tally,
            submit=self.writer.submit_event, find=self.rooms.find, say=self.writer.submit, viewers=lambda room: 7,
            nonces=journal.nonces,
        )  # fmt: skip
        self.quotas = Quotas(self.config.room_per_minute, self.config.overall_per_minute, None, self.tally)
        limit = SharedLimit(UserLimit(self.config.user_per_minute), None, self.tally)
        self.rules = Rules(
            self.writer, limit, self.quotas, self.states, moderator, self.tally, self.rooms.find, journal.nonces
        )
        self.crossing = Crossing("edge1", self.states, journal.nonces, self.writer, self.tally, self._elsewhere)
        self._read = 0

    def _elsewhere(self, room_id, events):
        self.rooms.elsewhere(room_id, events)

    def _heard(self, room_id, said):
        self.rules.heard(room_id, said)

    async def said(self, name, text, reply_to="", nonce="", **fields):
        author = Author(user_id(name), name, **fields)
        accepted = self.rules.accept(self.place, author, text, reply_to, nonce)
        await accepted.durable
        self.catch_up()
        return accepted

    async def refused(self, name, text):
        with pytest.raises(NearcastError) as caught:
            await self.said(name, text)
        return str(caught.value.code)

    async def acts(self, name, action, **fields):
        wanted = ModerationRequest(action=action, **fields)
        await self.rules.act(self.place, Author(user_id(name), name), wanted).durable
        self.catch_up()
        return events_of(self.log.stored[-1])[0]

    def catch_up(self):
        for message in self.log.stored[self._read :]:
            self.rooms.deliver(message)
        self._read = len(self.log.stored)

    def shown(self, room_id=None):
        """Texts of messages and names of events in the room's ring."""
        ring = self.rooms.get(room_id or self.place.room_id).ring
        found = [msgspec.json.decode(entry.data) for entry in ring.entries(ring.first, ring.end)]
        return [one.get("event") or one["message"] for one in found]

    def last(self, room_id=None):
        ring = self.rooms.get(room_id or self.place.room_id).ring
        return msgspec.json.decode(ring.entries(ring.first, ring.end)[-1].data)

    def put(self, key, record):
        self.states.directory_changed(key, msgspec.json.encode(record))
        self.crossing.directory_changed(key, msgspec.json.encode(record))


ROOMS = [f"0193aaaa-0000-7000-8000-00000000c0{number:02}" for number in range(10)]


def user_id(name):
    return f"u-{name}"


async def staffed(**changes):
    """alice's room with mona as its moderator and vince as a VIP."""
    desk = Desk(**changes)
    await desk.acts("alice", "mod", target="mona")
    await desk.acts("alice", "vip", target="Vince")
    return desk
