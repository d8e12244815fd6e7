"""The chunk layer (RTMP 1.0, 5.3): messages out of a byte stream and back into it."""

from typing import NamedTuple

from appliance.contracts.errors import BadInputError

MAX_MESSAGE = 10 * 1024 * 1024
MAX_REASSEMBLY = 16 * 1024 * 1024
MAX_CHUNK_STREAMS = 64
DEFAULT_CHUNK_SIZE = 128

SET_CHUNK_SIZE, ABORT = 1, 2

_EXTENDED = 0xFFFFFF
_HEADER_SIZE = (11, 7, 3, 0)
_MODULUS = 1 << 32


class ChunkError(BadInputError):
    """The framing is lost or a limit exceeded: the connection cannot go on."""

    code = "chunk"


class Message(NamedTuple):
    """An RTMP message. `timestamp` in milliseconds modulo 2^32."""

    kind: int
    stream_id: int
    timestamp: int
    payload: bytes


class _ChunkStream:
    """What later chunks of the same chunk stream leave out."""

    __slots__ = ("delta", "extended", "kind", "length", "partial", "stream_id", "timestamp")

    def __init__(self) -> None:
        self.timestamp = 0
        self.delta = 0
        self.length = 0
        self.kind = 0
        self.stream_id = 0
        self.extended: int | None = None  # the last extended timestamp field, None when there was none
        self.partial: bytearray | None = None


class ChunkReader:
    """Feed bytes, get messages. Set Chunk Size and Abort are obeyed here and passed on as well."""

    def __init__(self) -> None:
        self.quirks: list[str] = []  # what was tolerated since the owner last emptied the list
        self._buffer = bytearray()
        self._chunk_size = DEFAULT_CHUNK_SIZE
        self._streams: dict[int, _ChunkStream] = {}
        self._partial_bytes = 0

    def feed(self, data: bytes) -> list[Message]:
        """Complete messages. ChunkError when the framing is lost; the object is dead then."""
        self._buffer += data
        messages: list[Message] = []
        at = 0
        while True:
            consumed, message = self._chunk(at)
            if not consumed:
                break
            at += consumed
            if message is not None:
                self._obey(message)
                messages.append(message)
        del self._buffer[:at]
        return messages

    def _chunk(self, at: int) -> tuple[int, Message | None]:
        """Reads one chunk at an offset: bytes consumed (0: more are needed) and the message it completes."""
        basic = self._basic_header(at)
        if basic is None:
            return 0, None
        form, chunk_stream_id, cursor = basic
        stream = self._stream(chunk_stream_id, form)
        header_end = cursor + _HEADER_SIZE[form]
        if header_end > len(self._buffer):
            return 0, None
        field, extended, body = self._timestamp(stream, form, cursor, header_end)
        if body is None:
            return 0, None
        length = int.from_bytes(self._buffer[cursor + 3 : cursor + 6], "big") if form < 2 else stream.length
        continues = form == 3 and stream.partial is not None
        have = len(stream.partial) if continues and stream.partial is not None else 0
        size = min(self._chunk_size, length - have)
        if length > MAX_MESSAGE:
            raise ChunkError("a message is larger than 10 MiB")
        if body + size > len(self._buffer):
            return 0, None
        if not continues:
            self._begin(stream, form, cursor, field, extended)
        return body + size - at, self._append(stream, body, size)

    def _basic_header(self, at: int) -> tuple[int, int, int] | None:
        """Format, chunk stream id and where the message header begins."""
        left = len(self._buffer) - at
        if left < 1:
            return None
        first = self._buffer[at]
        form, low = first >> 6, first & 0x3F
        if low > 1:
            return form, low, at + 1
        if left < 2 + low:
            return None
        chunk_stream_id = 64 + self._buffer[at + 1]
        if low:
            chunk_stream_id += self._buffer[at + 2] << 8
        return form, chunk_stream_id, at + 2 + low

    def _stream(self, chunk_stream_id: int, form: int) -> _ChunkStream:
        stream = self._streams.get(chunk_stream_id)
        if stream is not None:
            return stream
        if len(self._streams) >= MAX_CHUNK_STREAMS:
            raise ChunkError("too many chunk streams")
        if form:  # without a length (2 and 3) the message counts as empty
            self.quirks.append("chunk_stream_begins_with_delta" if form == 1 else "chunk_stream_without_length")
        stream = self._streams[chunk_stream_id] = _ChunkStream()
        return stream

    def _timestamp(
        self, stream: _ChunkStream, form: int, cursor: int, header_end: int
    ) -> tuple[int, int | None, int | None]:
        """The timestamp field, its extended form, and where the body begins (None: more bytes are needed)."""
        buffer = self._buffer
        if form < 3:
            field = int.from_bytes(buffer[cursor : cursor + 3], "big")
            if field != _EXTENDED:
                return field, None, header_end
            if header_end + 4 > len(buffer):
                return 0, None, None
            field = int.from_bytes(buffer[header_end : header_end + 4], "big")
            return field, field, header_end + 4
        if stream.extended is None:
            return 0, None, header_end
        if header_end + 4 > len(buffer):
            return 0, None, None
        # Some encoders repeat the extended timestamp in format 3 and some do not: it is there when equal.
        repeated = int.from_bytes(buffer[header_end : header_end + 4], "big") == stream.extended
        return 0, stream.extended, header_end + 4 if repeated else header_end

    def _begin(self, stream: _ChunkStream, form: int, cursor: int, field: int, extended: int | None) -> None:
        """Takes the header of a new message."""
        if stream.partial is not None:
            self._drop(stream)
            self.quirks.append("message_cut_by_new_header")
        buffer = self._buffer
        if form < 2:
            stream.length = int.from_bytes(buffer[cursor + 3 : cursor + 6], "big")
            stream.kind = buffer[cursor + 6]
        if form == 0:
            stream.stream_id = int.from_bytes(buffer[cursor + 7 : cursor + 11], "little")
            stream.timestamp, stream.delta = field, 0
        else:
            if form < 3:
                stream.delta = field
            stream.timestamp = (stream.timestamp + stream.delta) % _MODULUS
        stream.extended = extended
        stream.partial = bytearray()

    def _append(self, stream: _ChunkStream, body: int, size: int) -> Message | None:
        partial = stream.partial if stream.partial is not None else bytearray()
        partial += self._buffer[body : body + size]
        self._partial_bytes += size
        if self._partial_bytes > MAX_REASSEMBLY:
            raise ChunkError("too many unfinished messages")
        if len(partial) < stream.length:
            return None
        self._drop(stream)
        return Message(stream.kind, stream.stream_id, stream.timestamp, bytes(partial))

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
