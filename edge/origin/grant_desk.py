"""`GET /live/CHANNEL/grant` with a user's token: the centre is asked for a grant, over the bus.

The page need know nothing but its own edge, and the token travels no further than this process: the centre is
told its hash.
"""

import urllib.parse
from collections.abc import Callable
from typing import Protocol

import msgspec

from appliance.contracts.directory import secret_hash
from appliance.contracts.errors import UnavailableError
from appliance.contracts.grants import LIFE_S, GrantAnswer, GrantRequest
from appliance.contracts.subjects import grant_request
from appliance.runtime.tasks import Tasks
from edge.origin.addresses import limited_address
from edge.origin.guard import document
from edge.origin.held import Release, Waiter
from edge.origin.metrics import Tally
from edge.origin.quality.limits import AddressLimit
from edge.origin.responses import CORS, Response
from edge.protocols.http.request import RequestHead
from edge.protocols.http.response import Field

_ASK_S = 3.0
_WAIT_S = 5.0
_ASKING = 500
_PER_MINUTE = 120  # questions from one address
_MAX_TOKEN = 200


def _problem(status: int, code: str, detail: str, *fields: Field) -> Response:
    head: tuple[Field, ...] = (("Content-Type", "application/problem+json"), ("Cache-Control", "no-store"), *CORS)
    body = {"type": f"urn:nearcast:problem:{code}", "title": code, "status": status, "code": code, "detail": detail}
    return Response("grant", status, (*head, *fields), (msgspec.json.encode(body),))


_LOGIN: Field = ("WWW-Authenticate", 'Bearer realm="nearcast"')
_UNKNOWN = _problem(401, "unauthenticated", "Log in: send Authorization: Bearer TOKEN.", _LOGIN)
_AWAY = _problem(503, "unavailable", "The centre cannot be asked at the moment.", ("Retry-After", "5"))
_BUSY = _problem(503, "unavailable", "Too many grants are being asked for.", ("Retry-After", "2"))
_LIMITED = _problem(429, "rate_limited", "Too many grants were asked for.", ("Retry-After", "30"))


class Asking(Protocol):
    """The connection a request came on."""

    @property
    def address(self) -> str:
        """The client's."""

    def has_room(self) -> bool:
        """Whether one more request may be held."""

    def hold(self, release: Release, until: float) -> None:
        """Parks the request."""

    def answer(self, response: Response) -> None:
        """Answers the held request."""


class Centre(Protocol):
    """The part of a bus that asking needs."""

    async def request(self, subject: str, data: bytes, timeout_s: float) -> bytes:
        """One answer. UnavailableError."""


class _Held:
    """A question of one connection. Once it was let go (time over, client left) it has no answer any more: the
    connection may hold another request by then."""

    def __init__(self, asking: Asking) -> None:
        self._asking: Asking | None = asking

    def release(self, _: Waiter) -> None:
        self._asking = None

    def answer(self, response: Response) -> None:
        if self._asking is not None:
            self._asking.answer(response)


class GrantDesk:
    """`clock` is monotonic seconds."""

    def __init__(
        self,
        centre: Centre,
        edge_id: str,
        tally: Tally,
        clock: Callable[[], float],
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._centre = centre
        self._subject = grant_request(edge_id)
        self._tally = tally
        self._clock = clock
        self._limit = AddressLimit(_PER_MINUTE)
        self._asking = 0
        self._tasks = Tasks(on_failure)

    def serve(self, asking: Asking, request: RequestHead, channel: str) -> Response | None:
        """The refusal, or None: the request is held until the centre has answered."""
        scheme, _, token = request.headers.get("authorization").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not 0 < len(token) <= _MAX_TOKEN:
            return _UNKNOWN
        if self._limit.take(limited_address(asking.address, request.headers), self._clock()):
            return _LIMITED
        if self._asking >= _ASKING or not asking.has_room():
            self._tally.event("grants_busy")
            return _BUSY
        wanted = GrantRequest(token=secret_hash(token), channel=channel, life_s=_life(request.query))
        held = _Held(asking)
        asking.hold(held.release, self._clock() + _WAIT_S)
        self._tasks.start(self._ask(held, wanted), "ask-for-grant")
        return None

    async def close(self) -> None:
        """Ends the questions."""
        await self._tasks.close()

    async def _ask(self, held: "_Held", wanted: GrantRequest) -> None:
        self._asking += 1
        try:
            data = await self._centre.request(self._subject, msgspec.json.encode(wanted), _ASK_S)
            answer = msgspec.json.decode(data, type=GrantAnswer)
        except (UnavailableError, msgspec.MsgspecError):
            self._tally.event("grants_away")
            held.answer(_AWAY)
        else:
            held.answer(_answered(answer))
        finally:
            self._asking -= 1


def _answered(answer: GrantAnswer) -> Response:
    if answer.status != 200:
        fields = (_LOGIN,) if answer.status == 401 else ()
        return _problem(answer.status, answer.code, answer.detail, *fields)
    if not answer.grant:
        return document({"grant": None})
    return document({"grant": answer.grant, "expires_at": answer.expires_ms, "renew_until": answer.until_ms})


def _life(query: str) -> int:
    given = urllib.parse.parse_qs(query).get("life_s", [""])[0] if "life_s" in query else ""
    return int(given) if given.isascii() and given.isdigit() and len(given) < 9 else LIFE_S
