"""permessage-deflate (RFC 7692), where neither side takes its context over from message to message.

So a message compressed once is right for every client that agreed, and an idle connection holds no window.
"""

import re
import zlib
from typing import NamedTuple

NAME = "permessage-deflate"
MAX_WINDOW_BITS = 15
SHARED_WINDOW_BITS = 13  # on chat as good as 15, with an eighth of the memory to be touched for each message
_MIN_WINDOW_BITS = 9  # RFC 7692 has 8 as well; zlib makes no such window
_BITS = re.compile(r"(?:[89]|1[0-5])\Z", re.ASCII)
_LEVEL = 3  # higher ones cost more than they save on chat
_MEMORY = 6
_TAIL = b"\x00\x00\xff\xff"  # RFC 7692, 7.2.1: removed from, and given back to, each message
_FLAGS = frozenset({"server_no_context_takeover", "client_no_context_takeover"})
_WINDOWS = frozenset({"server_max_window_bits", "client_max_window_bits"})
_STREAMS = 4  # RFC 7692, 7.2.3.5: a message may go on behind a final block; nobody needs more of them


class Deflate(NamedTuple):
    """What was agreed: the window of what we send, and the answer's Sec-WebSocket-Extensions."""

    window_bits: int
    answer: str


class InflateError(Exception):
    """A message that is not a DEFLATE stream."""


def negotiate(offers: str) -> Deflate | None:
    """The first offer of a Sec-WebSocket-Extensions field that can be taken, or None.

    An offer with an unknown, repeated or malformed parameter is declined (RFC 7692, 7.1); that we use, and
    ask for, no context takeover may be answered to any offer (7.1.1).
    """
    if not offers:
        return None
    for offer in offers.split(","):
        name, *parts = (part.strip() for part in offer.split(";"))
        if name.lower() == NAME:
            parameters = _parameters(parts)
            if parameters is not None:
                return _taken(parameters)
    return None


def _parameters(parts: list[str]) -> dict[str, str] | None:
    found: dict[str, str] = {}
    for part in parts:
        name, equals, value = (one.strip() for one in part.partition("="))
        if len(value) >= 2 and value[0] == value[-1] == '"':
            value = value[1:-1]
        if name in found or not _is_valid(name, bool(equals), value):
            return None
        found[name] = value
    window = found.get("server_max_window_bits")
    return None if window is not None and int(window) < _MIN_WINDOW_BITS else found


def _is_valid(name: str, has_value: bool, value: str) -> bool:
    if name in _FLAGS:
        return not has_value
    if name == "client_max_window_bits" and not has_value:
        return True
    return name in _WINDOWS and _BITS.match(value) is not None


def _taken(parameters: dict[str, str]) -> Deflate:
    answer = f"{NAME}; server_no_context_takeover; client_no_context_takeover"
    window = parameters.get("server_max_window_bits")
    if window is None:
        return Deflate(MAX_WINDOW_BITS, answer)
    return Deflate(int(window), f"{answer}; server_max_window_bits={window}")


def compress(payload: bytes, window_bits: int = SHARED_WINDOW_BITS) -> bytes:
    """A whole message as the payload of compressed frames."""
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, -window_bits, _MEMORY)
    return (stream.compress(payload) + stream.flush(zlib.Z_SYNC_FLUSH))[: -len(_TAIL)]


class Inflater:
    """One compressed message, taken in pieces; gives at most what it is asked for, whatever the pieces hold."""

    __slots__ = ("_stream", "_streams")

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(-MAX_WINDOW_BITS)
        self._streams = 1

    def inflate(self, data: bytes, most: int) -> bytes:
        """What `data` holds, or its first `most` + 1 bytes when that is more. InflateError."""
        try:
            found = self._stream.decompress(data, most + 1)
            while self._stream.eof and self._stream.unused_data and len(found) <= most:
                found += self._next_stream(self._stream.unused_data, most + 1 - len(found))
        except zlib.error as error:
            raise InflateError(str(error)) from None
        return found

    def _next_stream(self, data: bytes, most: int) -> bytes:
        self._streams += 1
        if self._streams > _STREAMS:
            raise InflateError("too many final blocks")
        self._stream = zlib.decompressobj(-MAX_WINDOW_BITS)
        return self._stream.decompress(data, most)

    def finish(self, most: int) -> bytes:
        """The rest of the message."""
        return self.inflate(_TAIL, most)
