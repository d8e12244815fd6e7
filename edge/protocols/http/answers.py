"""Reads an answer of HTTP/1.1 from a byte stream (RFC 9112, 4, 6 and 7): for whoever asks one of our own roles."""

import dataclasses
import re

from edge.protocols.http.errors import HttpError

_MAX_HEAD = 16 * 1024
_MAX_LINE = 128  # of a chunk's size
_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?\Z")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\Z")

Field = tuple[bytes, bytes]


@dataclasses.dataclass(frozen=True, slots=True)
class AnswerHead:
    """Status and fields (names in lower case), without those that concern the connection."""

    status: int
    fields: tuple[Field, ...]


_HOP = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"proxy-connection", b"trailer"})


def _malformed() -> HttpError:
    return HttpError(502, "malformed answer")


class AnswerReader:
    """One answer; interim ones (1xx) are skipped.

    States: head, then a body of known length, in chunks, or until the end of the connection; done.
    """

    def __init__(self, *, has_body: bool = True) -> None:
        """`has_body` is false for the answer to HEAD."""
        self.head: AnswerHead | None = None
        self.done = False
        self._buffer = b""
        self._has_body = has_body
        self._left = 0  # of the body or of a chunk
        self._chunked = False
        self._until_end = False
        self._trailing = False

    def receive_data(self, data: bytes) -> bytes:
        """Takes bytes; the bytes of the body among them. HttpError(502) when it is no answer."""
        self._buffer += data
        if self.head is None and not self._read_head():
            return b""
        if self.done:
            return b""
        if self._until_end:
            found, self._buffer = self._buffer, b""
            return found
        return self._read_chunks() if self._chunked else self._read_length()

    def receive_eof(self) -> None:
        """The connection ended. HttpError(502) when the answer was not complete."""
        if self._until_end:
            self.done = True
        if not self.done:
            raise HttpError(502, "answer cut short")

    def _read_head(self) -> bool:
        while self.head is None:
            end = self._buffer.find(b"\r\n\r\n", 0, _MAX_HEAD)
            if end < 0:
                if len(self._buffer) >= _MAX_HEAD:
                    raise _malformed()
                return False
            lines = self._buffer[:end].split(b"\r\n")
            self._buffer = self._buffer[end + 4 :]
            match = _LINE.match(lines[0])
            if match is None or match[1] == b"101":
                raise _malformed()
            if match[1][:1] != b"1":
                self._begin(int(match[1]), [_field(line) for line in lines[1:]])
        return True

    def _begin(self, status: int, fields: list[Field]) -> None:
        self.head = AnswerHead(status, tuple(field for field in fields if field[0] not in _HOP))
        named = dict(fields)
        length = named.get(b"content-length")
        if not self._has_body or status in (204, 304):
            self.done = True
        elif b"transfer-encoding" in named:
            self._chunked = True
            if named[b"transfer-encoding"].lower() != b"chunked" or length is not None:
                raise _malformed()
        elif length is None:
            self._until_end = True
        elif not length.isdigit() or len(length) > 18:
            raise _malformed()
        else:
            self._left = int(length)
            self.done = self._left == 0

    def _read_length(self) -> bytes:
        found = self._buffer[: self._left]
        self._buffer = b""
        self._left -= len(found)
        self.done = self._left == 0
        return found

    def _read_chunks(self) -> bytes:
        found = []
        while not self.done:
            if self._left > 2:  # the two are the end of the chunk's line
                part = self._buffer[: self._left - 2]
                self._buffer = self._buffer[len(part) :]
                self._left -= len(part)
                found.append(part)
                if self._left > 2:
                    break
            if self._left:
                if len(self._buffer) < 2:
                    break
                if self._buffer[:2] != b"\r\n":
                    raise _malformed()
                self._buffer, self._left = self._buffer[2:], 0
            if not self._next_line():
                break
        return b"".join(found)

    def _next_line(self) -> bool:
        """Reads the size of a chunk, or a line of trailers."""
        end = self._buffer.find(b"\r\n", 0, _MAX_LINE)
        if end < 0:
            if len(self._buffer) >= _MAX_LINE:
                raise _malformed()
            return False
        line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
        if self._trailing:
            self.done = not line
            return True
        match = _SIZE.match(line)
        if match is None:
            raise _malformed()
        size = int(match[1], 16)
        self._trailing = size == 0
        self._left = size + 2 if size else 0
        return True


def _field(line: bytes) -> Field:
    name, colon, value = line.partition(b":")
    if not colon or not name or b"\0" in value or b"\n" in value or b"\r" in value:
        raise _malformed()
    return name.lower(), value.strip(b" \t")
