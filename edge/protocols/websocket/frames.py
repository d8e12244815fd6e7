"""Frames (RFC 6455, 5.2): headers read, payloads unmasked, a server's frames built."""

import enum
import struct
from typing import NamedTuple

MAX_CONTROL = 125  # RFC 6455, 5.5
_FIN = 0x80
_COMPRESSED = 0x40  # RSV1, RFC 7692, 6
_RESERVED = 0x70
_MASKED = 0x80
_LENGTH_16, _LENGTH_64 = 126, 127


class Opcode(enum.IntEnum):
    """RFC 6455, 11.8."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


_KNOWN = frozenset(Opcode)


class FrameError(Exception):
    """A frame header that a server must not accept; the connection fails with 1002."""


class FrameHeader(NamedTuple):
    """A client's frame header. `size` is its own length in bytes, mask included; `length` the payload's.

    `compressed` begins a compressed message: its continuations do not say so again.
    """

    fin: bool
    compressed: bool
    opcode: Opcode
    length: int
    mask: bytes
    size: int


def read_header(data: bytes | bytearray, at: int, *, deflate: bool = False) -> FrameHeader | None:
    """The frame header that starts at `at`, or None until more bytes are there. `deflate`: messages may be
    compressed.

    Raises FrameError as soon as the bytes so far can be no frame of a client: a reserved bit, an unknown
    opcode, no mask, a fragmented or long control frame, a length not in its shortest form.
    """
    have = len(data) - at
    if have < 2:
        return None
    opcode = _check(data[at], data[at + 1], deflate)
    length = data[at + 1] & ~_MASKED
    size = 2
    if length == _LENGTH_16:
        if have < 4:
            return None
        length, size = int.from_bytes(data[at + 2 : at + 4], "big"), 4
        if length < _LENGTH_16:
            raise FrameError("length not in its shortest form")
    elif length == _LENGTH_64:
        if have < 10:
            return None
        length, size = int.from_bytes(data[at + 2 : at + 10], "big"), 10
        if not 1 << 16 <= length < 1 << 63:
            raise FrameError("length not in its shortest form")
    if have < size + 4:
        return None
    mask = bytes(data[at + size : at + size + 4])
    fin, compressed = bool(data[at] & _FIN), bool(data[at] & _COMPRESSED)
    return FrameHeader(fin, compressed, opcode, length, mask, size + 4)


def _check(first: int, second: int, deflate: bool) -> Opcode:
    number = first & 0x0F
    may_be_compressed = deflate and number in (Opcode.TEXT, Opcode.BINARY)
    if first & (_RESERVED & ~_COMPRESSED if may_be_compressed else _RESERVED):
        raise FrameError("reserved bit set")
    if number not in _KNOWN:
        raise FrameError("unknown opcode")
    if not second & _MASKED:
        raise FrameError("frame without a mask")
    if number >= Opcode.CLOSE and (not first & _FIN or second & ~_MASKED > MAX_CONTROL):
        raise FrameError("control frame fragmented or too long")
    return Opcode(number)


def unmask(payload: bytes | bytearray, mask: bytes, offset: int = 0) -> bytes:
    """`payload`, which begins `offset` bytes into its frame's, with `mask` taken off (RFC 6455, 5.3)."""
    length = len(payload)
    mask = mask[offset % 4 :] + mask[: offset % 4]
    key = (mask * (length // 4 + 1))[:length]  # one wide XOR instead of one per byte
    return (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(length, "little")


def build_frame(opcode: Opcode, payload: bytes, *, compressed: bool = False) -> bytes:
    """A whole, unmasked frame as a server sends it. `compressed`: the payload is (RFC 7692, 6.1)."""
    length = len(payload)
    first = _FIN | opcode | (_COMPRESSED if compressed else 0)
    if length < _LENGTH_16:
        return bytes((first, length)) + payload
    if length < 1 << 16:
        return struct.pack("!BBH", first, _LENGTH_16, length) + payload
    return struct.pack("!BBQ", first, _LENGTH_64, length) + payload


def text_frame(payload: bytes) -> bytes:
    """A text message in one frame; `payload` is UTF-8."""
    return build_frame(Opcode.TEXT, payload)


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame; `reason` is cut to what fits at a character (RFC 6455, 5.5.1)."""
    text = reason.encode()[: MAX_CONTROL - 2].decode(errors="ignore").encode()
    return build_frame(Opcode.CLOSE, struct.pack("!H", code) + text)
