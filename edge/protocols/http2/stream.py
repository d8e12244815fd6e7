"""One stream: a request that comes in, an answer that goes out (RFC 9113, 5.1)."""

from edge.protocols.http2.requests import Head


class Incoming:
    """The body of a request that is not complete."""

    __slots__ = ("data", "expected", "received", "started_at")

    def __init__(self, expected: int, now: float) -> None:
        self.expected = expected  # bytes announced, or -1
        self.received = 0  # bytes of DATA frames, padding included
        self.data = bytearray()
        self.started_at = now


class Outgoing:
    """Bytes of an answer that wait for a window: referred to, never copied."""

    __slots__ = ("_at", "_offset", "_pieces", "last")

    def __init__(self) -> None:
        self.last = False  # the end follows what waits
        self._pieces: tuple[bytes, ...] = ()
        self._at = 0
        self._offset = 0

    def add(self, pieces: tuple[bytes, ...], *, last: bool) -> None:
        """More of the body."""
        self._pieces = self._pieces[self._at :] + pieces
        self._at = 0
        self.last = last

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return sum(len(piece) for piece in self._pieces[self._at :]) - self._offset

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return self._at >= len(self._pieces)

    def take(self, most: int) -> list[memoryview | bytes]:
        """Up to `most` of the bytes that wait."""
        found: list[memoryview | bytes] = []
        while most and self._at < len(self._pieces):
            piece = self._pieces[self._at]
            left = len(piece) - self._offset
            if left <= most:
                found.append(memoryview(piece)[self._offset :] if self._offset else piece)
                self._at += 1
                self._offset = 0
                most -= left
            else:
                found.append(memoryview(piece)[self._offset : self._offset + most])
                self._offset += most
                most = 0
        return found


class Stream:
    """States: receiving the request (`incoming`), answering (until `sent`), `closed`. Owners may subclass it."""

    __slots__ = ("body", "closed", "head", "id", "incoming", "outgoing", "sent", "window")

    def __init__(self, number: int, head: Head, window: int) -> None:
        self.id = number
        self.head = head
        self.window = window
        self.body = b""
        self.incoming: Incoming | None = None
        self.outgoing: Outgoing | None = None
        self.sent = False  # the answer's end is in its frames
        self.closed = False

    @property
    def waiting(self) -> int:
        """Bytes of the answer that are not in frames yet."""
        return self.outgoing.size if self.outgoing is not None else 0
