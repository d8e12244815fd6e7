"""`GET /live/events`: server-sent events that tell pages what is live, at most one a second."""

from collections.abc import Callable
from typing import Protocol

from edge.origin.responses import CORS, Response, error

EVENTS_HEAD = Response(
    "events",
    200,
    (
        ("Content-Type", "text/event-stream"),
        ("Cache-Control", "no-store"),
        ("X-Accel-Buffering", "no"),
        *CORS,
    ),
    close=False,
    unsized=True,
)
_FULL = error("events", 503, "Too many pages are listening here.")
KEEP_ALIVE = b": still here\n\n"
_PERIOD_S = 1.0
_KEEP_ALIVE_S = 15.0


class Listener(Protocol):
    """A connection that streams."""

    @property
    def gone(self) -> bool:
        """Whether the client has left."""

    def stream(self, response: Response) -> None:
        """Begins the answer."""

    def push(self, data: bytes) -> None:
        """Goes on with it."""


class EventStream:
    """Who listens, and what was told last. A slow listener misses an event: the next one says everything."""

    def __init__(self, document: Callable[[], bytes], limit: int) -> None:
        self._document = document
        self._limit = limit
        self._listeners: set[Listener] = set()
        self._last = b""
        self._told_at = float("-inf")
        self._checked_at = float("-inf")

    def join(self, listener: Listener) -> Response | None:
        """Begins to stream to a connection; an error when there are too many."""
        if len(self._listeners) >= self._limit:
            return _FULL
        self._listeners.add(listener)
        listener.stream(EVENTS_HEAD)
        listener.push(_event(self._document()))
        return None

    def tick(self, now: float) -> None:
        """Several times a second: tells what changed, or that we are still here."""
        if now - self._checked_at < _PERIOD_S:
            return
        self._checked_at = now
        self._listeners = {listener for listener in self._listeners if not listener.gone}
        if not self._listeners:
            return
        document = self._document()
        if document != self._last:
            self._last = document
            self._tell(_event(document), now)
        elif now - self._told_at >= _KEEP_ALIVE_S:
            self._tell(KEEP_ALIVE, now)

    def _tell(self, data: bytes, now: float) -> None:
        self._told_at = now
        for listener in self._listeners:
            listener.push(data)


def _event(document: bytes) -> bytes:
    return b"event: channels\ndata: " + document + b"\n\n"
