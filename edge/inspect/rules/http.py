"""What the answers of the server say about themselves: types, caches, compression, CORS."""

from edge.inspect.observations import Exchange, Note
from edge.inspect.urls import extension

PLAYLIST_TYPES = frozenset({"application/vnd.apple.mpegurl", "audio/mpegurl"})
ORIGIN = "https://player.invalid"
GZIP = {"Accept-Encoding": "gzip", "Origin": ORIGIN}
PLAIN = {"Accept-Encoding": "identity", "Origin": ORIGIN}
_EXPOSED = {"age", "date", "content-length", "content-range"}
_MEDIA_TYPES = {
    "mp4": ("video/mp4", "audio/mp4"),
    "m4s": ("video/mp4", "audio/mp4", "video/iso.segment", "audio/iso.segment"),
    "m4v": ("video/mp4", "video/iso.segment"),
    "m4a": ("audio/mp4", "audio/iso.segment"),
    "cmfv": ("video/mp4",),
    "cmfa": ("audio/mp4",),
    "ts": ("video/mp2t",),
    "aac": ("audio/aac",),
    "mp3": ("audio/mpeg",),
    "vtt": ("text/vtt",),
}
_LONGEST_MULTIVARIANT_S = 6


def cache_control(exchange: Exchange) -> dict[str, str]:
    """Directives of Cache-Control by name, in lower case."""
    found = {}
    for item in exchange.header("cache-control").lower().split(","):
        name, _, value = item.strip().partition("=")
        if name:
            found[name] = value.strip('"')
    return found


def lifetimes(exchange: Exchange) -> tuple[int, int]:
    """How long a browser and a shared cache may keep an answer, in seconds; 0 where they may not."""
    said = cache_control(exchange)
    if said.keys() & {"no-store", "no-cache"}:
        return 0, 0
    own = _seconds(said.get("max-age", ""))
    shared = 0 if "private" in said else _seconds(said["s-maxage"]) if "s-maxage" in said else own
    return own, shared


