"""Session resources of WHIP and WHEP (RFC 9725, 4; draft-ietf-wish-whep, 4): what both do alike."""

from typing import NamedTuple, Protocol

from edge.net.answers import FRAGMENT_TYPE, METHODS, SDP_TYPE, Answer, ResourceError
from edge.protocols.http.request import RequestHead
from edge.protocols.http.response import Field
from edge.protocols.webrtc.sdp import MAX_BYTES, Fragment, parse_fragment

SESSION = "session"


class Addressed(Protocol):
    """A session as its resource sees it."""

    @property
    def offer_fragment(self) -> str:
        """The peer's ICE user name fragment."""

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""

    @property
    def etag(self) -> str:
        """Names the ICE session that runs."""

    def restart(self, fragment: Fragment) -> str:
        """Begins an ICE restart; the fragment to answer with."""

    def end(self, reason: str, code: str, *, clean: bool) -> None:
        """The peer is done."""


class Over:
    """What is left of a session."""

    is_over = True
    offer_fragment = etag = ""

    def restart(self, fragment: Fragment) -> str:
        """Never asked for."""
        return fragment.fragment

    def end(self, reason: str, code: str, *, clean: bool) -> None:
        """It has ended."""


class Created(NamedTuple):
    """A new session: its secret name, its answer and its entity tag."""

    secret: str
    answer: str
    etag: str


def ice_links(ice_servers: tuple[str, ...]) -> tuple[Field, ...]:
    """STUN and TURN servers for a peer (RFC 9725, 4.6)."""
    return tuple(("Link", f'<{url}>; rel="ice-server"') for url in ice_servers)


def options(links: tuple[Field, ...]) -> Answer:
    """What a page of another origin may do."""
    fields: tuple[Field, ...] = (
        ("Access-Control-Allow-Methods", METHODS),
        ("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match"),
        ("Access-Control-Max-Age", "7200"),
        ("Accept-Post", SDP_TYPE),
    )
    return Answer(204, fields=fields + links)


def created(prefix: str, made: Created, links: tuple[Field, ...]) -> Answer:
    """The answer to an offer."""
    fields: tuple[Field, ...] = (
        ("Location", f"{prefix}/{SESSION}/{made.secret}"),
        ("ETag", made.etag),
        ("Accept-Patch", FRAGMENT_TYPE),
    )
    return Answer(201, SDP_TYPE, made.answer.encode(), fields + links)


def serve_session(request: RequestHead, session: Addressed | None, body: bytes, stopped: str) -> Answer:
    """PATCH and DELETE of a session, which then ends for the reason `stopped`. ResourceError and SdpError."""
    if session is None:
        raise ResourceError(404, "not_found", "There is no such session.")
    if request.method == "DELETE":  # again and again: the client may not have seen the first answer
        session.end(stopped, "deleted", clean=True)
        return Answer(200)
    if request.method == "PATCH":
        return _patch(request, session, body)
    raise not_allowed("PATCH, DELETE, OPTIONS")


def _patch(request: RequestHead, session: Addressed, body: bytes) -> Answer:
    expect_type(request, FRAGMENT_TYPE, "Accept-Patch")
    fragment = parse_fragment(text_of(body))
    if session.is_over:
        raise ResourceError(404, "not_found", "The session is over.")
    tags = {tag.strip() for tag in request.headers.get("if-match").split(",")} - {""}
    if tags and "*" not in tags and session.etag not in tags:
        raise ResourceError(412, "precondition_failed", "The ICE session was restarted: this is about an old one.")
    if not fragment.fragment or fragment.fragment == session.offer_fragment:
        return Answer(204)  # candidates: the client's own checks tell us where it is
    answer = session.restart(fragment)
    return Answer(200, FRAGMENT_TYPE, answer.encode(), (("ETag", session.etag),))


def expect_type(request: RequestHead, expected: str, field: str) -> None:
    """ResourceError 415 for a body of another type; `field` tells the right one."""
    given = request.headers.get("content-type").partition(";")[0].strip().lower()
    if given != expected:
        raise ResourceError(415, "content_type", f"The body has to be {expected}.", ((field, expected),))


def text_of(body: bytes) -> str:
    """A description as text. ResourceError 413."""
    if len(body) > MAX_BYTES:
        raise ResourceError(413, "too_large", "The description is too large.")
    return body.decode("utf-8", "replace")


def not_allowed(allowed: str) -> ResourceError:
    """405."""
    return ResourceError(405, "method_not_allowed", "This resource does not do that.", (("Allow", allowed),))
