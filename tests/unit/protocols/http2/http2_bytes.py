"""A client of HTTP/2 that says exactly what a test wants, right or wrong."""

import struct

from edge.protocols.http2 import frames
from edge.protocols.http2.connection import Connection
from edge.protocols.http2.frames import Flag, Kind
from edge.protocols.http2.hpack import Table, decode, encode_fields
from edge.protocols.http2.requests import BlockMemo
from edge.protocols.http2.stream import Stream

GET = ((b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"edge"), (b":path", b"/a?b"))
POST = ((b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"edge"), (b":path", b"/whip"))
END = Flag.END_HEADERS | Flag.END_STREAM


class Peer:
    """A connection after its preface, and what it wrote."""

    def __init__(self, memo=None, *settings, greet=True):
        self.now = 0.0
        self.core = Connection(memo or BlockMemo(), Stream, self.now)
        if greet:
            self.send(frames.PREFACE, frames.settings(settings))
            self.read()

    def send(self, *data):
        self.core.receive_data(b"".join(data), self.now)

    def get(self, number=1, fields=GET, flags=END):
        self.send(headers(number, fields, flags))

    def data(self, most=1 << 20):
        return b"".join(self.core.take_data(most))

    def read(self, most=1 << 20):
        """The frames it wrote, as (kind, flags, stream, payload)."""
        return split(self.data(most))

    def kinds(self):
        return [kind for kind, *_ in self.read()]

    def requests(self):
        found, self.core.requests = self.core.requests, []
        return found

    def reason(self):
        """The code of the GOAWAY that ends the connection."""
        found = [payload for kind, _, _, payload in self.read() if kind == Kind.GOAWAY]
        assert self.core.dead == bool(found)
        return struct.unpack("!II", found[-1][:8])[1] if found else None

    def resets(self):
        """The streams it reset, with their codes."""
        return [
            (number, struct.unpack("!I", data)[0])
            for kind, _, number, data in self.read()
            if kind == Kind.RST_STREAM
        ]


def headers(number, fields=GET, flags=END):
    return frames.frame(Kind.HEADERS, flags, number, encode_fields(fields))


def data(number, payload=b"", *, end=False):
    return frames.frame(Kind.DATA, Flag.END_STREAM if end else 0, number, payload)


def split(data):
    found, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 3], "big")
        number = int.from_bytes(data[at + 5 : at + 9], "big")
        assert at + 9 + size <= len(data), "half a frame was written"
        found.append((data[at + 3], data[at + 4], number, data[at + 9 : at + 9 + size]))
        at += 9 + size
    return found


def fields_of(payload):
    fields, _ = decode(Table(), payload, 1 << 20)
    return dict(fields)