def _seconds(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0


def _common(exchange: Exchange, note: Note) -> None:
    if exchange.ok and "access-control-allow-origin" not in exchange.headers:
        note("CORS", 0, "no Access-Control-Allow-Origin")
    elif exchange.ok:
        exposed = {name.strip().lower() for name in exchange.header("access-control-expose-headers").split(",")}
        if "*" not in exposed and not exposed >= _EXPOSED:
            note("CORS-EXPOSE", 0, exchange.header("access-control-expose-headers") or "no header")
    if "close" in exchange.header("connection").lower():
        note("HTTP-KEEP-ALIVE", 0, "Connection: close")


def playlist(exchange: Exchange, note: Note) -> None:
    """Any playlist that was asked with gzip allowed."""
    if not exchange.ok:
        return
    _common(exchange, note)
    kind = exchange.header("content-type").partition(";")[0].strip().lower()
    if kind not in PLAYLIST_TYPES:
        note("HTTP-TYPE-PLAYLIST", 0, kind or "no Content-Type")
    if exchange.encoding not in ("gzip", "x-gzip"):
        note("HTTP-GZIP", 0, f"{len(exchange.body)} bytes, not compressed")
    elif "accept-encoding" not in exchange.header("vary").lower():
        note("HTTP-VARY", 0, exchange.header("vary") or "no Vary")


def multivariant_cache(exchange: Exchange, note: Note) -> None:
    """The multivariant playlist of something live."""
    _, shared = lifetimes(exchange)
    if not 1 <= shared <= _LONGEST_MULTIVARIANT_S:
        note("HTTP-CACHE-MULTIVARIANT", 0, exchange.header("cache-control") or "no Cache-Control")


def media_playlist_cache(exchange: Exchange, target_s: int, *, blocking: bool, live: bool, note: Note) -> None:
    """A media playlist, the answer to a blocking reload or a plain one."""
    if not exchange.ok or not live:
        return
    own, shared = lifetimes(exchange)
    seen = exchange.header("cache-control") or "no Cache-Control"
    if blocking:
        if own:
            note("CACHE-BROWSER", 0, seen)
        if shared < 6 * target_s:
            note("CACHE-BLOCKING", 0, seen)
    elif not 1 <= shared <= max(1, target_s):
        note("HTTP-CACHE-PLAYLIST", 0, seen)


def media(exchange: Exchange, target_s: int, note: Note, *, hinted: bool = False) -> None:
    """A part, segment or initialisation segment that was asked with gzip allowed."""
    if exchange.redirected:
        note("HTTP-NO-REDIRECT", 0, f"went to {exchange.url}")
    if not exchange.ok:
        return
    _common(exchange, note)
    kind = exchange.header("content-type").partition(";")[0].strip().lower()
    ending = extension(exchange.url)
    if kind not in _MEDIA_TYPES.get(ending, (kind,)):
        note("HTTP-TYPE-MEDIA", 0, f"{kind or 'no Content-Type'} for .{ending}")
    if exchange.encoding:
        note("HTTP-GZIP-MEDIA", 0, exchange.encoding)
    if "content-length" not in exchange.headers and not hinted:
        note("HTTP-LENGTH", 0, "no Content-Length")
    if lifetimes(exchange)[1] < 6 * target_s:
        note("HTTP-CACHE-MEDIA", 0, exchange.header("cache-control") or "no Cache-Control")


def refusal(exchange: Exchange, target_s: int, note: Note) -> None:
    """Any answer of 4xx or 5xx."""
    if exchange.status < 400:
        return
    if "access-control-allow-origin" not in exchange.headers:
        note("CORS-ERRORS", 0, f"{exchange.status} without Access-Control-Allow-Origin")
    most = 0 if exchange.status >= 500 else max(1, target_s)
    if max(lifetimes(exchange)) > most:
        note("HTTP-CACHE-ERROR", 0, f"{exchange.status}, {exchange.header('cache-control')}")


def identity(exchange: Exchange, note: Note) -> None:
    """An answer to someone who accepts no compression."""
    if exchange.encoding not in ("", "identity"):
        note("HTTP-GZIP-UNASKED", 0, exchange.encoding)


def ranged(exchange: Exchange, whole: bytes, start: int, end: int, note: Note) -> None:
    """The answer to `Range: bytes=start-(end-1)` of media that is `whole`."""
    if exchange.status != 206 or exchange.body != whole[start:end]:
        note("HTTP-RANGE", 0, f"{exchange.outcome}, {len(exchange.body)} bytes of {end - start}")
    elif exchange.header("content-range") != f"bytes {start}-{end - 1}/{len(whole)}":
        note("HTTP-RANGE", 0, f"Content-Range: {exchange.header('content-range')}")
    elif "access-control-allow-origin" not in exchange.headers:
        note("CORS", 0, "206 without Access-Control-Allow-Origin")


def beyond(exchange: Exchange, size: int, note: Note) -> None:
    """The answer to a range behind the end."""
    if exchange.status != 416 or exchange.header("content-range") != f"bytes */{size}":
        note("HTTP-RANGE-416", 0, f"{exchange.outcome}, Content-Range: {exchange.header('content-range')}")


def head(exchange: Exchange, got: Exchange, note: Note) -> None:
    """The answer to HEAD of what GET gave as `got`."""
    if exchange.status != got.status or exchange.header("content-length") != got.header("content-length"):
        note("HTTP-HEAD", 0, f"{exchange.outcome}, Content-Length: {exchange.header('content-length')}")


def preflight(exchange: Exchange, note: Note) -> None:
    """The answer to OPTIONS with Access-Control-Request-Headers: range."""
    allowed = {name.strip().lower() for name in exchange.header("access-control-allow-headers").split(",")}
    origin = "access-control-allow-origin" in exchange.headers
    if not 200 <= exchange.status < 300 or not origin or not allowed & {"range", "*"}:
        note("CORS-PREFLIGHT", 0, f"{exchange.outcome}, allows {exchange.header('access-control-allow-headers')}")


def absent(exchange: Exchange, note: Note) -> None:
    """The answer for a segment that there is not."""
    if exchange.status not in (404, 410):
        note("HTTP-404", 0, exchange.outcome)
