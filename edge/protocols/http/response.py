"""Response heads (RFC 9112, 4). The Date field is left to the sender, who knows the second."""

import http
from collections.abc import Iterable

Field = tuple[str, str]


def status_line(status: int) -> bytes:
    """`HTTP/1.1 STATUS REASON` with its CRLF."""
    try:
        reason = http.HTTPStatus(status).phrase
    except ValueError:
        reason = "Status"
    return f"HTTP/1.1 {status} {reason}\r\n".encode()


def field_block(fields: Iterable[Field], length: int | None) -> bytes:
    """Header fields and the empty line. `length`: Content-Length, or None for a body without a known end.

    ValueError for a value that would start a new line: such a value is a mistake of ours.
    """
    lines = []
    for name, value in fields:
        if "\r" in value or "\n" in value:
            raise ValueError(f"line break in header field {name}")
        lines.append(f"{name}: {value}\r\n")
    if length is not None:
        lines.append(f"Content-Length: {length}\r\n")
    lines.append("\r\n")
    return "".join(lines).encode("latin-1")
