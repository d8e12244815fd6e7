"""The chunk layer (RTMP 1.0, 5.3): messages out of a byte stream and back into it."""

from typing import Final

from edge.protocols.record import Record
from edge.protocols.rtmp.errors import ChunkError

MAX_MESSAGE: Final = 10 * 1024 * 1024
MAX_REASSEMBLY: Final = 16 * 1024 * 1024
MAX_CHUNK_STREAMS: Final = 64
DEFAULT_CHUNK_SIZE: Final = 128

SET_CHUNK_SIZE: Final = 1
ABORT: Final = 2

_EXTENDED: Final = 0xFFFFFF
_HEADER_SIZE: Final = (11, 7, 3, 0)
_MODULUS: Final = 1 << 32


class Message(Record):
    """An RTMP message. `timestamp` in milliseconds modulo 2^32."""

    __slots__ = ("kind", "payload", "stream_id", "timestamp")

    def __init__(self, kind: int, stream_id: int, timestamp: int, payload: bytes) -> None:
        self.kind = kind
        self.stream_id = stream_id
        self.timestamp = timestamp
        self.payload = payload

    def fields(self) -> tuple[object, ...]:
        """See Record."""
        return self.kind, self.stream_id, self.timestamp, self.payload


class _ChunkStream:
    """What later chunks of the same chunk stream leave out."""

    __slots__ = ("delta", "extended", "goes_on", "kind", "length", "partial", "stream_id", "timestamp")

    def __init__(self, chunk_stream_id: int = 0) -> None:
        self.goes_on = 0xC0 | chunk_stream_id if chunk_stream_id < 64 else -1  # format 3 in one byte
        self.timestamp = 0
        self.delta = 0
        self.length = 0
        self.kind = 0
        self.stream_id = 0
        self.extended: int | None = None  # the last extended timestamp field, None when there was none
        self.partial: bytearray | None = None


