"""`GET /live/CHANNEL/health`: server-sent events that tell a streamer how their stream arrives.

For the owner of the channel alone: whoever asks brings a token of that user, as `Authorization: Bearer` or,
for an EventSource, `?token=`. A token that ends takes its streams with it.
"""

import urllib.parse
from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from appliance.contracts.directory import ChannelRecord, TokenRecord, secret_hash
from appliance.contracts.subjects import token_key
from edge.origin.events import EVENTS_HEAD, KEEP_ALIVE, Listener
from edge.origin.responses import CORS, Response
from edge.protocols.http.request import RequestHead
from edge.protocols.http.response import Field


def _refusal(status: int, detail: str, *fields: Field) -> Response:
    """Never kept by a cache: the next who asks may bring another token."""
    text = (("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store"), *CORS)
    return Response("streamer", status, (*text, *fields), (detail.encode() + b"\n",))


_UNKNOWN_CHANNEL = _refusal(404, "There is no such channel.")
_FORBIDDEN = _refusal(403, "This token is not of this channel's owner.")
_FULL = _refusal(503, "Too many pages are listening here.", ("Retry-After", "5"))
_UNAUTHENTICATED = _refusal(
    401, "This needs a valid token of the channel's owner.", ("WWW-Authenticate", 'Bearer realm="nearcast"')
)
_PERIOD_S = 1.0
_KEEP_ALIVE_S = 15.0
_MAX_TOKEN = 200
_PER_CHANNEL = 8


class Tokens(Protocol):
    """The part of a replica that looking up tokens needs."""

    def get(self, key: str) -> bytes | None:
        """The value of a key."""


class Streaming(Listener, Protocol):
    """A connection that streams, and can be ended."""

    def end(self) -> None:
        """Ends it."""


class _Place(NamedTuple):
    """A listener: whose channel, with what token."""

    channel: str
    user_id: str
    token: str  # its hash


class HealthStream:
    """Who listens to which channel. `document` makes the JSON of a channel, `channel` looks one up."""

    def __init__(
        self,
        document: Callable[[str], bytes],
        channel: Callable[[str], ChannelRecord | None],
        tokens: Tokens,
        limit: int,
        now_ms: Callable[[], int],
    ) -> None:
        """`limit` bounds all listeners of this process."""
        self._document = document
        self._channel = channel
        self._tokens = tokens
        self._limit = limit
        self._now_ms = now_ms
        self._listeners: dict[Streaming, _Place] = {}
        self._last: dict[str, bytes] = {}
        self._checked_at = float("-inf")
        self._told_at = float("-inf")

    def join(self, listener: Streaming, request: RequestHead, channel: str) -> Response | None:
        """Begins to stream the channel's health to its owner; 401, 403, 404 or 503 else."""
        record = self._channel(channel)
        token = _token_of(request)
        user_id = self._user_of(token)
        if user_id is None:
            return _UNAUTHENTICATED
        if record is None:
            return _UNKNOWN_CHANNEL
        if record.user_id != user_id:
            return _FORBIDDEN
        of_channel = sum(1 for place in self._listeners.values() if place.channel == channel)
        if len(self._listeners) >= self._limit or of_channel >= _PER_CHANNEL:
            return _FULL
        self._listeners[listener] = _Place(channel, user_id, token)
        listener.stream(EVENTS_HEAD)
        document = self._document(channel)
        self._last.setdefault(channel, document)
        listener.push(_event(document))
        return None

    def tick(self, now: float) -> None:
        """Several times a second: tells what changed, or that we are still here; ends what may no longer be."""
        if now - self._checked_at < _PERIOD_S:
            return
        self._checked_at = now
        self._drop()
        documents = {channel: self._document(channel) for channel in {p.channel for p in self._listeners.values()}}
        changed = {channel for channel, document in documents.items() if document != self._last.get(channel)}
        still_here = now - self._told_at >= _KEEP_ALIVE_S
        if still_here:
            self._told_at = now
        for listener, place in self._listeners.items():
            if place.channel in changed:
                listener.push(_event(documents[place.channel]))
            elif still_here:
                listener.push(KEEP_ALIVE)
        self._last = documents

    def _drop(self) -> None:
        for listener, place in list(self._listeners.items()):
            if listener.gone:
                del self._listeners[listener]
                continue
            record = self._channel(place.channel)
            if record is None or record.user_id != place.user_id or self._user_of(place.token) != place.user_id:
                del self._listeners[listener]
                listener.end()

    def _user_of(self, token: str) -> str | None:
        """Whose token it is, by its hash; None when it is unknown, revoked or expired."""
        value = self._tokens.get(token_key(token)) if token else None
        if value is None:
            return None
        try:
            record = msgspec.json.decode(value, type=TokenRecord)
        except msgspec.MsgspecError:
            return None
        if record.revoked or (record.expires_at_ms and record.expires_at_ms <= self._now_ms()):
            return None
        return record.user_id


def _token_of(request: RequestHead) -> str:
    """The hash of the token a request brings; "" when there is none."""
    scheme, _, token = request.headers.get("authorization").partition(" ")
    token = token.strip() if scheme.lower() == "bearer" else ""
    if not token:
        given = urllib.parse.parse_qs(request.query, max_num_fields=8).get("token", [""]) if request.query else [""]
        token = given[0]
    return secret_hash(token) if 0 < len(token) <= _MAX_TOKEN else ""


def _event(document: bytes) -> bytes:
    return b"event: health\ndata: " + document + b"\n\n"
