"""A clock that stands still, a log in memory, readers that take as much as they are told to."""

import asyncio
import heapq
import itertools
import zlib

import msgspec

from appliance.contracts.errors import UnavailableError
from appliance.runtime.bus import LogMessage
from edge.chat.audience import Reader


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
        self.packed = 0  # compressed ones among the frames last read

    def write(self, data):
        assert not self.paused or self.joined is None, "written to although it takes no more"
        self.data += bytes(data)
        self.space -= len(data)
        if self.space < 0 and not self.paused:
            self.paused = True
            if self.joined is not None:
                self.joined.lag(self)

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
            assert self.data[at] in ((0x81, 0xC1) if self.deflated else (0x81,))
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
        found = [one for one in self.stored if subject in (one.subject, "chat.>")]
        return found[-1] if found else None

    async def api(self, verb):
        return {"state": {"first_seq": self.stored[0].seq if self.stored else self.next}}

    async def tail(self, stream, subjects, start=1):
        at = start
        while True:
            for message in list(self.stored):
                if message.seq >= at and subjects[0] in (message.subject, "chat.>"):
                    at = message.seq + 1
                    yield message
            self._wake.clear()
            await self._wake.wait()
