"""A connection of a server: frames in, requests out; answers in, frames out."""

from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from edge.protocols.http.errors import HttpError
from edge.protocols.http.request import RequestHead
from edge.protocols.http2 import frames
from edge.protocols.http2.answer import Answer
from edge.protocols.http2.errors import ErrorCode, Http2Error, StreamError
from edge.protocols.http2.frames import (
    FIRST_WINDOW,
    HEADER,
    MAX_FRAME,
    MAX_WINDOW,
    PREFACE,
    U32,
    Flag,
    Kind,
    Setting,
)
from edge.protocols.http2.hpack import decode
from edge.protocols.http2.limits import Allowance
from edge.protocols.http2.requests import MAX_LIST, BlockMemo, Head, State, check_trailers
from edge.protocols.http2.sender import Piece, Sender
from edge.protocols.http2.stream import Incoming, Stream

S = TypeVar("S", bound=Stream)

NEVER = float("inf")
MAX_STREAMS = 128
_MAX_BLOCK = 68 * 1024  # of a header block in pieces; what is longer is no mistake
_MAX_PIECES = 16  # frames of one header block
_SMALL = 256  # bytes of a DATA frame or an increment that are hardly worth a frame
_REMEMBERED = 256  # streams reset here, of which frames may still be on their way
_HELLO = frames.settings(
    ((Setting.MAX_CONCURRENT_STREAMS, MAX_STREAMS), (Setting.MAX_HEADER_LIST_SIZE, MAX_LIST))
)  # everything else stays as RFC 9113 has it
_PLAIN = Flag.END_HEADERS | Flag.PADDED | Flag.PRIORITY
_TOO_LARGE = HttpError(413, "request body too large")


