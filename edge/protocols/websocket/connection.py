"""One open WebSocket, the server's end: bytes in, messages out; pings and closing answered on the way."""

import codecs
import dataclasses
import enum

from edge.protocols.websocket.frames import (
    FrameError,
    FrameHeader,
    Opcode,
    build_frame,
    close_frame,
    read_header,
    unmask,
)

MAX_MESSAGE = 16 * 1024
PROTOCOL_ERROR, INVALID_DATA, TOO_BIG, NO_CODE = 1002, 1007, 1009, 1005
_ECHOED = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    """A whole text message."""

    text: str


@dataclasses.dataclass(frozen=True, slots=True)
class Binary:
    """A whole binary message."""

    data: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Pong:
    """The peer answered a ping, or sent a pong by itself."""

    payload: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Closed:
    """The peer closed; 1005 when it gave no code. What is to be sent ends with our own close frame."""

    code: int
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Failed:
    """The peer broke the protocol or a limit. What is to be sent ends with a close frame of `code`."""

    code: int
    reason: str


Event = Text | Binary | Pong | Closed | Failed


class State(enum.Enum):
    """OPEN; CLOSING after our close frame (messages are dropped, the peer's close is awaited); CLOSED."""

    OPEN = 0
    CLOSING = 1
    CLOSED = 2


class _FailureError(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class ServerConnection:
    """Reads what a client sends after the opening handshake.

    Holds at most `max_message` bytes of payload and a frame header. Nothing it is fed raises: what is wrong
    comes out as one last Failed event. `frames` counts the frames seen, so that callers can bound their rate.
    """

    __slots__ = (
        "_buffer", "_decoder", "_max_message", "_message", "_opcode", "_out", "_ping", "_size", "frames", "state",
    )  # fmt: skip

    def __init__(self, max_message: int = MAX_MESSAGE) -> None:
        self.state = State.OPEN
        self.frames = 0
        self._max_message = max_message
        self._buffer = bytearray()
        self._out = b""
        self._ping: bytes | None = None
        self._opcode: Opcode | None = None  # of the fragmented message under way
        self._message: list[str] | bytearray = []
        self._size = 0
        self._decoder: codecs.IncrementalDecoder | None = None

    @property
    def closed(self) -> bool:
        """Whether nothing more will be read."""
        return self.state is State.CLOSED

    def receive_data(self, data: bytes) -> list[Event]:
        """Takes bytes from the peer; what they complete, in order. After the end everything is ignored."""
        events: list[Event] = []
        if self.closed:
            return events
        self._buffer += data
        at = 0
        try:
            while not self.closed:
                header = self._header(at)
                if header is None or len(self._buffer) - at < header.size + header.length:
                    break
                start = at + header.size
                at = start + header.length
                self.frames += 1
                event = self._frame(header, unmask(self._buffer[start:at], header.mask))
                if event is not None:
                    events.append(event)
        except _FailureError as failure:
            self._fail(failure)
            events.append(Failed(failure.code, failure.reason))
        del self._buffer[:at]
        return events

    def data_to_send(self) -> bytes:
        """What must be written now; asked for after every other call. Only the newest ping is answered
        (RFC 6455, 5.5.3)."""
        out = self._out
        if self._ping is not None:
            out = build_frame(Opcode.PONG, self._ping) + out
            self._ping = None
        self._out = b""
        return out

    def send_ping(self, payload: bytes = b"") -> None:
        """Asks the peer for a pong."""
        if self.state is State.OPEN:
            self._out += build_frame(Opcode.PING, payload)

    def send_close(self, code: int, reason: str = "") -> None:
        """Starts closing; once."""
        if self.state is State.OPEN:
            self._out += close_frame(code, reason)
            self.state = State.CLOSING

    # -- frames

    def _header(self, at: int) -> FrameHeader | None:
        """The next frame's header, refused before any of its payload is waited for."""
        try:
            header = read_header(self._buffer, at)
        except FrameError as error:
            raise _FailureError(PROTOCOL_ERROR, str(error)) from None
        if header is None or header.opcode >= Opcode.CLOSE:
            return header
        if (header.opcode is Opcode.CONTINUATION) != (self._opcode is not None):
            raise _FailureError(PROTOCOL_ERROR, "fragments out of order")
        if self._size + header.length > self._max_message:
            raise _FailureError(TOO_BIG, f"a message has at most {self._max_message} bytes")
        return header

    def _frame(self, header: FrameHeader, payload: bytes) -> Event | None:
        if header.opcode < Opcode.CLOSE:
            event = self._data(header, payload)
            return event if self.state is State.OPEN else None
        if header.opcode is Opcode.PING:
            if self.state is State.OPEN:
                self._ping = payload
            return None
        if header.opcode is Opcode.PONG:
            return Pong(payload)
        return self._close(payload)

    def _data(self, header: FrameHeader, payload: bytes) -> Event | None:
        opcode = header.opcode
        if opcode is not Opcode.CONTINUATION and header.fin:
            return Text(_decoded(payload)) if opcode is Opcode.TEXT else Binary(payload)
        if opcode is not Opcode.CONTINUATION:
            self._begin(opcode)
        return self._fragment(payload, last=header.fin)

    def _begin(self, opcode: Opcode) -> None:
        self._opcode = opcode
        self._size = 0
        if opcode is Opcode.TEXT:
            self._decoder = codecs.getincrementaldecoder("utf-8")()
            self._message = []
        else:
            self._decoder = None
            self._message = bytearray()

    def _fragment(self, payload: bytes, *, last: bool) -> Event | None:
        self._size += len(payload)
        event: Event
        if isinstance(self._message, bytearray):
            self._message += payload
            event = Binary(bytes(self._message)) if last else Binary(b"")
        else:
            assert self._decoder is not None
            try:
                text = self._decoder.decode(payload, last)
            except UnicodeDecodeError:
                raise _FailureError(INVALID_DATA, "text is not UTF-8") from None
            if text:
                self._message.append(text)
            event = Text("".join(self._message)) if last else Text("")
        if not last:
            return None
        self._opcode, self._decoder, self._size, self._message = None, None, 0, []
        return event

    def _close(self, payload: bytes) -> Event:
        code, reason = _close_payload(payload)
        if self.state is State.OPEN:
            self._out += close_frame(_ECHOED if code == NO_CODE else code)
        self._end()
        return Closed(code, reason)

    def _fail(self, failure: _FailureError) -> None:
        if self.state is State.OPEN:
            self._out += close_frame(failure.code, failure.reason)
        self._end()

    def _end(self) -> None:
        self.state = State.CLOSED
        self._message = []
        self._buffer = bytearray()


def _decoded(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise _FailureError(INVALID_DATA, "text is not UTF-8") from None


def _close_payload(payload: bytes) -> tuple[int, str]:
    if not payload:
        return NO_CODE, ""
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not _sendable(code):
        raise _FailureError(PROTOCOL_ERROR, "malformed close frame")
    return code, _decoded(payload[2:])


def _sendable(code: int) -> bool:
    """RFC 6455, 7.4: codes that may be in a frame."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
