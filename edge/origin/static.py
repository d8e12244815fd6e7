"""The built web pages, read once into memory: one single-page application and its assets."""

import re
from pathlib import Path

from edge.origin.responses import CORS, IMMUTABLE, Response, error, text
from edge.protocols.http.response import Field

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".map": "application/json; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
}
_PACKED = frozenset({".png", ".jpg", ".webp", ".woff2", ".ico"})
_PAGE = re.compile(r"/(?:[a-z0-9][a-z0-9_-]{0,30}/?|studio/[a-z0-9/_-]{0,60})?\Z", re.IGNORECASE)
_EMBED = re.compile(r"/embed/[a-z0-9][a-z0-9_-]{0,30}(?:/chat)?/?\Z", re.IGNORECASE)  # may be framed by other sites
_DAY = "public, max-age=86400"
_MISSING = error(
    "page", 503, "The web pages have not been built on this machine. Video and chat work without them."
)


class Pages:
    """Answers for the pages. `connect_sources`: origins besides this one that the pages may talk to."""

    def __init__(self, folder: Path | None, connect_sources: tuple[str, ...] = ()) -> None:
        self._files: dict[str, tuple[Response, Response]] = {}
        self._policy = _policy(connect_sources, "'self'")
        self._embed_policy = _policy(connect_sources, "*")
        self._embed: tuple[Response, Response] | None = None
        if folder is not None and (folder / "index.html").is_file():
            self._load(folder)

    def find(self, path: str, *, gzip: bool) -> Response | None:
        """The answer for a path; None when there is no such file and no page could have that name."""
        found = self._files.get(path)
        if found is None and _EMBED.match(path):
            found = self._embed
            if found is None:
                return _MISSING
        if found is None and _PAGE.match(path):
            found = self._files.get("/index.html")
            if found is None:
                return _MISSING
        return found[gzip] if found is not None else None

    def _load(self, folder: Path) -> None:
        for file in sorted(folder.rglob("*")):
            content_type = _TYPES.get(file.suffix)
            if content_type is None or not file.is_file():
                continue
            path = "/" + file.relative_to(folder).as_posix()
            data = file.read_bytes()
            self._files[path] = self._answers(path, content_type, data, self._policy)
            if path == "/index.html":
                self._embed = self._answers(path, content_type, data, self._embed_policy)

    def _answers(
        self, path: str, content_type: str, data: bytes, policy: tuple[Field, ...]
    ) -> tuple[Response, Response]:
        cache, extra = _DAY, CORS
        if path.endswith(".html"):
            cache, extra = "no-cache", policy
        elif path.startswith("/assets/"):
            cache = IMMUTABLE  # their names carry a hash of their content
        plain = text("page", content_type, cache, data, gzip=False, extra=extra)
        if Path(path).suffix in _PACKED:
            return plain, plain
        return plain, text("page", content_type, cache, data, gzip=True, extra=extra)


def _policy(connect_sources: tuple[str, ...], ancestors: str) -> tuple[Field, ...]:
    connect = " ".join(("'self'", *connect_sources))
    rules = (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "worker-src 'self' blob:",
        f"connect-src {connect}",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        f"frame-ancestors {ancestors}",
    )
    return (("Content-Security-Policy", "; ".join(rules)), ("Referrer-Policy", "same-origin"))
