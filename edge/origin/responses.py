"""Answers, built once and written to many: status, header block and body pieces that are never copied."""

import zlib
from collections.abc import Iterable

from edge.protocols.http.errors import RangeNotSatisfiableError
from edge.protocols.http.gzip import Piece, joined
from edge.protocols.http.ranges import parse_range, slice_pieces
from edge.protocols.http.response import Field, field_block, status_line
from edge.protocols.http2.answer import Answer
from edge.protocols.http2.hpack import encode_field, encode_fields, encode_status

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
SHORT = "public, max-age=0, s-maxage=1"
IMMUTABLE = "public, max-age=31536000, immutable"
_JOIN_BELOW = 16 * 1024
_JOIN_MOST = 1 << 20
_JOIN_FOR = 4  # who ask for a larger one in a second: from then on a copy is cheaper than its pieces
CORS: tuple[Field, ...] = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "Age, Date, Content-Length, Content-Range"),
)
_TEXT: Field = ("Content-Type", "text/plain; charset=utf-8")
_NO_SNIFF: Field = ("X-Content-Type-Options", "nosniff")


class Response:
    """An answer without its Date. `resource` names its class in the counters; `close` ends the connection."""

    __slots__ = (
        "_answer", "_answer_date", "_asked", "_head", "_wire", "block", "body", "close", "date", "fields", "key",
        "resource", "size", "status", "unsized", "whole",
    )  # fmt: skip

    def __init__(
        self,
        resource: str,
        status: int,
        fields: tuple[Field, ...],
        body: tuple[bytes, ...] = (),
        *,
        close: bool = False,
        unsized: bool = False,
    ) -> None:
        self.resource = resource
        self.key = resource, status
        self.status = status
        self.fields = fields
        self.body = body
        self.close = close
        self.unsized = unsized
        self.size = sum(len(piece) for piece in body)
        ending: tuple[Field, ...] = (("Connection", "close"),) if close else ()
        self.block = field_block(fields + ending, None if unsized or status in (204, 304) else self.size)
        self._head = status_line(status)
        self.date = b""  # of what was made of it last
        self.whole: bytes | None = None  # everything to write, where that is one piece
        self._asked = 0
        self._wire: tuple[bytes, ...] = ()
        self._answer_date = b""
        self._answer: Answer | None = None

    def head(self, date: bytes) -> bytes:
        """Status line and fields; `date` is the whole Date line of this second."""
        return self._head + date + self.block

    def wire(self, date: bytes) -> tuple[bytes, ...]:
        """Everything to write; answers that are small or asked for often are one piece, made once a second."""
        if date is not self.date:
            self.date, self._asked, self.whole = date, 0, None
            self._wire = (self.head(date), *self.body)
            if self.size < _JOIN_BELOW:
                self._join()
        elif self.whole is None:
            self._asked += 1
            if self._asked >= _JOIN_FOR and self.size < _JOIN_MOST:
                self._join()
        return self._wire

    def _join(self) -> None:
        self.whole = b"".join(self._wire)
        self._wire = (self.whole,)

    def answer(self, date: bytes) -> Answer:
        """The same as frames of HTTP/2, made once a second however many ask; `date` as for `head`."""
        if self._answer is None or date is not self._answer_date:
            self._answer_date = date
            self._answer = Answer(self.field_frame(date), self.body)
        return self._answer

    def field_frame(self, date: bytes) -> bytes:
        """The header block of HTTP/2; what concerns one connection is not in it."""
        sized = not self.unsized and self.status not in (204, 304)
        fields = [(name.lower().encode(), value.encode("latin-1")) for name, value in self.fields]
        if sized:
            fields.append((b"content-length", b"%d" % self.size))
        dated = encode_field(b"date", date[6:-2])  # without "Date: " and the end of the line
        return encode_status(self.status) + dated + encode_fields(fields)


def ranged(response: Response, value: str) -> Response:
    """The answer to a request with a Range field for what `response` is the whole of (RFC 9110, 14)."""
    try:
        found = parse_range(value, response.size)
    except RangeNotSatisfiableError:
        fields = (_TEXT, ("Cache-Control", SHORT), ("Content-Range", f"bytes */{response.size}"), *CORS)
        return Response(response.resource, 416, fields)
    if found is None:
        return response
    start, end = found
    extra: tuple[Field, ...] = (("Content-Range", f"bytes {start}-{end - 1}/{response.size}"),)
    body = slice_pieces(response.body, start, end)
    return Response(response.resource, 206, response.fields + extra, body)


def media(resource: str, kind: str, max_age_s: int, body: tuple[bytes, ...]) -> Response:
    """A part, segment or initialisation segment: its bytes never change. `kind` is "video" or "audio"."""
    fields: tuple[Field, ...] = (
        ("Content-Type", f"{kind}/mp4"),
        ("Cache-Control", f"public, max-age={max_age_s}, immutable"),
        ("Accept-Ranges", "bytes"),
        _NO_SNIFF,
        *CORS,
    )
    return Response(resource, 200, fields, body)


def text(
    resource: str, content_type: str, cache: str, body: bytes, *, gzip: bool, extra: tuple[Field, ...] = CORS
) -> Response:
    """Text that is the same for everybody, compressed here when `gzip`."""
    return _text(resource, content_type, cache, (compress(body) if gzip else body,), gzip, extra)


def _text(
    resource: str, content_type: str, cache: str, body: tuple[bytes, ...], gzip: bool, extra: tuple[Field, ...]
) -> Response:
    fields: list[Field] = [("Content-Type", content_type), ("Cache-Control", cache)]
    if gzip:
        fields.append(("Content-Encoding", "gzip"))
    fields += [("Vary", "Accept-Encoding"), _NO_SNIFF, *extra]
    return Response(resource, 200, tuple(fields), body)


def long_text(resource: str, content_type: str, cache: str, pieces: Iterable[Piece], *, gzip: bool) -> Response:
    """The same of pieces, some of which were compressed before."""
    body = (joined(pieces),) if gzip else tuple(piece.text for piece in pieces)
    return _text(resource, content_type, cache, body, gzip, CORS)


def compress(body: bytes, level: int = 6) -> bytes:
    """gzip without a time stamp: equal input gives equal bytes."""
    packer = zlib.compressobj(level, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


def error(resource: str, status: int, detail: str, *, close: bool = False) -> Response:
    """A refusal in one plain sentence, with the cache rule of its status and CORS like everything else."""
    fields: list[Field] = [_TEXT, ("Cache-Control", "no-store" if status >= 500 else SHORT), _NO_SNIFF, *CORS]
    if status == 503:
        fields.append(("Retry-After", "1"))
    if status == 405:
        fields.append(("Allow", "GET, HEAD, OPTIONS"))
    return Response(resource, status, tuple(fields), (detail.encode() + b"\n",), close=close)


FULL = error("held", 503, "Too many requests are waiting here.")
PREFLIGHT = Response(
    "options",
    204,
    (
        ("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"),
        ("Access-Control-Allow-Headers", "Range, Content-Type, Authorization"),
        ("Access-Control-Max-Age", "86400"),
        ("Cache-Control", SHORT),
        *CORS,
    ),
)
