"""The WHIP endpoint and its session resources (RFC 9725, 4): requests to sessions, sessions to answers."""

import urllib.parse
from typing import Protocol

from edge.ingest.keys import Refusal
from edge.net.answers import SDP_TYPE, Answer, ResourceError
from edge.net.resource import (
    SESSION,
    Addressed,
    Created,
    created,
    expect_type,
    ice_links,
    not_allowed,
    options,
    serve_session,
    text_of,
)
from edge.protocols.http.request import RequestHead
from edge.protocols.http.response import Field
from edge.protocols.webrtc.sdp import Offer, parse_offer

PREFIX = "/whip"
_MOST_ENCODER = 120
_STOPPED = "the encoder stopped"
_REFUSED = {
    "draining": 503, "unavailable": 503, "too_many": 503, "takeovers": 409, "suspended": 403,
}  # fmt: skip
_RETRY_S = 5.0


class Sessions(Protocol):
    """Where sessions are made and found."""

    async def check(self, key: str) -> Refusal | None:
        """Why a key may not publish now."""

    def create(self, offer: Offer, key: str, encoder: str, address: str) -> Created:
        """A new session. SdpError, NoCodecError; ResourceError when there are too many."""

    def find(self, secret: str) -> Addressed | None:
        """A session by its secret name, over ones included for a while."""


class WhipResource:
    """Answers one request at a time; WebrtcError and ResourceError are the caller's to tell as problems."""

    def __init__(self, sessions: Sessions, ice_servers: tuple[str, ...] = ()) -> None:
        self._sessions = sessions
        self._links = ice_links(ice_servers)

    async def serve(self, request: RequestHead, body: bytes, address: str) -> Answer:
        """The answer to a request of a client at `address`."""
        parts = [part for part in request.path.split("/")[2:] if part]
        if len(parts) > 2 or (len(parts) == 2 and parts[0] != SESSION):
            raise ResourceError(404, "not_found", "There is nothing here.")
        if request.method == "OPTIONS":
            return options(self._links)
        if len(parts) == 2:
            return serve_session(request, self._sessions.find(parts[1]), body, _STOPPED)
        if request.method != "POST":
            raise not_allowed("POST, OPTIONS")
        return await self._create(request, parts[0] if parts else "", body, address)

    async def _create(self, request: RequestHead, path_key: str, body: bytes, address: str) -> Answer:
        expect_type(request, SDP_TYPE, "Accept-Post")
        key = path_key or _key_of(request)
        refusal = await self._sessions.check(key)
        if refusal is not None:
            raise _refused(refusal)
        offer = parse_offer(text_of(body))
        encoder = request.headers.get("user-agent")[:_MOST_ENCODER] or "WHIP"
        made = self._sessions.create(offer, key, encoder, address)
        return created(PREFIX, made, self._links)


def _key_of(request: RequestHead) -> str:
    """The stream key of an Authorization header, with its scheme or without, or of the query."""
    given = request.headers.get("authorization").strip()
    scheme, _, rest = given.partition(" ")
    if given:
        return rest.strip() if scheme.lower() == "bearer" else given
    query = urllib.parse.parse_qs(request.query, max_num_fields=20)
    return next((query[name][0] for name in ("key", "token") if name in query), "")


def _refused(refusal: Refusal) -> ResourceError:
    status = _REFUSED.get(refusal.code, 401)
    fields: tuple[Field, ...] = (("WWW-Authenticate", "Bearer"),) if status == 401 else ()
    retry = _RETRY_S if status == 503 else None
    return ResourceError(status, refusal.code, refusal.text, fields, retry_after_s=retry)
