"""Protected channels over HTTP: the grant in the path, refusals, held requests of those who lost it, renewals.

`/g/GRANT/` may stand before every path of /live, /media and /thumb. What follows is answered as without it, by
the same bytes: grants are looked at beside the resources, never in them. Channels for everybody cost nothing.
"""

import json
from collections.abc import Callable
from typing import NamedTuple, Protocol

from appliance.contracts.directory import Access, ChannelRecord
from appliance.contracts.grants import Grant
from appliance.contracts.media import Broadcast
from edge.access.grants import REFUSAL_WORDS, Grants, Refusal
from edge.access.paths import split
from edge.origin.held import Release, Waiter
from edge.origin.responses import CORS, Response
from edge.protocols.http.errors import HttpError
from edge.protocols.http.request import RequestHead, split_target
from edge.protocols.http.response import Field

CHECK_PATH = "/grant/check"
_FIELDS: tuple[Field, ...] = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"), *CORS)
_TEXT: Field = ("Content-Type", "text/plain; charset=utf-8")


def _refusal(why: Refusal) -> Response:
    status, words = REFUSAL_WORDS[why]
    ask: tuple[Field, ...] = (("WWW-Authenticate", f'Grant realm="nearcast", error="{why.value}"'),)
    fields = (_TEXT, *_FIELDS, *(ask if status == 401 else ()))
    return Response("grant", status, fields, (words.encode() + b"\n",))


REFUSALS = {why: _refusal(why) for why in Refusal}
_GOOD = Response("grant", 204, _FIELDS)


def document(value: dict[str, object]) -> Response:
    """A grant's document: for one viewer, never kept."""
    body = json.dumps(value, separators=(",", ":")).encode()
    return Response("grant", 200, (("Content-Type", "application/json; charset=utf-8"), *_FIELDS), (body,))


class Directory(Protocol):
    """What is known of channels and broadcasts."""

    def channel(self, name: str) -> ChannelRecord | None:
        """A channel by its name."""

    def broadcast(self, broadcast_id: str) -> Broadcast | None:
        """A broadcast by its id."""


class Held(Protocol):
    """A connection with one request held."""

    def answer(self, response: Response) -> None:
        """Answers it."""


class _Watched(NamedTuple):
    held: Held
    grant: str
    channel: str


class Guard:
    """`now_ms` gives Unix milliseconds."""

    def __init__(self, grants: Grants, directory: Directory, now_ms: Callable[[], int]) -> None:
        self._grants = grants
        self._directory = directory
        self._now_ms = now_ms
        self._watched: dict[int, _Watched] = {}
        self._serial = 0
        self._seen = 0

    def refusal(self, channel: str, grant: str) -> Response | None:
        """Why a request for a channel, by its name, is refused; None when it is not."""
        why = self._why(channel, grant)
        return None if why is None else REFUSALS[why]

    def _why(self, channel: str, grant: str) -> Refusal | None:
        record = self._directory.channel(channel)
        if record is None:  # unknown for a moment, while the directory is copied anew
            return Refusal.MISSING
        if record.access is Access.PUBLIC:
            return None
        found = self._grants.check(grant, record, self._now_ms())
        return found if isinstance(found, Refusal) else None

    def check(self, request: RequestHead) -> Response:
        """Whether a cache in front may answer the request in X-Original-URI from what it has: 204, 401 or 403."""
        try:
            path, _ = split_target(request.headers.get("x-original-uri"))
        except HttpError:
            return REFUSALS[Refusal.INVALID]
        grant, path = split(path)
        channel = self._channel_of(*path[1:].split("/"))
        if not channel:
            return _GOOD  # nothing that a grant is for: the origin's answer is the same for everybody
        return self.refusal(channel, grant) or _GOOD

    def _channel_of(self, kind: str, *rest: str) -> str:
        """The channel whose media or picture a path names; "" when it names none that exists."""
        if kind == "media" and rest:
            record = self._directory.broadcast(rest[0])
            return record.channel if record is not None else ""
        if (kind == "live" and len(rest) == 2 and rest[1].endswith(".m3u8")) or (kind == "thumb" and rest):
            name = rest[0].partition(".")[0]
            return name if self._directory.channel(name) is not None else ""
        return ""

    # -- requests that wait

    def watch(self, held: Held, grant: str, channel: str, release: Release) -> Release:
        """A request of a protected channel is held: it is refused when its grant loses its force."""
        self._serial += 1
        serial = self._serial
        self._watched[serial] = _Watched(held, grant, channel)

        def let_go(waiter: Waiter) -> None:
            self._watched.pop(serial, None)
            release(waiter)

        return let_go

    def tick(self) -> None:
        """Several times a second: refuses held requests whose grants were revoked."""
        if self._seen == self._grants.revision:
            return
        self._seen = self._grants.revision
        for one in list(self._watched.values()):
            why = self._why(one.channel, one.grant)
            if why in (Refusal.REVOKED, Refusal.FOREIGN, Refusal.MISSING):  # its time may run out meanwhile
                one.held.answer(REFUSALS[why])

    # -- renewal

    def renew(self, channel: str, grant: str) -> Response:
        """The document of a longer grant for a protected channel, or why there is none."""
        record = self._directory.channel(channel)
        if record is None:
            return REFUSALS[Refusal.MISSING]
        found = self._grants.renew(grant, record, self._now_ms())
        return REFUSALS[found] if isinstance(found, Refusal) else _document(*found)

    def access(self, channel: str) -> Access | None:
        """Who may watch a channel; None: it is not known."""
        record = self._directory.channel(channel)
        return record.access if record is not None else None


def _document(text: str, grant: Grant) -> Response:
    return document({"grant": text, "expires_at": grant.expires_ms, "renew_until": grant.until_ms})
