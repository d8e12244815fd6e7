"""One message on its way in: fragments, compression, UTF-8, all looked at as the bytes come."""

import codecs

from edge.protocols.websocket.deflate import InflateError, Inflater

INVALID_DATA, TOO_BIG = 1007, 1009
_utf8 = codecs.getincrementaldecoder("utf-8")


class AssemblyError(Exception):
    """The message ends the connection with `code`."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Assembly:
    """Collects at most `most` bytes, compressed or not. Every method may raise AssemblyError."""

    __slots__ = ("_announced", "_check", "_data", "_inflater", "_most", "_text")

    def __init__(self, most: int, *, text: bool, compressed: bool) -> None:
        self._most = most
        self._text = text
        self._announced = 0
        self._inflater = Inflater() if compressed else None
        self._data: bytearray | None = None  # none until something more is to come
        self._check: codecs.IncrementalDecoder | None = None

    def announce(self, length: int) -> None:
        """A frame with that much payload begins."""
        self._announced += length
        # what cannot be compressed gets longer: by 5 bytes per block, and a byte per message and fragment
        allowed = self._most if self._inflater is None else self._most + self._most // 512 + 64
        if self._announced > allowed:
            self._refuse_size()

    def add(self, data: bytes, *, last: bool) -> str | bytes | None:
        """Takes the next bytes; the whole message with the last ones."""
        is_over = False
        if self._inflater is not None:
            data, is_over = self._inflated(self._inflater, data, last)
        if last and self._data is None and not is_over:
            return self._decoded(data) if self._text else data
        if self._data is None:
            self._data = bytearray()
        self._data += data
        if self._text:
            self._look_at(data, last and not is_over)
        if is_over:
            self._refuse_size()
        if not last:
            return None
        return self._decoded(self._data) if self._text else bytes(self._data)

    def _inflated(self, inflater: Inflater, data: bytes, last: bool) -> tuple[bytes, bool]:
        """What the bytes hold, and whether that is more than there may be: then it ends one byte behind that."""
        have = len(self._data) if self._data is not None else 0
        try:
            found = inflater.inflate(data, self._most - have)
            if last and have + len(found) <= self._most:
                found += inflater.finish(self._most - have - len(found))
        except InflateError:
            raise self._malformed() from None
        return found, have + len(found) > self._most

    def _look_at(self, data: bytes, last: bool) -> None:
        """Fails at the first byte that no UTF-8 could go on from."""
        if self._check is None:
            self._check = _utf8()
        try:
            self._check.decode(data, last)
        except UnicodeDecodeError:
            raise self._malformed() from None

    def _decoded(self, data: bytes | bytearray) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise self._malformed() from None

    def _malformed(self) -> AssemblyError:
        """The same however the bytes were cut."""
        is_plain = self._inflater is None
        return AssemblyError(INVALID_DATA, "text is not UTF-8" if is_plain else "malformed compressed message")

    def _refuse_size(self) -> None:
        raise AssemblyError(TOO_BIG, f"a message has at most {self._most} bytes")
