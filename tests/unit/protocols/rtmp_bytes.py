"""An encoder's side of RTMP as bytes, for tests."""

import itertools
from collections.abc import Sequence

from edge.protocols import amf
from edge.protocols.rtmp.chunks import ChunkWriter, Message

HANDSHAKE = b"\3" + bytes(1536) + bytes(1536)


class Encoder:
    """Writes what an encoder sends."""

    def __init__(self) -> None:
        self.writer = ChunkWriter()

    def command(self, *values: amf.AmfValue | int, stream_id: int = 0) -> bytes:
        return self.writer.write(3, Message(20, stream_id, 0, amf.encode(values)))

    def connect(
        self, app: str = "live", tc_url: str = "rtmp://host/live", transaction: int = 1, **more: amf.AmfValue
    ) -> bytes:
        return self.command("connect", transaction, {"app": app, "tcUrl": tc_url, "flashVer": "test/1", **more})

    def publish(self, name: str = "KEY", kind: str = "live") -> bytes:
        return self.command("publish", 5, None, name, kind, stream_id=1)

    def opening(self, name: str = "KEY", **more: amf.AmfValue) -> bytes:
        return HANDSHAKE + self.connect(**more) + self.command("createStream", 4, None) + self.publish(name)

    def chunk_size(self, size: int) -> bytes:
        data = self.writer.write(2, Message(1, 0, 0, size.to_bytes(4, "big")))
        self.writer.chunk_size = size
        return data

    def media(self, kind: int, stamp: int, body: bytes) -> bytes:
        return self.writer.write(4 if kind == 8 else 6, Message(kind, 1, stamp, body))

    def video(self, stamp: int, body: bytes) -> bytes:
        return self.media(9, stamp, body)

    def audio(self, stamp: int, body: bytes) -> bytes:
        return self.media(8, stamp, body)

    def metadata(self, *values: amf.AmfValue) -> bytes:
        return self.writer.write(4, Message(18, 1, 0, amf.encode(values)))


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """`data` split at some places."""
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in itertools.pairwise(places)]
