"""What leaves a connection: frames in order, bodies as far as the peer's windows go (RFC 9113, 5.2 and 6.9)."""

from edge.protocols.http2.answer import Answer
from edge.protocols.http2.errors import ErrorCode, Http2Error, StreamError
from edge.protocols.http2.frames import FIRST_WINDOW, HEADER, MAX_FRAME, MAX_WINDOW, U32, Flag, Kind, prefix
from edge.protocols.http2.stream import Outgoing, Stream

Piece = bytes | memoryview
_NO_TABLE = b"\x20"  # tells the peer that the table is empty, once after it made it smaller (RFC 7541, 4.2)
_FULL = prefix(MAX_FRAME, Kind.DATA, 0)


class Sender:
    """`out` holds frames to write. While `paused` (the socket is full) bodies wait by reference."""

    __slots__ = ("_resized", "_window", "out", "paused", "pending", "sent", "stream_window")

    def __init__(self) -> None:
        self.out: list[Piece] = []
        self.paused = False
        self.sent = 0  # bytes of bodies that had to wait
        self.pending: dict[int, Stream] = {}
        self._window = FIRST_WINDOW
        self.stream_window = FIRST_WINDOW  # of a new stream
        self._resized = False

    # -- windows

    def widen(self, size: int) -> None:
        """WINDOW_UPDATE of the connection."""
        self._window += size
        if self._window > MAX_WINDOW:
            raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "window of the connection too large")

    def widen_stream(self, stream: Stream, size: int) -> None:
        """WINDOW_UPDATE of a stream."""
        stream.window += size
        if stream.window > MAX_WINDOW:
            raise StreamError(ErrorCode.FLOW_CONTROL_ERROR, "window of the stream too large")

    def first_window(self, size: int, streams: dict[int, Stream]) -> None:
        """INITIAL_WINDOW_SIZE: moves the windows of all streams, below zero where it must (6.9.2)."""
        change, self.stream_window = size - self.stream_window, size
        for stream in streams.values():
            stream.window += change
            if stream.window > MAX_WINDOW:
                raise Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "window of a stream too large")

    def table_resized(self) -> None:
        """The peer's table became smaller: the next block must say so."""
        self._resized = True

    # -- answers

    def answer(self, stream: Stream, answer: Answer, *, head_only: bool) -> None:
        """A whole answer. `stream.sent` when all of it is in frames."""
        size = answer.size
        if self._resized:
            self.begin(stream, answer.block, last=head_only or not size)
        elif head_only or not size:
            self.out += (answer.head_only, U32.pack(stream.id), answer.block)
            stream.sent = True
            return
        elif answer.data and size <= self._window and size <= stream.window and not self.paused:
            number = U32.pack(stream.id)
            self.out += (answer.head, number, answer.data, number, answer.body)
            self._window -= size
            stream.sent = True
            return
        else:
            self.out += (answer.head, U32.pack(stream.id), answer.block)
        if not stream.sent:
            self.body(stream, answer.pieces, last=True)

    def begin(self, stream: Stream, block: bytes, *, last: bool) -> None:
        """The head of an answer; `last` when it has no body. ValueError for a block beyond one frame."""
        if self._resized:
            self._resized = False
            block = _NO_TABLE + block
        if len(block) > MAX_FRAME:
            raise ValueError("answer with too many header fields")
        flags = Flag.END_HEADERS | (Flag.END_STREAM if last else 0)
        self.out += (prefix(len(block), Kind.HEADERS, flags), U32.pack(stream.id), block)
        stream.sent = last

    def body(self, stream: Stream, pieces: tuple[bytes, ...], *, last: bool) -> None:
        """More of a body; `pump` makes frames of it."""
        if stream.outgoing is None:
            stream.outgoing = Outgoing()
        stream.outgoing.add(pieces, last=last)
        self.pending[stream.id] = stream

    def pump(self, most: int) -> list[Stream]:
        """Frames of about `most` bytes of waiting bodies, one of each stream in turn; the streams it ended."""
        ended: list[Stream] = []
        moved = True
        while moved and most > 0 and self.pending:
            moved = False
            for stream in list(self.pending.values()):
                size = self._frame(stream, min(MAX_FRAME, most))
                most -= size
                moved = moved or size > 0
                if stream.sent:
                    ended.append(stream)
                if most <= 0:
                    break
        return ended

    def _frame(self, stream: Stream, most: int) -> int:
        """One frame of a stream; its whole size, 0 when a window is closed."""
        outgoing = stream.outgoing
        assert outgoing is not None  # `body` made it
        room = min(most, self._window, stream.window)
        if not outgoing.is_empty and room <= 0:
            return 0
        pieces = outgoing.take(room) if room > 0 else []
        size = sum(len(piece) for piece in pieces)
        del self.pending[stream.id]
        if not outgoing.is_empty:
            self.pending[stream.id] = stream  # behind the others
        else:
            stream.sent = outgoing.last
            if not size and not outgoing.last:
                return 0
        if size == MAX_FRAME and not stream.sent:
            head = _FULL
        else:
            head = prefix(size, Kind.DATA, Flag.END_STREAM if stream.sent else 0)
        self.out.append(head + U32.pack(stream.id))
        self.out += pieces
        self._window -= size
        stream.window -= size
        self.sent += size
        return HEADER + size

    def forget(self, stream: Stream) -> None:
        """A stream ended early."""
        self.pending.pop(stream.id, None)
        stream.outgoing = None