class Connection(Generic[S]):
    """States: waiting for the preface, open, leaving (no new streams), dead after an error.

    `receive_data`, then take `requests` (complete, or refused by their `head`) and `ended` (streams that the
    peer or an error of it ended); answer with `respond` or `begin` and `send`; write what `take_data` gives.
    """

    __slots__ = (
        "_block", "_block_flags", "_block_stream", "_buffer", "_control", "_greeted", "_last_id", "_leaving",
        "_make", "_memo", "_now", "_receive_window", "_reset_ids", "_resets", "_selfish", "_sender", "_settled",
        "_size", "_state", "_useless", "dead", "ended", "partial_since", "requests", "streams",
    )  # fmt: skip

    def __init__(self, memo: BlockMemo, make_stream: Callable[[int, Head, int], S], now: float) -> None:
        self.streams: dict[int, S] = {}
        self.requests: list[S] = []
        self.ended: list[S] = []
        self.dead = False
        self.partial_since = now  # since when a frame, a header block or the preface is incomplete, or NEVER
        self._memo = memo
        self._make = make_stream
        self._now = now
        self._state: State = memo.start
        self._sender = Sender()
        self._sender.out.append(_HELLO)
        self._buffer = b""
        self._greeted = False
        self._settled = False
        self._leaving = False
        self._last_id = 0
        self._receive_window = FIRST_WINDOW
        self._reset_ids: dict[int, None] = {}
        self._block: list[bytes] | None = None  # of a header block that is not complete
        self._block_stream = self._block_flags = self._size = 0
        self._selfish = False
        self._resets = Allowance("resets", 200, 20)
        self._control = Allowance("control frames", 200, 20)
        self._useless = Allowance("useless frames", 2000, 200)

    # -- what comes in

    def receive_data(self, data: bytes, now: float) -> None:
        """Takes bytes from the peer. Nothing is raised: after an error of it the connection is `dead`."""
        if self.dead:
            return
        self._now = now
        buffer = self._buffer + data if self._buffer else data
        at = 0
        try:
            if not self._greeted:
                at = self._greet(buffer)
            if self._greeted:
                at = self._frames(buffer, at)
        except Http2Error as failure:
            self._fail(failure)
            at = len(buffer)
        self._buffer = buffer[at:]
        if self._block is None and self._greeted:  # a header block began with its HEADERS
            if not self._buffer:
                self.partial_since = NEVER
            elif at or self.partial_since == NEVER:
                self.partial_since = now

    def _greet(self, buffer: bytes) -> int:
        if not PREFACE.startswith(buffer[: len(PREFACE)]):
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "no preface")
        if len(buffer) < len(PREFACE):
            return 0
        self._greeted = True
        return len(PREFACE)

    def _frames(self, buffer: bytes, at: int) -> int:
        """Reads whole frames; where it stopped."""
        end = len(buffer)
        while end - at >= HEADER:
            length = buffer[at] << 16 | buffer[at + 1] << 8 | buffer[at + 2]
            if length > MAX_FRAME:
                raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "frame too large")
            start = at + HEADER
            if end - start < length:
                break
            kind = buffer[at + 3]
            number = U32.unpack_from(buffer, at + 5)[0] & MAX_WINDOW
            if self._block is not None and (kind != Kind.CONTINUATION or number != self._block_stream):
                raise Http2Error(ErrorCode.PROTOCOL_ERROR, "header block interrupted")
            if not self._settled and kind != Kind.SETTINGS:
                raise Http2Error(ErrorCode.PROTOCOL_ERROR, "no SETTINGS after the preface")
            flags, at = buffer[at + 4], start + length
            self._frame(kind, flags, number, buffer[start:at])
        return at

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        handler = self._HANDLERS.get(kind)
        if handler is None:  # unknown ones are ignored (4.1)
            self._useless.take(self._now)
            return
        try:
            handler(self, flags, number, payload)
        except StreamError as failure:
            if number > self._last_id:
                raise Http2Error(failure.reason, failure.detail) from failure
            self._resets.take(self._now)
            self._reset(number, failure.reason)

    def _headers(self, flags: int, number: int, payload: bytes) -> None:
        if flags & _PLAIN == Flag.END_HEADERS and number > self._last_id and number & 1:  # nearly all are so
            self._request(number, flags, payload)
            return
        if not number & 1:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "HEADERS on no stream of a client")
        if flags & Flag.PADDED:
            payload = frames.unpadded(flags, payload)
        if flags & Flag.PRIORITY:
            if len(payload) < 5:
                raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "HEADERS too short")
            self._selfish = U32.unpack_from(payload)[0] & MAX_WINDOW == number
            payload = payload[5:]
        if flags & Flag.END_HEADERS:
            self._block_complete(number, flags, payload)
        else:
            self._block, self._block_stream, self._block_flags, self._size = [payload], number, flags, len(payload)
            self.partial_since = self._now

    def _continuation(self, flags: int, number: int, payload: bytes) -> None:
        if self._block is None:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without HEADERS")
        self._block.append(payload)
        self._size += len(payload)
        if self._size > _MAX_BLOCK or len(self._block) > _MAX_PIECES:
            raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "header block too large")
        if flags & Flag.END_HEADERS:
            block, self._block = b"".join(self._block), None
            self._block_complete(number, self._block_flags, block)

    def _block_complete(self, number: int, flags: int, block: bytes) -> None:
        selfish, self._selfish = self._selfish, False
        if number > self._last_id:
            self._request(number, flags, block)
        else:
            self._trailers(number, flags, block)
        if selfish:
            raise StreamError(ErrorCode.PROTOCOL_ERROR, "stream depends on itself")

    def _request(self, number: int, flags: int, block: bytes) -> None:
        self._last_id = number
        known = self._memo.read(self._state, block)
        self._state = known.state  # also of a refused stream: later blocks build on it
        head = known.head
        if isinstance(head, StreamError):
            raise StreamError(head.reason, head.detail)
        if len(self.streams) >= MAX_STREAMS or self._leaving:
            raise StreamError(ErrorCode.REFUSED_STREAM, "too many streams")
        stream = self.streams[number] = self._make(number, head, self._sender.stream_window)
        if flags & Flag.END_STREAM:
            if isinstance(head, RequestHead) and head.headers.body_length:
                raise StreamError(ErrorCode.PROTOCOL_ERROR, "another length than announced")
            self.requests.append(stream)
            return
        expected = -1
        if isinstance(head, HttpError):
            self.requests.append(stream)
        elif "content-length" in head.headers.fields:
            expected = head.headers.body_length
        stream.incoming = Incoming(expected, self._now)

    def _trailers(self, number: int, flags: int, block: bytes) -> None:
        fields, table = decode(self._state.table, block, MAX_LIST)
        if table != self._state.table:
            self._state = State(table)
        stream = self._open_stream(number)
        if stream is None:
            return
        if not flags & Flag.END_STREAM:
            raise StreamError(ErrorCode.PROTOCOL_ERROR, "trailers without an end")
        check_trailers(fields or [])
        self._complete(stream)

    def _open_stream(self, number: int) -> S | None:
        """The stream whose request goes on; None when it was reset here and the peer could not know yet."""
        stream = self.streams.get(number)
        if stream is None:
            if number in self._reset_ids:
                self._useless.take(self._now)
                return None
            raise Http2Error(ErrorCode.STREAM_CLOSED, "frame on a closed stream")
        if stream.incoming is None:
            raise StreamError(ErrorCode.STREAM_CLOSED, "frame after the end of the request")
        return stream

    def _data(self, flags: int, number: int, payload: bytes) -> None:
        if not number or number > self._last_id:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "DATA on no open stream")
        size = len(payload)
        self._receive_window -= size
        if self._receive_window < 0:
            raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "more sent than the window allows")
        if size < _SMALL and not flags & Flag.END_STREAM:
            self._useless.take(self._now)
        stream = self.streams.get(number)
        incoming = stream.incoming if stream is not None else None
        if stream is None or incoming is None:
            self._credit(size)
            self._open_stream(number)
            return
        incoming.received += size
        if incoming.received > FIRST_WINDOW:
            raise StreamError(ErrorCode.FLOW_CONTROL_ERROR, "more sent than the window allows")
        incoming.data += frames.unpadded(flags, payload)
        if 0 <= incoming.expected < len(incoming.data):
            raise StreamError(ErrorCode.PROTOCOL_ERROR, "more body than announced")
        if flags & Flag.END_STREAM:
            self._complete(stream)
        elif incoming.received == FIRST_WINDOW and not isinstance(stream.head, HttpError):
            stream.head = _TOO_LARGE
            self.requests.append(stream)

    def _complete(self, stream: S) -> None:
        """The last byte of a request with a body is here."""
        incoming, stream.incoming = stream.incoming, None
        assert incoming is not None  # its callers looked
        self._credit(incoming.received)
        if incoming.expected >= 0 and len(incoming.data) != incoming.expected:
            raise StreamError(ErrorCode.PROTOCOL_ERROR, "another length than announced")
        stream.body = bytes(incoming.data)
        if not isinstance(stream.head, HttpError):  # else it waits for its refusal already
            self.requests.append(stream)

    def _credit(self, size: int) -> None:
        if size:
            self._receive_window += size
            self._sender.out.append(frames.window_update(0, size))

    def _priority(self, _flags: int, number: int, payload: bytes) -> None:
        self._useless.take(self._now)
        if not number:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "PRIORITY on no stream")
        if len(payload) != 5:
            raise StreamError(ErrorCode.FRAME_SIZE_ERROR, "PRIORITY of another size")
        if U32.unpack_from(payload)[0] & MAX_WINDOW == number:
            raise StreamError(ErrorCode.PROTOCOL_ERROR, "stream depends on itself")

    def _rst_stream(self, _flags: int, number: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "RST_STREAM of another size")
        if not number or number > self._last_id:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "RST_STREAM on an idle stream")
        self._resets.take(self._now)
        stream = self.streams.get(number)
        if stream is not None:
            self._end(stream)

    def _settings(self, flags: int, number: int, payload: bytes) -> None:
        if number:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream")
        if len(payload) % 6 or (flags & Flag.ACK and payload):
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of another size")
        self._control.take(self._now)
        self._settled = True
        if flags & Flag.ACK:
            return
        for name, value in frames.read_settings(payload):
            if name == Setting.INITIAL_WINDOW_SIZE:
                self._sender.first_window(value, dict(self.streams))
            else:
                self._sender.table_resized()
        self._sender.out.append(frames.SETTINGS_ACK)

    def _push_promise(self, _flags: int, _number: int, _payload: bytes) -> None:
        raise Http2Error(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE of a client")

    def _ping(self, flags: int, number: int, payload: bytes) -> None:
        if number:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "PING on a stream")
        if len(payload) != 8:
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "PING of another size")
        self._control.take(self._now)
        if not flags & Flag.ACK:
            self._sender.out.append(frames.ping_ack(payload))

    def _goaway(self, _flags: int, number: int, payload: bytes) -> None:
        self._control.take(self._now)
        if number:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream")
        if len(payload) < 8:
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY too short")

    def _window_update(self, _flags: int, number: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise Http2Error(ErrorCode.FRAME_SIZE_ERROR, "WINDOW_UPDATE of another size")
        size = U32.unpack(payload)[0] & MAX_WINDOW
        if size < _SMALL:
            self._useless.take(self._now)
        if not number:
            if not size:
                raise Http2Error(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of nothing")
            self._sender.widen(size)
            return
        if number > self._last_id:
            raise Http2Error(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE on an idle stream")
        stream = self.streams.get(number)
        if stream is None:
            return
        if not size:
            raise StreamError(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of nothing")
        self._sender.widen_stream(stream, size)

    # -- ends

    def _fail(self, failure: Http2Error) -> None:
        self._sender.out.append(frames.goaway(self._last_id, failure.reason, failure.detail))
        self.close()

    def close(self) -> None:
        """Ends every stream; nothing is received or sent any more."""
        self.dead = True
        self._block = None
        for stream in list(self.streams.values()):
            self._end(stream)

    def _end(self, stream: S) -> None:
        """A stream that did not get its whole answer."""
        self._drop(stream)
        self.ended.append(stream)

    def _drop(self, stream: S) -> None:
        if self.streams.pop(stream.id, None) is None:
            return
        stream.closed = True
        self._sender.forget(stream)
        if stream.incoming is not None:
            self._credit(stream.incoming.received)

    def _reset(self, number: int, reason: ErrorCode) -> None:
        self._sender.out.append(frames.reset(number, reason))
        self._remember(number)
        stream = self.streams.get(number)
        if stream is not None:
            self._end(stream)

    def _remember(self, number: int) -> None:
        if len(self._reset_ids) >= _REMEMBERED:
            del self._reset_ids[next(iter(self._reset_ids))]
        self._reset_ids[number] = None

    def reset(self, stream: S, reason: ErrorCode) -> None:
        """Ends a stream early."""
        if not stream.closed:
            self._reset(stream.id, reason)

    def leave(self, *, finally_: bool) -> None:
        """GOAWAY: first asks for no new streams; `finally_` refuses them (6.8)."""
        self._leaving = finally_
        last = self._last_id if finally_ else MAX_WINDOW
        self._sender.out.append(frames.goaway(last, ErrorCode.NO_ERROR))

    # -- what goes out

    def respond(self, stream: S, answer: Answer, *, head_only: bool = False) -> None:
        """Answers; nothing when the stream has ended."""
        if stream.closed:
            return
        self._sender.answer(stream, answer, head_only=head_only)
        if stream.sent:
            self._finish(stream)

    def begin(self, stream: S, block: bytes, *, last: bool = False) -> None:
        """The head of an answer whose body comes with `send`."""
        if not stream.closed:
            self._sender.begin(stream, block, last=last)
            if last:
                self._finish(stream)

    def send(self, stream: S, data: bytes, *, last: bool = False) -> None:
        """More of that body."""
        if not stream.closed:
            self._sender.body(stream, (data,) if data else (), last=last)

    def _finish(self, stream: S) -> None:
        if stream.incoming is not None:  # the answer did not need the rest of the request (8.1)
            self._sender.out.append(frames.reset(stream.id, ErrorCode.NO_ERROR))
            self._remember(stream.id)
        self._drop(stream)

    @property
    def is_pending(self) -> bool:
        """Whether bytes of an answer wait for a window or for `take_data`."""
        return bool(self._sender.pending)

    @property
    def sent(self) -> int:
        """Bytes of bodies that were put into frames from the queue so far."""
        return self._sender.sent

    def pause(self, *, paused: bool) -> None:
        """Whether the socket is full: bodies then wait, shared with all who get them."""
        self._sender.paused = paused

    def take_data(self, most: int) -> list[Piece]:
        """What to write, in order: all frames that are ready, and about `most` bytes of bodies unless paused."""
        sender = self._sender
        if sender.pending and not sender.paused and not self.dead:
            for stream in sender.pump(most):
                self._finish(self.streams[stream.id])
        out = sender.out
        if out:
            sender.out = []
        return out

    _HANDLERS: ClassVar[dict[int, Callable[..., None]]] = {
        Kind.DATA: _data,
        Kind.HEADERS: _headers,
        Kind.PRIORITY: _priority,
        Kind.RST_STREAM: _rst_stream,
        Kind.SETTINGS: _settings,
        Kind.PUSH_PROMISE: _push_promise,
        Kind.PING: _ping,
        Kind.GOAWAY: _goaway,
        Kind.WINDOW_UPDATE: _window_update,
        Kind.CONTINUATION: _continuation,
    }