class ChunkReader:
    """Feed bytes, get messages. Set Chunk Size and Abort are obeyed here and passed on as well.

    Bodies are taken as they come: only a header that was cut off is kept and looked at twice.
    """

    def __init__(self) -> None:
        self.quirks: list[str] = []  # what was tolerated since the owner last emptied the list
        self._rest = b""  # of a header that was cut off
        self._chunk_size = DEFAULT_CHUNK_SIZE
        self._streams: dict[int, _ChunkStream] = {}
        self._partial_bytes = 0
        self._in_body = False  # of a chunk: `_left` bytes of it have not come yet
        self._stream = _ChunkStream()  # whose chunk that is
        self._left = 0

    @property
    def missing(self) -> int:
        """Bytes that are still to come of the message that was read last; 0 when it is complete."""
        partial = self._stream.partial
        return 0 if partial is None else self._stream.length - len(partial)

    def feed(self, data: bytes) -> list[Message]:
        """Complete messages. ChunkError when the framing is lost; the object is dead then."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        messages: list[Message] = []
        at, end = 0, len(data)
        while at < end:
            if not self._in_body:
                after = self._whole(data, at, end, messages)
                if after:
                    at = after
                    continue
                body = self._header(data, at, end)
                if not body:
                    self._rest = data[at:]
                    break
                at = body
            at = self._body(data, at, end, messages)
        return messages

    def _whole(self, data: bytes, at: int, end: int, messages: list[Message]) -> int:
        """Takes a message of one chunk that says its length and is all there, as those of sound are.

        Or whole chunks that go on with a message, but for its last. Where it ends; 0: it is none of both.
        """
        head = data[at]
        stream = self._streams.get(head & 0x3F)
        if stream is None or at + 12 > end:
            return 0
        if stream.partial is not None:
            return self._whole_chunks(stream, data, at, end) if head == stream.goes_on else 0
        form = head >> 6
        if form > 1:
            return 0
        field = data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3]
        length = data[at + 4] << 16 | data[at + 5] << 8 | data[at + 6]
        kind = data[at + 7]
        body = at + 12 - 4 * form
        after = body + length
        if field == _EXTENDED or kind <= ABORT or length > self._chunk_size or after > end:
            return 0
        if form:
            stream.delta, stream.timestamp = field, (stream.timestamp + field) % _MODULUS
        else:
            stream.delta, stream.timestamp = 0, field
            stream.stream_id = data[at + 8] | data[at + 9] << 8 | data[at + 10] << 16 | data[at + 11] << 24
        stream.length, stream.kind, stream.extended = length, kind, None
        self._stream = stream
        messages.append(Message(kind, stream.stream_id, stream.timestamp, data[body:after]))
        return after

    def _whole_chunks(self, stream: _ChunkStream, data: bytes, at: int, end: int) -> int:
        """The same of the second case."""
        partial, size = stream.partial, self._chunk_size
        if partial is None or stream.extended is not None:
            return 0
        count = min((stream.length - len(partial) - 1) // size, (end - at) // (size + 1))
        head, view, begun = stream.goes_on, memoryview(data), at
        if self._partial_bytes + count * size > MAX_REASSEMBLY:
            return 0
        while count > 0 and data[at] == head:
            partial += view[at + 1 : at + 1 + size]
            at += 1 + size
            count -= 1
        self._partial_bytes += at - begun - (at - begun) // (size + 1)
        self._stream = stream
        return at if at > begun else 0

    def _header(self, data: bytes, at: int, end: int) -> int:
        """Reads a chunk's headers at an offset. Where its body begins; 0: more bytes are needed."""
        form, chunk_stream_id, cursor = data[at] >> 6, data[at] & 0x3F, at + 1
        if chunk_stream_id < 2:
            if at + 2 + chunk_stream_id > end:
                return 0
            cursor += 1 + chunk_stream_id
            chunk_stream_id = 64 + int.from_bytes(data[at + 1 : cursor], "little")
        stream = self._streams.get(chunk_stream_id) or self._new_stream(chunk_stream_id, form)
        header_end = cursor + _HEADER_SIZE[form]
        if header_end > end:
            return 0
        field = int.from_bytes(data[cursor : cursor + 3], "big") if form < 3 else 0
        extended, body = None, header_end
        if field == _EXTENDED or (form == 3 and stream.extended is not None):
            field, extended, body = _extended(stream, form, data, header_end)
            if body > end:
                return 0
        partial = stream.partial
        if form < 3 or partial is None:
            self._begin(stream, form, data, cursor, field, extended)
            self._left = min(self._chunk_size, stream.length)
        else:
            self._left = min(self._chunk_size, stream.length - len(partial))
        self._stream, self._in_body = stream, True
        return body

    def _new_stream(self, chunk_stream_id: int, form: int) -> _ChunkStream:
        if len(self._streams) >= MAX_CHUNK_STREAMS:
            raise ChunkError("too many chunk streams")
        if form:  # without a length (2 and 3) the message counts as empty
            self.quirks.append("chunk_stream_begins_with_delta" if form == 1 else "chunk_stream_without_length")
        stream = self._streams[chunk_stream_id] = _ChunkStream(chunk_stream_id)
        return stream

    def _begin(
        self, stream: _ChunkStream, form: int, data: bytes, cursor: int, field: int, extended: int | None
    ) -> None:
        """Takes the header of a new message."""
        if stream.partial is not None:
            self._drop(stream)
            self.quirks.append("message_cut_by_new_header")
        if form < 2:
            stream.length = int.from_bytes(data[cursor + 3 : cursor + 6], "big")
            stream.kind = data[cursor + 6]
            if stream.length > MAX_MESSAGE:
                raise ChunkError("a message is larger than 10 MiB")
        if form == 0:
            stream.stream_id = int.from_bytes(data[cursor + 7 : cursor + 11], "little")
            stream.timestamp, stream.delta = field, 0
        else:
            if form < 3:
                stream.delta = field
            stream.timestamp = (stream.timestamp + stream.delta) % _MODULUS
        stream.extended = extended

    def _body(self, data: bytes, at: int, end: int, messages: list[Message]) -> int:
        """Takes what is there of a chunk's body and returns where that ends."""
        stream = self._stream
        size = min(self._left, end - at)
        stop = at + size
        if size == stream.length and stream.partial is None:
            payload, self._in_body = data[at:stop], False  # all of it at once: nothing to put together
        else:
            assembled = self._assemble(stream, memoryview(data)[at:stop])
            if assembled is None:
                return stop
            payload = assembled
        message = Message(stream.kind, stream.stream_id, stream.timestamp, payload)
        if message.kind <= ABORT:
            self._obey(message)
        messages.append(message)
        return stop

    def _assemble(self, stream: _ChunkStream, piece: memoryview) -> bytes | None:
        """Adds a piece of a chunk's body to its message. The message when that is complete."""
        if stream.partial is None:
            stream.partial = bytearray()
        stream.partial += piece
        self._partial_bytes += len(piece)
        if self._partial_bytes > MAX_REASSEMBLY:
            raise ChunkError("too many unfinished messages")
        self._left -= len(piece)
        self._in_body = self._left > 0
        if self._in_body or len(stream.partial) < stream.length:
            return None
        payload = bytes(stream.partial)
        self._drop(stream)
        return payload

    def _drop(self, stream: _ChunkStream) -> None:
        if stream.partial is not None:
            self._partial_bytes -= len(stream.partial)
        stream.partial = None

    def _obey(self, message: Message) -> None:
        if message.kind not in (SET_CHUNK_SIZE, ABORT) or len(message.payload) < 4:
            return
        value = int.from_bytes(message.payload[:4], "big")
        if message.kind == ABORT:
            stream = self._streams.get(value)
            if stream is not None:
                self._drop(stream)
            return
        if not 1 <= value <= 0x7FFFFFFF:
            raise ChunkError("a chunk size out of range")
        self._chunk_size = min(value, MAX_MESSAGE)


