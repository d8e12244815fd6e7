"""Header compression (RFC 7541): the decoder's table as a value, and fields written without a table."""

from collections.abc import Iterable
from typing import NamedTuple

from edge.protocols.http2.errors import ErrorCode, Http2Error
from edge.protocols.http2.huffman import decode as huffman_decode

TABLE_SIZE = 4096  # bytes of the dynamic table: what a peer may assume without a setting
_ENTRY = 32  # bytes each entry counts besides its text (4.1)
_LONGEST_INTEGER = 5  # bytes after the prefix
_MOST_FIELDS = 2000  # of a block: far beyond what is kept of one

Field = tuple[bytes, bytes]

_NAMES = (
    "accept-charset accept-encoding accept-language accept-ranges accept access-control-allow-origin age allow"
    " authorization cache-control content-disposition content-encoding content-language content-length"
    " content-location content-range content-type cookie date etag expect expires from host if-match"
    " if-modified-since if-none-match if-range if-unmodified-since last-modified link location max-forwards"
    " proxy-authenticate proxy-authorization range referer refresh retry-after server set-cookie"
    " strict-transport-security transfer-encoding user-agent vary via www-authenticate"
)
# Appendix A.
STATIC: tuple[Field, ...] = (
    (b":authority", b""), (b":method", b"GET"), (b":method", b"POST"), (b":path", b"/"), (b":path", b"/index.html"),
    (b":scheme", b"http"), (b":scheme", b"https"), (b":status", b"200"), (b":status", b"204"), (b":status", b"206"),
    (b":status", b"304"), (b":status", b"400"), (b":status", b"404"), (b":status", b"500"),
    *((name.encode(), b"gzip, deflate" if name == "accept-encoding" else b"") for name in _NAMES.split()),
)  # fmt: skip
_FIRST_DYNAMIC = len(STATIC) + 1
_NAME_INDEX = {name: index + 1 for index, (name, _) in reversed(list(enumerate(STATIC)))}
_STATUS_INDEX = {value: index + 1 for index, (name, value) in enumerate(STATIC) if name == b":status"}


class Table(NamedTuple):
    """A dynamic table: entries, newest first, what they count, and the most they may."""

    entries: tuple[Field, ...] = ()
    size: int = 0
    limit: int = TABLE_SIZE

    def resized(self, limit: int) -> "Table":
        """The table with another limit; what no longer fits is gone. Http2Error beyond TABLE_SIZE (6.3)."""
        if limit > TABLE_SIZE:
            raise Http2Error(ErrorCode.COMPRESSION_ERROR, "table larger than allowed")
        return _fitting(self.entries, self.size, limit)

    def with_entry(self, field: Field) -> "Table":
        """The table after an insertion; one that does not fit at all empties it (4.4)."""
        size = len(field[0]) + len(field[1]) + _ENTRY
        return _fitting((field, *self.entries), self.size + size, self.limit)


def _fitting(entries: tuple[Field, ...], size: int, limit: int) -> Table:
    keep = len(entries)
    while size > limit:
        keep -= 1
        name, value = entries[keep]
        size -= len(name) + len(value) + _ENTRY
    return Table(entries[:keep], size, limit)


def decode(table: Table, block: bytes, limit: int) -> tuple[list[Field] | None, Table]:
    """The fields of a whole block, and the table after it.

    None instead of fields when they count more than `limit` bytes: the table is right all the same.
    Http2Error: COMPRESSION_ERROR for anything malformed, ENHANCE_YOUR_CALM for a block made to cost time.
    """
    fields: list[Field] = []
    count, seen, at, end = 0, 0, 0, len(block)
    may_resize = True
    while at < end:
        first = block[at]
        if first & 0xE0 == 0x20:
            if not may_resize:
                raise Http2Error(ErrorCode.COMPRESSION_ERROR, "change of the table inside a block")
            size, at = _integer(block, at, 31)
            table = table.resized(size)
            continue
        may_resize = False
        if first & 0x80:
            index, at = _integer(block, at, 127)
            field = _entry(table, index)
        else:
            field, at = _literal(table, block, at)
            if first & 0x40:
                table = table.with_entry(field)
        count += len(field[0]) + len(field[1]) + _ENTRY
        seen += 1
        if count <= limit:
            fields.append(field)
        elif seen > _MOST_FIELDS:
            raise Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "too many fields")
    return (fields if count <= limit else None), table


def _literal(table: Table, block: bytes, at: int) -> tuple[Field, int]:
    index, at = _integer(block, at, 63 if block[at] & 0x40 else 15)
    if index:
        name = _entry(table, index)[0]
    else:
        name, at = _string(block, at)
    value, at = _string(block, at)
    return (name, value), at


def _entry(table: Table, index: int) -> Field:
    if 0 < index < _FIRST_DYNAMIC:
        return STATIC[index - 1]
    if not index or index - _FIRST_DYNAMIC >= len(table.entries):
        raise Http2Error(ErrorCode.COMPRESSION_ERROR, f"no entry {index}")
    return table.entries[index - _FIRST_DYNAMIC]


def _integer(block: bytes, at: int, mask: int) -> tuple[int, int]:
    """An integer behind a prefix of the bits of `mask` (5.1), and where it ends."""
    value = block[at] & mask
    at += 1
    if value < mask:
        return value, at
    for step in range(_LONGEST_INTEGER):
        if at >= len(block):
            break
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << 7 * step
        if byte < 0x80:
            return value, at
    raise Http2Error(ErrorCode.COMPRESSION_ERROR, "malformed integer")


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    if at >= len(block):
        raise Http2Error(ErrorCode.COMPRESSION_ERROR, "block ends inside a field")
    coded = block[at] & 0x80
    length, at = _integer(block, at, 127)
    end = at + length
    if end > len(block):
        raise Http2Error(ErrorCode.COMPRESSION_ERROR, "string longer than its block")
    text = block[at:end]
    return (huffman_decode(text) if coded else text), end


def encode_status(status: int) -> bytes:
    """`:status` of an answer."""
    text = b"%d" % status
    index = _STATUS_INDEX.get(text)
    return bytes([0x80 | index]) if index else encode_field(b":status", text)


def encode_field(name: bytes, value: bytes) -> bytes:
    """A field as literal that enters no table (6.2.2), so that its bytes are right on every connection."""
    index = _NAME_INDEX.get(name, 0)
    head = _encode_integer(index, 15)
    if not index:
        head += _encode_integer(len(name), 127) + name
    return head + _encode_integer(len(value), 127) + value


def encode_fields(fields: Iterable[Field]) -> bytes:
    """Several of them. Names in lower case."""
    return b"".join(encode_field(name, value) for name, value in fields)


def _encode_integer(value: int, mask: int) -> bytes:
    if value < mask:
        return bytes([value])
    out = bytearray([mask])
    value -= mask
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
