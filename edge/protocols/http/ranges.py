"""Byte ranges (RFC 9110, 14): one range per request; several are answered with the whole."""

import re

from edge.protocols.http.errors import RangeNotSatisfiableError

_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*\Z", re.ASCII | re.IGNORECASE)


def parse_range(value: str, length: int) -> tuple[int, int] | None:
    """(start, end) of the asked bytes, end not included, of a body of `length` bytes.

    None when the field is to be ignored: absent, malformed, another unit, several ranges (14.2).
    Raises RangeNotSatisfiableError when it is well-formed and lies outside.
    """
    match = _RANGE.match(value)
    if match is None or (not match[1] and not match[2]):
        return None
    if not match[1]:
        suffix = int(match[2])
        if suffix == 0 or length == 0:
            raise RangeNotSatisfiableError("empty suffix range")
        return max(0, length - suffix), length
    start = int(match[1])
    if match[2] and int(match[2]) < start:
        return None
    if start >= length:
        raise RangeNotSatisfiableError("range starts beyond the end")
    return start, min(length, int(match[2]) + 1) if match[2] else length


def slice_pieces(pieces: tuple[bytes, ...], start: int, end: int) -> tuple[bytes, ...]:
    """Bytes start..end of the concatenation of `pieces`, without joining what is not asked for."""
    found = []
    offset = 0
    for piece in pieces:
        low, high = max(start - offset, 0), min(end - offset, len(piece))
        if low < high:
            found.append(piece[low:high])
        offset += len(piece)
        if offset >= end:
            break
    return tuple(found)