def _extended(stream: _ChunkStream, form: int, data: bytes, header_end: int) -> tuple[int, int | None, int]:
    """An extended timestamp, as field and as such, and where the body begins.

    That is past the data when bytes are missing.
    """
    if form < 3:
        field = int.from_bytes(data[header_end : header_end + 4], "big")
        return field, field, header_end + 4
    if header_end + 4 > len(data):
        return 0, None, header_end + 4
    # Some encoders repeat the extended timestamp in format 3 and some do not: it is there when equal.
    repeated = int.from_bytes(data[header_end : header_end + 4], "big") == stream.extended
    return 0, stream.extended, header_end + 4 if repeated else header_end


class ChunkWriter:
    """Messages as chunks: a full header for the first chunk of each, format 3 for the rest."""

    def __init__(self) -> None:
        self.chunk_size = DEFAULT_CHUNK_SIZE

    def write(self, chunk_stream_id: int, message: Message) -> bytes:
        """The bytes of a message. `chunk_stream_id` 2 to 63."""
        extended = b""
        stamp = message.timestamp % _MODULUS
        if stamp >= _EXTENDED:
            extended, stamp = stamp.to_bytes(4, "big"), _EXTENDED
        payload = message.payload
        out = bytearray([chunk_stream_id])
        out += stamp.to_bytes(3, "big") + len(payload).to_bytes(3, "big") + bytes([message.kind])
        out += message.stream_id.to_bytes(4, "little") + extended
        out += payload[: self.chunk_size]
        for start in range(self.chunk_size, len(payload), self.chunk_size):
            out.append(0xC0 | chunk_stream_id)
            out += extended + payload[start : start + self.chunk_size]
        return bytes(out)
