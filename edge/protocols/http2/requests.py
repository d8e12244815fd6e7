"""From header fields to a request: the rules of HTTP/2, then those of HTTP/1.1, so that both mean the same."""

import re
from typing import NamedTuple

from edge.protocols.http.errors import HttpError
from edge.protocols.http.headers import HeaderMemo
from edge.protocols.http.request import MAX_HEAD, RequestHead, parse_head
from edge.protocols.http2.errors import ErrorCode, StreamError
from edge.protocols.http2.hpack import Field, Table, decode

MAX_LIST = 2 * MAX_HEAD  # bytes of a header list, as RFC 9113, 6.5.2 counts them
_LONGEST_KNOWN = 1024  # blocks beyond it are read each time
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+\Z")
_BAD_VALUE = re.compile(rb"[\x00\r\n]|\A[ \t]|[ \t]\Z")
_PSEUDO = frozenset({b":method", b":scheme", b":authority", b":path"})
_CONNECTION = frozenset({b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"})

# What a header block asks: a request, an answer that refuses it, or a stream that ends.
Head = RequestHead | HttpError | StreamError


def _malformed(detail: str) -> StreamError:
    return StreamError(ErrorCode.PROTOCOL_ERROR, detail)


def check_trailers(fields: list[Field]) -> None:
    """StreamError for trailers that are none (RFC 9113, 8.1)."""
    for name, value in fields:
        _check(name, value)


def _check(name: bytes, value: bytes) -> None:
    """A field that is no pseudo-header field (RFC 9113, 8.2)."""
    if not _NAME.match(name):
        raise _malformed("malformed field name")
    if _BAD_VALUE.search(value):
        raise _malformed("malformed field value")
    if name in _CONNECTION or (name == b"te" and value != b"trailers"):
        raise _malformed("field of one connection")


def _split(fields: list[Field]) -> tuple[dict[bytes, bytes], list[Field]]:
    """Pseudo-header fields and the others. StreamError for malformed ones (8.3)."""
    pseudo: dict[bytes, bytes] = {}
    others: list[Field] = []
    cookies: list[bytes] = []
    for name, value in fields:
        if name[:1] == b":":
            if others or cookies or name in pseudo or name not in _PSEUDO or _BAD_VALUE.search(value):
                raise _malformed("misplaced pseudo-header field")
            pseudo[name] = value
            continue
        _check(name, value)
        if name == b"cookie":
            cookies.append(value)  # sent in crumbs (8.2.3)
        else:
            others.append((name, value))
    if cookies:
        others.append((b"cookie", b"; ".join(cookies)))
    return pseudo, others


def read_request(fields: list[Field], memo: HeaderMemo) -> RequestHead:
    """The request; its `raw` is what HTTP/1.1 would have said.

    StreamError when it is malformed (RFC 9113, 8.1.1), HttpError when it is to be answered with a refusal.
    """
    pseudo, others = _split(fields)
    method, path = pseudo.get(b":method", b""), pseudo.get(b":path", b"")
    if method == b"CONNECT":
        raise HttpError(405, "method not allowed")
    if not method or b":scheme" not in pseudo or not path:
        raise _malformed("no method, scheme or path")
    if path[:1] != b"/" and path != b"*":
        raise _malformed("malformed path")
    host = pseudo.get(b":authority", b"")
    hosts = [value for name, value in others if name == b"host"]
    if host and any(value != host for value in hosts):
        raise _malformed("contradicting host")
    lines = [method + b" " + path + b" HTTP/1.1", b"host: " + (host or (hosts or [b""])[0])]
    lines += [name + b": " + value for name, value in others if name != b"host"]
    raw = b"\r\n".join([*lines, b"", b""])
    if len(raw) > MAX_HEAD:
        raise HttpError(431, "request head too large")
    return parse_head(raw, memo)


def _read(fields: list[Field] | None, memo: HeaderMemo) -> Head:
    if fields is None:
        return HttpError(431, "request head too large")
    try:
        return read_request(fields, memo)
    except (HttpError, StreamError) as failure:
        return failure


class State:
    """A connection's table, and where known blocks lead from it. Connections that said the same share it."""

    __slots__ = ("known", "table")

    def __init__(self, table: Table) -> None:
        self.table = table
        self.known: dict[bytes, Known] = {}


class Known(NamedTuple):
    """What a block means in a state."""

    head: Head
    state: State


class BlockMemo:
    """Header blocks that were read once. Viewers of one broadcast send the same blocks in the same order, so
    their tables stay equal and a request costs one look-up.

    At most `size` are kept; it starts over when full. Connections keep the states they are in.
    """

    def __init__(self, size: int = 4096) -> None:
        self.start = State(Table())
        self._size = size
        self._count = 0
        self._headers = HeaderMemo(size)
        self._states = [self.start]

    def read(self, state: State, block: bytes) -> Known:
        """Reads a whole header block of a request. Http2Error when it cannot be decompressed."""
        known = state.known.get(block)
        return known if known is not None else self._new(state, block)

    def _new(self, state: State, block: bytes) -> Known:
        fields, table = decode(state.table, block, MAX_LIST)
        head = _read(fields, self._headers)
        after = state if table == state.table else State(table)
        known = Known(head, after)
        if len(block) <= _LONGEST_KNOWN:
            self._keep(state, block, known)
        return known

    def _keep(self, state: State, block: bytes, known: Known) -> None:
        if self._count >= self._size:
            for one in self._states:
                one.known.clear()
            self._states = [self.start]
            self._count = 0
        if not state.known and state is not self.start:
            self._states.append(state)
        state.known[block] = known
        self._count += 1
