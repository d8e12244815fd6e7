"""One stream: a request that comes in, an answer that goes out (RFC 9113, 5.1)."""

from edge.protocols.http2.requests import Head


class Stream:
    """States: receiving the request (`receiving`), answering (until `sent`), closed. Owners may subclass it."""

    __slots__ = (
        "_at", "_offset", "_pieces", "body", "closed", "expected", "head", "id", "last", "received", "receiving",
        "sent", "started_at", "window",
    )  # fmt: skip

    def __init__(self, number: int) -> None:
        self.id = number
        self.head: Head | None = None
        self.body: bytes | bytearray = b""
        self.received = 0  # bytes of DATA frames, padding included
        self.expected = -1  # announced bytes of the body, or -1
        self.receiving = True
        self.started_at = 0.0
        self.window = 0
        self.sent = False  # the answer's end is in its frames
        self.closed = False
        self.last = False  # the end follows what waits
        self._pieces: tuple[bytes, ...] = ()
        self._at = 0
        self._offset = 0

    def queue(self, pieces: tuple[bytes, ...], *, last: bool) -> None:
        """More of the body; the bytes are referred to, not copied."""
        self._pieces = self._pieces[self._at :] + pieces
        self._at = 0
        self.last = last

    @property
    def waiting(self) -> int:
        """Bytes of the answer that are not in frames yet."""
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
        if self._at >= len(self._pieces):
            self._pieces, self._at = (), 0
        return found

    def drop(self) -> None:
        """Forgets what waits."""
        self._pieces, self._at, self._offset = (), 0, 0
