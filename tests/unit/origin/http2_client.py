"""A client of HTTP/2 for the origin's tests: written here byte by byte, so that it can also be rude."""

import asyncio
import contextlib
import struct

from edge.protocols.http2 import frames
from edge.protocols.http2.frames import Flag, Kind
from edge.protocols.http2.hpack import Table, decode, encode_fields


class Answer:
    """What came on one stream."""

    def __init__(self):
        self.headers, self.body = {}, b""
        self.ended, self.reset = False, None

    @property
    def status(self):
        return int(self.headers[":status"])


class Http2Client:
    """A connection; `streams` fills up while it is read."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.streams, self.goaway, self.opened = {}, [], 0
        self.windows, self.closed = True, False
        self._changed = asyncio.Event()
        self._reading = asyncio.ensure_future(self._read())

    @classmethod
    async def connect(cls, port, ssl=None, settings=()):
        client = cls(*await asyncio.open_connection("127.0.0.1", port, ssl=ssl))
        client.send(frames.PREFACE + frames.settings(settings))
        return client

    def send(self, data):
        self.writer.write(data)

    def ask(self, path, method="GET", body=None, **fields):
        """Sends a request; its stream's number."""
        number = 2 * self.opened + 1
        self.opened += 1
        self.streams[number] = Answer()
        block = [(b":method", method.encode()), (b":scheme", b"https"), (b":authority", b"edge")]
        block.append((b":path", path.encode()))
        block += [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in fields.items()]
        flags = Flag.END_HEADERS | (0 if body is not None else Flag.END_STREAM)
        self.send(frames.frame(Kind.HEADERS, flags, number, encode_fields(block)))
        if body is not None:
            self.send(frames.frame(Kind.DATA, Flag.END_STREAM, number, body))
        return number

    async def get(self, path, method="GET", body=None, **fields):
        """A whole answer."""
        return await self.ended(self.ask(path, method, body, **fields))

    async def ended(self, number):
        answer = self.streams[number]
        await self.until(lambda: answer.ended or answer.reset is not None or self.closed)
        return answer

    async def until(self, condition):
        async with asyncio.timeout(5):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def _read(self):
        try:
            while True:
                head = await self.reader.readexactly(9)
                payload = await self.reader.readexactly(int.from_bytes(head[:3], "big"))
                self._frame(head[3], head[4], int.from_bytes(head[5:], "big"), payload)
                self._changed.set()
        except (asyncio.IncompleteReadError, OSError):
            self.closed = True
            self._changed.set()

    def _frame(self, kind, flags, number, payload):
        answer = self.streams.get(number)
        if kind == Kind.GOAWAY:
            self.goaway.append(struct.unpack("!II", payload[:8]))
        elif kind == Kind.HEADERS:
            fields, _ = decode(Table(), payload, 1 << 20)
            answer.headers = {name.decode(): value.decode() for name, value in fields}
        elif kind == Kind.DATA:
            answer.body += payload
            if self.windows and payload:
                self.send(frames.window_update(0, len(payload)) + frames.window_update(number, len(payload)))
        elif kind == Kind.RST_STREAM:
            answer.reset = struct.unpack("!I", payload)[0]
        elif kind == Kind.SETTINGS and not flags & Flag.ACK:
            self.send(frames.SETTINGS_ACK)
        if kind in (Kind.HEADERS, Kind.DATA) and flags & Flag.END_STREAM:
            answer.ended = True

    async def close(self):
        self._reading.cancel()
        self.writer.close()
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            await self.writer.wait_closed()
