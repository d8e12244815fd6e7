"""Request heads (RFC 9112, 2 and 3): found in a byte stream, checked, split."""

import dataclasses
import re
import urllib.parse
from typing import Any

from edge.protocols.http.errors import HttpError, OtherVersionError
from edge.protocols.http.headers import MAX_FIELDS, ONCE, HeaderMemo, Headers

MAX_HEAD = 8 * 1024
MAX_BUFFER = 72 * 1024  # a head and the largest body of a request that is handed on
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_END = b"\r\n\r\n"
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\n"
_LINE = re.compile(rb"([A-Z]{1,16}) ([!-~]+) HTTP/1\.([01])\Z")
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})|%2[Ff]|%5[Cc]|%00")
_KEY_FIELD = "sec-websocket-key"
_KEY = re.compile(rb"\r\nSec-WebSocket-Key: ([A-Za-z0-9+/]{22}==)(?=\r\n)")  # as browsers write it
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")


class Note:
    """What a server found out about a request, for the next one in the same words (`HeadMemo`)."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class RequestHead:
    """One request. `path` is decoded and has no dot segments; `query` is as sent; `raw` ends in CRLFCRLF."""

    method: str
    path: str
    query: str
    minor: int  # HTTP/1.minor
    headers: Headers
    raw: bytes
    note: Note = dataclasses.field(default_factory=Note, compare=False, repr=False)

    @property
    def keep_alive(self) -> bool:
        """Whether the connection goes on after the answer (RFC 9112, 9.3).

        With HTTP/1.0 it does not: who asks for that would have to be told, and else waits for the end.
        """
        return self.minor == 1 and not self.headers.close


def split_target(target: str) -> tuple[str, str]:
    """Path (decoded) and query (raw) of an origin-form, absolute-form or asterisk target.

    Raises HttpError(400) for anything else, for a bad escape, an escaped slash or NUL, or a dot segment:
    one resource has one name.
    """
    if target == "*":
        return "*", ""
    if not target.startswith("/"):
        scheme, mark, rest = target.partition("://")
        if not mark or scheme.lower() not in ("http", "https"):
            raise HttpError(400, "malformed request target")
        slash = rest.find("/")
        target = rest[slash:] if slash >= 0 else "/"
    path, _, query = target.partition("?")
    if "#" in path:
        raise HttpError(400, "malformed request target")
    if "%" in path:
        path = _unescape(path)
    if "/." in path and any(segment in (".", "..") for segment in path.split("/")):
        raise HttpError(400, "dot segment in path")
    return path, query


def _unescape(path: str) -> str:
    if _ESCAPE.search(path):
        raise HttpError(400, "malformed escape in path")
    try:
        path = urllib.parse.unquote(path, errors="strict")
    except UnicodeDecodeError as error:
        raise HttpError(400, "path is not UTF-8") from error
    if _CONTROL.search(path):
        raise HttpError(400, "control character in path")
    return path


class HeadMemo:
    """Parsed heads and header blocks by their bytes: viewers of one broadcast ask the same in the same words.

    At most `size` of each are kept; it starts over when full.
    """

    def __init__(self, size: int = 2048) -> None:
        self._size = size
        self._headers = HeaderMemo(size)
        self._known: dict[bytes, RequestHead] = {}
        self.whole: dict[bytes, RequestHead] = {}  # those that no body follows

    def parse(self, raw: bytes) -> RequestHead:
        """As parse_head, once for equal heads, and for those that differ in the key of a WebSocket only."""
        request = self._known.get(raw)
        if request is not None:
            return request
        key = _KEY.search(raw)
        if key is not None and raw.count(b"\n") < MAX_FIELDS:
            opening = self._parse(raw[: key.start()] + raw[key.end() :])
            if _KEY_FIELD not in opening.headers.fields:
                return _with_key(opening, key[1].decode(), raw)
        return self._parse(raw)

    def opening(self, raw: bytes) -> tuple[RequestHead, str] | None:
        """The key of a WebSocket's opening handshake, and the head without it when that was parsed before."""
        key = _KEY.search(raw)
        if key is None:
            return None
        request = self._known.get(raw[: key.start()] + raw[key.end() :])
        return None if request is None else (request, key[1].decode())

    def _parse(self, raw: bytes) -> RequestHead:
        request = self._known.get(raw)
        if request is None:
            request = parse_head(raw, self._headers)
            if b"CMCD" in raw or not ONCE.isdisjoint(request.headers.fields):  # these words come but once
                return request
            if len(self._known) >= self._size:
                self._known.clear()
                self.whole.clear()
            self._known[raw] = request
            if not request.headers.body_length and not request.headers.chunked:
                self.whole[raw] = request
        return request


