"""Header fields of a request (RFC 9110, 5), and a memo: a browser repeats the same block all evening."""

import dataclasses
import re

from edge.protocols.http.errors import HttpError

MAX_FIELDS = 100
MAX_BODY = 64 * 1024
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ZERO_QUALITY = re.compile(r"q\s*=\s*0(\.0{0,3})?\s*\Z")


@dataclasses.dataclass(frozen=True, slots=True)
class Headers:
    """Fields by lower-case name; repeated ones joined with ", ". The rest is what a server asks of them."""

    fields: dict[str, str]
    body_length: int = 0
    chunked: bool = False
    gzip: bool = False
    close: bool = False
    upgrade: bool = False

    def get(self, name: str) -> str:
        """The value of a field, empty when absent. `name` in lower case."""
        return self.fields.get(name, "")


def parse_headers(block: bytes) -> Headers:
    """Reads a header block: lines that each end in CRLF, without the empty line.

    Raises HttpError(400) for a malformed line, a folded line or contradicting lengths, 431 for more than
    MAX_FIELDS fields, 413 for a body beyond MAX_BODY, 501 for an unknown transfer coding.
    """
    lines = block.decode("latin-1").split("\r\n")
    if lines and not lines[-1]:
        lines.pop()
    if len(lines) > MAX_FIELDS:
        raise HttpError(431, "too many header fields")
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _NAME.match(name) or _BAD_VALUE.search(value):
            raise HttpError(400, "malformed header field")
        name = name.lower()
        value = value.strip(" \t")
        if name in fields and (name == "host" or (name == "content-length" and fields[name] != value)):
            raise HttpError(400, f"more than one {name}")  # RFC 9112, 3.2 and 6.3
        joined = name in fields and name != "content-length"
        fields[name] = f"{fields[name]}, {value}" if joined else value
    connection = _tokens(fields.get("connection", ""))
    return Headers(
        fields,
        body_length=_body_length(fields),
        chunked="transfer-encoding" in fields,
        gzip=_accepts_gzip(fields.get("accept-encoding", "")),
        close="close" in connection,
        upgrade="upgrade" in connection and "upgrade" in fields,
    )


def _body_length(fields: dict[str, str]) -> int:
    coding = fields.get("transfer-encoding")
    length = fields.get("content-length")
    if coding is not None:
        if length is not None:  # RFC 9112, 6.1: both together is how requests are smuggled
            raise HttpError(400, "both Content-Length and Transfer-Encoding")
        if coding.lower() != "chunked":
            raise HttpError(501, "unknown transfer coding")
        return 0
    if length is None:
        return 0
    if not (length.isascii() and length.isdigit()) or len(length) > 18:
        raise HttpError(400, "malformed Content-Length")
    if int(length) > MAX_BODY:
        raise HttpError(413, "request body too large")
    return int(length)


def _tokens(value: str) -> set[str]:
    return {token.strip().lower() for token in value.split(",")}


def _accepts_gzip(value: str) -> bool:
    for coding in value.lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() in ("gzip", "x-gzip"):
            return not _ZERO_QUALITY.match(weight.strip())
    return False


ONCE = frozenset(("cmcd-request", "cmcd-status", "sec-websocket-key"))  # fields that have other words each time


class HeaderMemo:
    """Parsed header blocks by their bytes, at most `size` of them; it starts over when full."""

    def __init__(self, size: int = 2048) -> None:
        self._size = size
        self._known: dict[bytes, Headers] = {}

    def parse(self, block: bytes) -> Headers:
        """As parse_headers, once for equal blocks."""
        headers = self._known.get(block)
        if headers is None:
            headers = parse_headers(block)
            if not ONCE.isdisjoint(headers.fields):
                return headers
            if len(self._known) >= self._size:
                self._known.clear()
            self._known[block] = headers
        return headers
