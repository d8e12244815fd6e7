"""gzip (RFC 1952) put together from pieces that were compressed before.

Each piece ends on a byte with a full flush (RFC 1951, 3.2.4), so what follows does not depend on it. A long text of
which only the ends change costs no more than these.
"""

import struct
import zlib
from collections.abc import Iterable

_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # deflate, no time: equal input gives equal bytes
_LAST_BLOCK = b"\x03\x00"  # an empty block that is the last
_LEVEL = 6


class Piece:
    """Some text, and the same compressed once it was asked for."""

    __slots__ = ("_packed", "text")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._packed = b""

    def packed(self) -> bytes:
        """Raw deflate blocks, none of them the last."""
        if not self._packed and self.text:
            packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15)
            self._packed = packer.compress(self.text) + packer.flush(zlib.Z_FULL_FLUSH)
        return self._packed


def joined(pieces: Iterable[Piece]) -> bytes:
    """The gzip file of all pieces, one after the other."""
    out = [_HEAD]
    check = size = 0
    for piece in pieces:
        out.append(piece.packed())
        check = zlib.crc32(piece.text, check)
        size += len(piece.text)
    out += [_LAST_BLOCK, struct.pack("<II", check, size & 0xFFFFFFFF)]
    return b"".join(out)