def _with_key(request: RequestHead, key: str, raw: bytes) -> RequestHead:
    """The same request with the key of a WebSocket, whose note is everybody's who asks in these words."""
    said = request.headers
    headers = Headers(
        {**said.fields, _KEY_FIELD: key},
        said.body_length,
        said.chunked,
        said.gzip,
        said.close,
        said.upgrade,
    )
    return RequestHead(request.method, request.path, request.query, request.minor, headers, raw, request.note)


def parse_head(raw: bytes, memo: HeaderMemo) -> RequestHead:
    """Reads one head, CRLFCRLF included.

    Raises HttpError: 400 malformed, 405 a method we do not serve, 431 too long, 505 not HTTP/1.x; of these
    OtherVersionError for the preface of HTTP/2.
    """
    line, _, block = raw.partition(b"\r\n")
    match = _LINE.match(line)
    if match is None:
        if raw == _HTTP2:
            raise OtherVersionError
        status = 505 if re.search(rb" HTTP/[2-9]", line) else 400
        raise HttpError(status, "malformed request line")
    method = match[1].decode()
    if method not in METHODS:
        raise HttpError(405, "method not allowed")
    headers = memo.parse(block[:-2])
    minor = int(match[3])
    if minor == 1 and "host" not in headers.fields:
        raise HttpError(400, "no Host")  # RFC 9112, 3.2
    path, query = split_target(match[2].decode())
    return RequestHead(method, path, query, minor, headers, raw)


class RequestReader:
    """Requests of one connection, in order, pipelined or not; holds at most MAX_BUFFER bytes.

    Bodies are skipped when the next request is asked for: those who want one take `rest` before.
    States: reading a head, skipping a body, dead after an HttpError.
    """

    __slots__ = ("_memo", "rest", "skipped")

    def __init__(self, memo: HeadMemo) -> None:
        self._memo = memo
        self.rest = b""  # what came after the last head: its body as far as it came, and what was pipelined
        self.skipped = 0  # bytes of a body that are still to come or to be passed over

    def receive_data(self, data: bytes) -> None:
        """Takes bytes from the peer. HttpError(413) when more is waiting than anybody needs to send."""
        self.rest = self.rest + data if self.rest else data
        if len(self.rest) > MAX_BUFFER + self.skipped:
            raise HttpError(413, "too much sent ahead")

    @property
    def is_fresh(self) -> bool:
        """Whether the next byte begins a request."""
        return not self.rest and not self.skipped

    @property
    def waiting(self) -> int:
        """Bytes received and not used yet."""
        return len(self.rest)

    def next_request(self) -> RequestHead | None:
        """The next request, or None until more bytes come. Raises HttpError as parse_head does."""
        buffer = self.rest
        if self.skipped:
            cut = min(self.skipped, len(buffer))
            self.skipped -= cut
            buffer = self.rest = buffer[cut:]
            if self.skipped:
                return None
        if buffer.startswith(b"\r\n"):  # RFC 9112, 2.2: tolerate empty lines before a request
            buffer = self.rest = buffer.lstrip(b"\r\n")
        end = buffer.find(_END, 0, MAX_HEAD)
        if end < 0:
            if len(buffer) >= MAX_HEAD:
                raise HttpError(431, "request head too large")
            return None
        raw = buffer[: end + 4]
        self.rest = buffer[end + 4 :]
        request = self._memo.parse(raw)
        self.skipped = request.headers.body_length
        return request
