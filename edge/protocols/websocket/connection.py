"""One open WebSocket, the server's end: bytes in, messages and pings out; closing answered on the way."""

import dataclasses
import enum

from edge.protocols.websocket.assembly import INVALID_DATA, Assembly, AssemblyError
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
PROTOCOL_ERROR, NO_CODE = 1002, 1005
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
class Ping:
    """The peer asks for a pong: between the answers to what it sent before and after."""

    payload: bytes

    @property
    def pong(self) -> bytes:
        """The frame to be sent."""
        return build_frame(Opcode.PONG, self.payload)


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


Event = Text | Binary | Ping | Pong | Closed | Failed


class State(enum.Enum):
    """OPEN; CLOSING after our close frame (messages are dropped, the peer's close is awaited); CLOSED."""

    OPEN = 0
    CLOSING = 1
    CLOSED = 2


class ServerConnection:
    """Reads what a client sends after the opening handshake.

    Holds at most `max_message` bytes of payload and one control frame. What arrived of a frame is looked at
    before the rest of it is waited for. Nothing it is fed raises: what is wrong comes out as one last Failed
    event. `frames` counts the frames seen, so that callers can bound their rate. `deflate`: the opening
    handshake agreed on permessage-deflate.
    """

    __slots__ = ("_deflate", "_frame", "_max_message", "_message", "_out", "_rest", "_taken", "frames", "state")

    def __init__(self, max_message: int = MAX_MESSAGE, *, deflate: bool = False) -> None:
        self.state = State.OPEN
        self.frames = 0
        self._max_message = max_message
        self._deflate = deflate
        self._rest = b""  # the beginning of a header, or of a control frame
        self._out = b""
        self._frame: FrameHeader | None = None  # the data frame under way, of which _taken bytes were taken
        self._taken = 0
        self._message: Assembly | None = None  # the message under way

    @property
    def closed(self) -> bool:
        """Whether nothing more will be read."""
        return self.state is State.CLOSED

    def receive_data(self, data: bytes) -> list[Event]:
        """Takes bytes from the peer; what they complete, in order. After the end everything is ignored."""
        events: list[Event] = []
        if self.closed:
            return events
        if self._rest:
            data, self._rest = self._rest + data, b""
        try:
            at = self._read(data, events)
        except FrameError as error:
            self._fail(PROTOCOL_ERROR, str(error), events)
        except AssemblyError as error:
            self._fail(error.code, error.reason, events)
        else:
            self._rest = b"" if self.state is State.CLOSED else data[at:]
        return events

    def _read(self, data: bytes, events: list[Event]) -> int:
        """Takes all it can; where what it left begins."""
        at = 0
        while not self.closed:
            if not self._is_in_frame:
                start, at = at, self._header(data, at, events)
                if at == start:
                    break
            if self._is_in_frame:
                at = self._payload(data, at, events)
                if self._is_in_frame:
                    break
        return at

    @property
    def _is_in_frame(self) -> bool:
        return self._frame is not None

    def data_to_send(self) -> bytes:
        """What must be written after the answers to the events; asked for after every other call."""
        out, self._out = self._out, b""
        return out

    def send_ping(self, payload: bytes = b"") -> None:
        """Asks the peer for a pong."""
        if self.state is State.OPEN:
            self._out += build_frame(Opcode.PING, payload)

    def send_close(self, code: int, reason: str = "") -> None:
        """Starts closing; once. What the peer still says is dropped, its close awaited."""
        if self.state is State.OPEN:
            self._out += close_frame(code, reason)
            self.state = State.CLOSING

    # -- frames

    def _header(self, data: bytes, at: int, events: list[Event]) -> int:
        """Takes the next frame's header, of a control frame the payload too; where what it left begins."""
        header = read_header(data, at, deflate=self._deflate)
        if header is None:
            return at
        start = at + header.size
        if header.opcode < Opcode.CLOSE:
            self._begin(header)
            return start
        end = start + header.length
        if len(data) < end:
            return at
        self.frames += 1
        self._control(header.opcode, unmask(data[start:end], header.mask), events)
        return end

    def _begin(self, header: FrameHeader) -> None:
        """A data frame begins; refused before any of its payload is waited for."""
        self.frames += 1
        if (header.opcode is Opcode.CONTINUATION) != (self._message is not None):
            raise FrameError("fragments out of order")
        if self._message is None:
            self._message = Assembly(
                self._max_message, text=header.opcode is Opcode.TEXT, compressed=header.compressed
            )
        self._message.announce(header.length)
        self._frame, self._taken = header, 0

    def _payload(self, data: bytes, at: int, events: list[Event]) -> int:
        """Takes what is there of a data frame's payload."""
        frame, message = self._frame, self._message
        assert frame is not None
        assert message is not None
        end = min(len(data), at + frame.length - self._taken)
        is_last = self._taken + end - at == frame.length
        if self.state is State.OPEN and (is_last or end > at):
            found = unmask(data[at:end], frame.mask, self._taken)
            finished = message.add(found, last=is_last and frame.fin)
            if finished is not None:
                events.append(Text(finished) if isinstance(finished, str) else Binary(finished))
        self._taken += end - at
        if is_last:
            self._frame = None
            if frame.fin:
                self._message = None
        return end

    def _control(self, opcode: Opcode, payload: bytes, events: list[Event]) -> None:
        if opcode is Opcode.PING:
            if self.state is State.OPEN:
                events.append(Ping(payload))
        elif opcode is Opcode.PONG:
            events.append(Pong(payload))
        else:
            events.append(self._close(payload))

    # -- the end

    def _close(self, payload: bytes) -> Event:
        code, reason = _close_payload(payload)
        if self.state is State.OPEN:
            self._out += close_frame(_ECHOED if code == NO_CODE else code)
        self._end()
        return Closed(code, reason)

    def _fail(self, code: int, reason: str, events: list[Event]) -> None:
        if self.state is State.OPEN:
            self._out += close_frame(code, reason)
        self._end()
        events.append(Failed(code, reason))

    def _end(self) -> None:
        self.state = State.CLOSED
        self._message = self._frame = None
        self._rest = b""


def _close_payload(payload: bytes) -> tuple[int, str]:
    if not payload:
        return NO_CODE, ""
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not _sendable(code):
        raise FrameError("malformed close frame")
    try:
        return code, payload[2:].decode()
    except UnicodeDecodeError:
        raise AssemblyError(INVALID_DATA, "text is not UTF-8") from None


def _sendable(code: int) -> bool:
    """RFC 6455, 7.4: codes that may be in a frame."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
