"""The WHEP endpoint of each channel and its session resources (draft-ietf-wish-whep, 4)."""

from typing import Protocol

from appliance.contracts.directory import CHANNEL_NAME
from edge.access.paths import split
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
from edge.protocols.http.cmcd import session_id
from edge.protocols.http.request import RequestHead
from edge.protocols.webrtc.sdp import Offer, parse_offer
from edge.whep.admission import Ticket

PREFIX = "/whep"
_STOPPED = "the viewer left"


class Sessions(Protocol):
    """Where sessions are made and found."""

    def check(self, ticket: Ticket) -> None:
        """ResourceError when the channel cannot be watched by this viewer now."""

    async def create(self, ticket: Ticket, offer: Offer, address: str) -> Created:
        """A new session. SdpError and ResourceError when it cannot be."""

    def find(self, secret: str) -> Addressed | None:
        """A session by its secret name, over ones included for a while."""


class WhepResource:
    """Answers one request at a time; NearcastErrors are the caller's to tell as problems."""

    def __init__(self, sessions: Sessions, ice_servers: tuple[str, ...] = ()) -> None:
        self._sessions = sessions
        self._links = ice_links(ice_servers)

    async def serve(self, request: RequestHead, body: bytes, address: str) -> Answer:
        """The answer to a request of a client at `address`. A grant stands before the path, or is the bearer's
        token."""
        grant, path = split(request.path)
        parts = [part for part in path.split("/")[2:] if part]
        if not parts or len(parts) > 2 or (len(parts) == 2 and parts[0] != SESSION):
            raise ResourceError(404, "not_found", "There is nothing here.")
        if request.method == "OPTIONS":
            return options(self._links)
        if len(parts) == 2:
            return serve_session(request, self._sessions.find(parts[1]), body, _STOPPED)
        if request.method != "POST":
            raise not_allowed("POST, OPTIONS")
        if not CHANNEL_NAME.match(parts[0]):
            raise ResourceError(404, "unknown_channel", "There is no such channel.")
        ticket = Ticket(parts[0], grant or _bearer(request), session_id(request.headers, request.query))
        self._sessions.check(ticket)
        expect_type(request, SDP_TYPE, "Accept-Post")
        made = await self._sessions.create(ticket, parse_offer(text_of(body)), address)
        return created(PREFIX, made, self._links)


def _bearer(request: RequestHead) -> str:
    scheme, _, token = request.headers.get("authorization").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
