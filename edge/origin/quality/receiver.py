"""`POST /beacon`: from a request to the sums, with every refusal in its own words."""

import json
import math
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

from appliance.contracts.errors import BadInputError, NearcastError
from appliance.contracts.media import Broadcast
from edge.origin.addresses import client_address, limited_address
from edge.origin.audience import Audience
from edge.origin.bodies import MAX_BODY
from edge.origin.metrics import Tally
from edge.origin.quality import metrics
from edge.origin.quality.beacon import Beacon, read_beacon
from edge.origin.quality.limits import AddressLimit, Shedding
from edge.origin.quality.sums import Counted, Sums
from edge.origin.responses import CORS, Response
from edge.protocols.http.request import RequestHead
from edge.protocols.http.response import Field

_SHED_RETRY_S = 30
_FIELDS: tuple[Field, ...] = (("Cache-Control", "no-store"), *CORS)
_TAKEN = Response("beacon", 204, _FIELDS)
_PREFLIGHT = Response(
    "options",
    204,
    (
        ("Access-Control-Allow-Methods", "POST, OPTIONS"),
        ("Access-Control-Allow-Headers", "Content-Type"),
        ("Access-Control-Max-Age", "86400"),
        *_FIELDS,
    ),
)


def _problem(status: int, code: str, detail: str, *fields: Field, close: bool = False) -> Response:
    """A problem document (RFC 9457) with a stable code."""
    body = {"type": f"urn:nearcast:problem:{code}", "title": HTTPStatus(status).phrase, "status": status}
    head: tuple[Field, ...] = (("Content-Type", "application/problem+json"), *_FIELDS, *fields)
    data = json.dumps({**body, "code": code, "detail": detail}).encode()
    return Response("beacon", status, head, (data,), close=close)


_METHOD = _problem(405, "method", "Reports are sent by POST.", ("Allow", "POST, OPTIONS"))
_NO_LENGTH = _problem(411, "length", "A report says its length.", close=True)
_TOO_LARGE = _problem(413, "too_large", f"A report has at most {MAX_BODY} bytes.")
_UNKNOWN = _problem(400, "unknown_stream", "There is no such broadcast of this channel here.")
_SHED = _problem(503, "overloaded", "Too many reports come in.", ("Retry-After", str(_SHED_RETRY_S)))


class Sender(Protocol):
    """The connection a report came on."""

    @property
    def address(self) -> str:
        """The client's."""

    @property
    def rest(self) -> bytes:
        """Bytes after the head: the whole body (edge.origin.bodies), and what was pipelined."""


class Beacons:
    """`broadcast` looks one up by its id; `clock` is monotonic seconds, `now_ms` Unix milliseconds."""

    def __init__(
        self,
        *,
        broadcast: Callable[[str], Broadcast | None],
        audience: Audience,
        sums: Sums,
        limit: AddressLimit,
        shedding: Shedding,
        tally: Tally,
        clock: Callable[[], float],
        now_ms: Callable[[], int],
    ) -> None:
        self._broadcast = broadcast
        self._audience = audience
        self._sums = sums
        self._limit = limit
        self._shedding = shedding
        self._tally = tally
        self._clock = clock
        self._now_ms = now_ms

    def serve(self, sender: Sender, request: RequestHead) -> Response:
        """204 when the report was taken, else what was wrong with it or with us."""
        if request.method == "OPTIONS":
            return _PREFLIGHT
        if request.method != "POST":
            return _METHOD
        if request.headers.chunked:
            return _NO_LENGTH
        length = request.headers.body_length
        if length > MAX_BODY:
            return _TOO_LARGE
        wait_s = self._limit.take(limited_address(sender.address, request.headers), self._clock())
        if wait_s:
            return _too_many(wait_s)
        try:
            beacon = read_beacon(sender.rest[:length])
        except BadInputError as error:
            return _refused(error)
        return self._take(beacon, client_address(sender.address, request.headers))

    def _take(self, beacon: Beacon, address: str) -> Response:
        record = self._broadcast(beacon.stream_id)
        if record is None or record.channel != beacon.channel:
            return _UNKNOWN
        now, session = self._clock(), self._audience.hashes.session(beacon.session)
        if beacon.leaving:
            self._audience.left(beacon.stream_id, session, now)
        else:
            self._audience.told(beacon.stream_id, session, address, now, fetches=beacon.fetches)
        if not self._shedding.keeps(session, now):
            self._sums.shed(beacon, self._now_ms())
            self._tally.event("beacon_shed")
            return _SHED  # its viewer is counted all the same
        counted = self._sums.add(session, beacon, self._now_ms())
        if counted is not Counted.AGAIN:
            metrics.observe(beacon, started=counted is Counted.STARTED)
        return _TAKEN


def _refused(error: NearcastError) -> Response:
    return _problem(error.status, str(error.code), error.detail)


def _too_many(wait_s: float) -> Response:
    return _problem(429, "rate_limited", "Too many reports.", ("Retry-After", str(math.ceil(wait_s))))
