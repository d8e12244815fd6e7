"""HTTP/1.1 for an observer: keep-alive, TLS, gzip, redirects; every wait and every size has a bound.

An answer or a failure is an `Exchange`: `fetch` raises nothing.
"""

import asyncio
import contextlib
import dataclasses
import ssl
import zlib
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from edge.inspect.errors import HttpFailure, UnusableUrlError
from edge.inspect.observations import Exchange
from edge.inspect.urls import join

MAX_HEAD = 64 * 1024
MAX_IDLE = 24  # connections kept open for the next request
MAX_REDIRECTS = 5
CONNECT_S = 10.0
AGENT = "nearcast-inspect"
_BLOCK = 65_536
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclasses.dataclass(frozen=True, slots=True)
class Ask:
    """A request. `timeout_s` bounds the whole of it, `max_bytes` the body as sent and as decoded."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    timeout_s: float = 10.0
    max_bytes: int = 64 << 20


class Fetcher(Protocol):
    """Who makes requests: this client, or an origin without sockets in a test."""

    async def fetch(self, ask: Ask) -> Exchange:
        """The answer, or the failure, as an exchange."""

    async def offers_http2(self, url: str) -> bool:
        """Whether the server of an https URL takes HTTP/2."""


@dataclasses.dataclass(slots=True)
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    connect_s: float
    used: bool = False


@dataclasses.dataclass(slots=True)
class _Answer:
    """An answer as it comes in."""

    status: int
    headers: dict[str, str]
    first: float
    body: bytes = b""
    keep: bool = True
    truncated: bool = False
    wait_s: float = 0.0


class HttpClient:
    """Requests to any number of servers. `insecure` takes certificates as they are."""

    def __init__(self, *, insecure: bool = False) -> None:
        self._idle: dict[tuple[str, str, int], list[_Connection]] = {}
        self._insecure = insecure
        self._context: ssl.SSLContext | None = None  # made when it is needed: it reads every root certificate

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = ssl.create_default_context()
            if self._insecure:
                self._context.check_hostname, self._context.verify_mode = False, ssl.CERT_NONE
        return self._context

    async def fetch(self, ask: Ask) -> Exchange:
        """Follows redirects. Raises nothing: a failure is an exchange too."""
        clock = asyncio.get_running_loop().time
        began, url, redirected = clock(), ask.url, False
        for _ in range(MAX_REDIRECTS + 1):
            try:
                parts = check_url(url)
                async with asyncio.timeout(ask.timeout_s - (clock() - began)):
                    answer, connection, reused = await self._exchange(parts, ask)
            except TimeoutError:
                return self._failed(ask, url, began, f"no answer within {ask.timeout_s:g} s")
            except (UnusableUrlError, HttpFailure, OSError, EOFError) as failure:
                return self._failed(ask, url, began, _words(failure))
            target = answer.headers.get("location", "")
            if answer.status in _REDIRECTS and target:
                url, redirected = join(url, target), True
                continue
            return _observed(ask, url, began, clock(), answer, connection, reused=reused, redirected=redirected)
        return self._failed(ask, url, began, "too many redirects")

    def _failed(self, ask: Ask, url: str, began: float, error: str) -> Exchange:
        now = asyncio.get_running_loop().time()
        return Exchange(url, ask.method, ask.headers, began=began, first=now, ended=now, error=error)

    async def _exchange(self, parts: SplitResult, ask: Ask) -> tuple[_Answer, _Connection, bool]:
        key = _origin(parts)
        idle = self._idle.get(key, [])
        while idle:
            connection = idle.pop()
            if connection.writer.is_closing() or connection.reader.at_eof():
                connection.writer.close()
                continue
            connection.used = True
            try:
                return await self._over(connection, key, parts, ask), connection, True
            except (OSError, EOFError):
                break  # closed while it was idle: asked again on a connection of its own
        connection = await self._connect(key)
        return await self._over(connection, key, parts, ask), connection, False

    async def _connect(self, key: tuple[str, str, int]) -> _Connection:
        clock = asyncio.get_running_loop().time
        began = clock()
        context = self._tls() if key[0] == "https" else None
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(key[1], key[2], ssl=context, limit=MAX_HEAD)
        return _Connection(reader, writer, clock() - began)

    async def _over(
        self, connection: _Connection, key: tuple[str, str, int], parts: SplitResult, ask: Ask
    ) -> _Answer:
        try:
            connection.writer.write(_request(parts, ask))
            answer = await _read_answer(connection.reader, ask)
        except BaseException:
            connection.writer.close()
            raise
        idle = self._idle.setdefault(key, [])
        if answer.keep and not answer.truncated and len(idle) < MAX_IDLE:
            idle.append(connection)
        else:
            connection.writer.close()
        return answer

    async def offers_http2(self, url: str) -> bool:
        """Whether the server of an https URL takes HTTP/2."""
        parts = check_url(url)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # only what it offers is asked
        context.set_alpn_protocols(["h2", "http/1.1"])
        try:
            async with asyncio.timeout(CONNECT_S):
                _, writer = await asyncio.open_connection(*_origin(parts)[1:], ssl=context)
        except OSError:
            return False
        chosen = writer.get_extra_info("ssl_object").selected_alpn_protocol()
        writer.close()
        return bool(chosen == "h2")

    async def close(self) -> None:
        """Closes every idle connection."""
        for connections in self._idle.values():
            for connection in connections:
                connection.writer.close()
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(1.0):
                        await connection.writer.wait_closed()
        self._idle.clear()


def check_url(url: str) -> SplitResult:
    """A URL in its parts. UnusableUrlError when it is not one of http or https."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise UnusableUrlError(f"not a URL: {url[:80]}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not url.isprintable():
        raise UnusableUrlError(f"not a URL of http or https: {url[:80]}")
    return parts


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    assert parts.hostname is not None  # _split has looked
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _request(parts: SplitResult, ask: Ask) -> bytes:
    target = (parts.path or "/").replace(" ", "%20") + (f"?{parts.query}" if parts.query else "")
    fields = {"Host": parts.netloc.rpartition("@")[2], "User-Agent": AGENT, "Accept": "*/*", **ask.headers}
    lines = [f"{ask.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "replace")


async def _read_answer(reader: asyncio.StreamReader, ask: Ask) -> _Answer:
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError as error:
            raise HttpFailure("the head of the answer is too long") from error
        answer = _parse_head(head, asyncio.get_running_loop().time())
        if answer.status >= 200:
            break
    if ask.method != "HEAD" and answer.status not in (204, 304):
        await _read_body(reader, answer, ask.max_bytes)
    return answer


def _parse_head(head: bytes, now: float) -> _Answer:
    line, *rows = head.decode("latin-1").split("\r\n")
    version, _, rest = line.partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or not (status.isascii() and status.isdigit()):
        raise HttpFailure(f"not an answer of HTTP/1.1: {line[:60]!r}")
    headers: dict[str, str] = {}
    for row in rows:
        name, _, value = row.partition(":")
        if name:
            key = name.strip().lower()
            headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    connection = headers.get("connection", "").lower()
    keep = "close" not in connection and (version == "HTTP/1.1" or "keep-alive" in connection)
    return _Answer(int(status), headers, now, keep=keep)


async def _read_body(reader: asyncio.StreamReader, answer: _Answer, most: int) -> None:
    body = _Body(answer, most)
    if "chunked" in answer.headers.get("transfer-encoding", "").lower():
        while (size := await _chunk_size(reader)) and not answer.truncated:
            await body.take(reader, size)
            await reader.readline()
        while size == 0 and (await reader.readline()).strip():
            pass
    elif "content-length" in answer.headers:
        length = answer.headers["content-length"]
        if not length.isascii() or not length.isdigit():
            raise HttpFailure("Content-Length is not a number")
        await body.take(reader, int(length))
    else:
        answer.keep = False
        await body.take(reader, None)
    answer.body = bytes(body.data)


async def _chunk_size(reader: asyncio.StreamReader) -> int:
    line = (await reader.readline()).partition(b";")[0].strip()
    try:
        return int(line, 16)
    except ValueError as error:
        raise HttpFailure("a chunk without its size") from error


class _Body:
    """Collects a body up to a bound, and notes the longest silence."""

    def __init__(self, answer: _Answer, most: int) -> None:
        self.data = bytearray()
        self._answer = answer
        self._most = most
        self._last = answer.first

    async def take(self, reader: asyncio.StreamReader, size: int | None) -> None:
        """`size` bytes, or all until the connection ends. EOFError when it ends before."""
        clock = asyncio.get_running_loop().time
        left = size
        while left is None or left > 0:
            if len(self.data) >= self._most:
                self._answer.truncated = True
                return
            data = await reader.read(_BLOCK if left is None else min(_BLOCK, left))
            if not data:
                if left is None:
                    return
                raise EOFError("the connection ended within the answer")
            now = clock()
            self._answer.wait_s = max(self._answer.wait_s, now - self._last)
            self._last = now
            self.data += data
            left = None if left is None else left - len(data)


def _observed(
    ask: Ask, url: str, began: float, ended: float, answer: _Answer, connection: _Connection,
    *, reused: bool, redirected: bool,
) -> Exchange:  # fmt: skip
    encoding = answer.headers.get("content-encoding", "").lower()
    body, error, truncated = answer.body, "", answer.truncated
    if encoding in ("gzip", "x-gzip", "deflate") and body:
        unpacker = zlib.decompressobj(47)  # gzip and zlib, whichever it is
        try:
            body = unpacker.decompress(body, ask.max_bytes)
        except zlib.error:
            body, error = b"", "the body is not what Content-Encoding says"
        truncated = truncated or bool(unpacker.unconsumed_tail)
    return Exchange(
        url, ask.method, ask.headers, answer.status, answer.headers, body, began, answer.first, ended, encoding,
        error, redirected, truncated, reused, 0.0 if reused else connection.connect_s, answer.wait_s,
    )  # fmt: skip


def _words(failure: BaseException) -> str:
    if isinstance(failure, ssl.SSLError):
        return f"TLS: {failure.reason or failure}"
    if isinstance(failure, asyncio.IncompleteReadError):
        return "the connection ended before the answer"
    return str(failure) or type(failure).__name__
