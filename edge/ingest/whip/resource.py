"""The WHIP endpoint and its session resources (RFC 9725, 4): requests to sessions, sessions to answers."""

import urllib.parse
from typing import NamedTuple, Protocol

from edge.ingest.keys import Refusal
from edge.ingest.whip.answers import FRAGMENT_TYPE, METHODS, SDP_TYPE, Answer, WhipError
from edge.protocols.http.request import RequestHead
from edge.protocols.http.response import Field
from edge.protocols.webrtc.sdp import MAX_BYTES, Fragment, Offer, parse_fragment, parse_offer

PREFIX = "/whip"
_SESSION = "session"
_MOST_ENCODER = 120
_REFUSED = {
    "draining": 503, "unavailable": 503, "too_many": 503, "takeovers": 409, "suspended": 403,
}  # fmt: skip
_RETRY_S = 5.0


class Session(Protocol):
    """A publisher's session as its resource sees it."""

    @property
    def offer_fragment(self) -> str:
        """The publisher's ICE user name fragment."""

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""

    @property
    def etag(self) -> str:
        """Names the ICE session that runs."""

    def restart(self, fragment: Fragment) -> str:
        """Begins an ICE restart; the fragment to answer with."""

    def end(self, reason: str, code: str, *, clean: bool) -> None:
        """The publisher is done."""


class Created(NamedTuple):
    """A new session: its secret name, its answer and its entity tag."""

    secret: str
    answer: str
    etag: str


class Sessions(Protocol):
    """Where sessions are made and found."""

    async def check(self, key: str) -> Refusal | None:
        """Why a key may not publish now."""

    def create(self, offer: Offer, key: str, encoder: str, address: str) -> Created:
        """A new session. SdpError, NoCodecError; WhipError when there are too many."""

    def find(self, secret: str) -> Session | None:
        """A session by its secret name, over ones included for a while."""


class WhipResource:
    """Answers one request at a time; WebrtcError and WhipError are the caller's to tell as problems."""

    def __init__(self, sessions: Sessions, ice_servers: tuple[str, ...] = ()) -> None:
        self._sessions = sessions
        self._links: tuple[Field, ...] = tuple(("Link", f'<{url}>; rel="ice-server"') for url in ice_servers)

    async def serve(self, request: RequestHead, body: bytes, address: str) -> Answer:
        """The answer to a request of a client at `address`."""
        parts = [part for part in request.path.split("/")[2:] if part]
        if len(parts) > 2 or (len(parts) == 2 and parts[0] != _SESSION):
            raise WhipError(404, "not_found", "There is nothing here.")
        if request.method == "OPTIONS":
            return self._options()
        if len(parts) == 2:
            return self._session(request, parts[1], body)
        if request.method != "POST":
            raise _not_allowed("POST, OPTIONS")
        return await self._create(request, parts[0] if parts else "", body, address)

    def _options(self) -> Answer:
        fields: tuple[Field, ...] = (
            ("Access-Control-Allow-Methods", METHODS),
            ("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match"),
            ("Access-Control-Max-Age", "7200"),
            ("Accept-Post", SDP_TYPE),
        )
        return Answer(204, fields=fields + self._links)

    async def _create(self, request: RequestHead, path_key: str, body: bytes, address: str) -> Answer:
        _expect_type(request, SDP_TYPE, "Accept-Post")
        key = path_key or _key_of(request)
        refusal = await self._sessions.check(key)
        if refusal is not None:
            raise _refused(refusal)
        offer = parse_offer(_text(body))
        encoder = request.headers.get("user-agent")[:_MOST_ENCODER] or "WHIP"
        created = self._sessions.create(offer, key, encoder, address)
        fields: tuple[Field, ...] = (
            ("Location", f"{PREFIX}/{_SESSION}/{created.secret}"),
            ("ETag", created.etag),
            ("Accept-Patch", FRAGMENT_TYPE),
        )
        return Answer(201, SDP_TYPE, created.answer.encode(), fields + self._links)

    def _session(self, request: RequestHead, secret: str, body: bytes) -> Answer:
        session = self._sessions.find(secret)
        if session is None:
            raise WhipError(404, "not_found", "There is no such session.")
        if request.method == "DELETE":  # again and again: the client may not have seen the first answer
            session.end("the encoder stopped", "deleted", clean=True)
            return Answer(200)
        if request.method == "PATCH":
            return self._patch(request, session, body)
        raise _not_allowed("PATCH, DELETE, OPTIONS")

    def _patch(self, request: RequestHead, session: Session, body: bytes) -> Answer:
        _expect_type(request, FRAGMENT_TYPE, "Accept-Patch")
        fragment = parse_fragment(_text(body))
        if session.is_over:
            raise WhipError(404, "not_found", "The session is over.")
        tags = {tag.strip() for tag in request.headers.get("if-match").split(",")} - {""}
        if tags and "*" not in tags and session.etag not in tags:
            raise WhipError(412, "precondition_failed", "The ICE session was restarted: this is about an old one.")
        if not fragment.fragment or fragment.fragment == session.offer_fragment:
            return Answer(204)  # candidates: the client's own checks tell us where it is
        answer = session.restart(fragment)
        return Answer(200, FRAGMENT_TYPE, answer.encode(), (("ETag", session.etag),))


def _key_of(request: RequestHead) -> str:
    """The stream key of an Authorization header, with its scheme or without, or of the query."""
    given = request.headers.get("authorization").strip()
    scheme, _, rest = given.partition(" ")
    if given:
        return rest.strip() if scheme.lower() == "bearer" else given
    query = urllib.parse.parse_qs(request.query, max_num_fields=20)
    return next((query[name][0] for name in ("key", "token") if name in query), "")


def _expect_type(request: RequestHead, expected: str, field: str) -> None:
    given = request.headers.get("content-type").partition(";")[0].strip().lower()
    if given != expected:
        raise WhipError(415, "content_type", f"The body has to be {expected}.", ((field, expected),))


def _text(body: bytes) -> str:
    if len(body) > MAX_BYTES:
        raise WhipError(413, "too_large", "The description is too large.")
    return body.decode("utf-8", "replace")


def _not_allowed(allowed: str) -> WhipError:
    return WhipError(405, "method_not_allowed", "This resource does not do that.", (("Allow", allowed),))


def _refused(refusal: Refusal) -> WhipError:
    status = _REFUSED.get(refusal.code, 401)
    fields: tuple[Field, ...] = (("WWW-Authenticate", "Bearer"),) if status == 401 else ()
    retry = _RETRY_S if status == 503 else None
    return WhipError(status, refusal.code, refusal.text, fields, retry_after_s=retry)
