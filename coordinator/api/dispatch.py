"""The one way through the API: token, quota, decoding, idempotency, handler, commit, answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from appliance.contracts.errors import BadInputError, ForbiddenError, NearcastError, UnauthenticatedError
from coordinator.accounts.models import Caller
from coordinator.accounts.service import Accounts
from coordinator.api import idempotency
from coordinator.api.limits import Limiter
from coordinator.api.route import ANYONE, ANYONE_KNOWN, MAYBE_KNOWN, Call, Reply, Route
from coordinator.config import Quota
from coordinator.unit import Unit, Units

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as it came. Names of headers are lower case."""

    method: str
    route_path: str
    path: Mapping[str, str]
    headers: Mapping[str, str]
    query_string: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An answer as it goes."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = JSON


class Dispatcher:
    """Runs routes. `clock` is monotonic, in seconds; `quotas` by the name a route gives, and "operator"."""

    def __init__(
        self, units: Units, accounts: Accounts, quotas: Mapping[str, Quota], clock: Callable[[], float]
    ) -> None:
        self._units = units
        self._accounts = accounts
        self._quotas = quotas
        self._clock = clock
        self._limiter = Limiter()

    async def run(self, route: Route, incoming: Incoming) -> Outgoing:
        """The answer of a route. Refusals leave as NearcastError."""
        if route.in_unit:
            async with self._units.open() as unit:
                call, tried = await self._admit(unit, route, incoming)
                return await self._once(unit, route, replace(call, opened_unit=unit), tried)
        if route.scope == ANYONE:
            return _outgoing(await route.handler(_decoded(route, incoming, None)))
        async with self._units.open() as unit:
            call, tried = await self._admit(unit, route, incoming)
            if tried is not None:
                remembered = await idempotency.claim(unit, tried)
                if remembered is not None:
                    return Outgoing(remembered.status, remembered.body)
        return await self._outside(route, call, tried)

    async def _admit(self, unit: Unit, route: Route, incoming: Incoming) -> tuple[Call, idempotency.Attempt | None]:
        if route.scope == ANYONE:
            return _decoded(route, incoming, None), None
        if route.scope == MAYBE_KNOWN:
            return _decoded(route, incoming, await self._maybe(unit, incoming)), None
        token = bearer(incoming.headers)
        caller = await self._accounts.authenticate(unit, token)
        if route.method != "GET":
            self._spend(route, caller)
        if route.scope != ANYONE_KNOWN and not caller.may(route.scope):
            raise ForbiddenError(f"this needs a token with the scope {route.scope}", code="missing_scope")
        call = _decoded(route, incoming, caller)
        key = incoming.headers.get("idempotency-key")
        if key is None or not route.creates:
            return call, None
        path = "/".join((route.path, *incoming.path.values()))
        return replace(call, idempotency_key=key), idempotency.attempt(
            caller.token_id, token, key, route.method, path, incoming.body
        )

    async def _maybe(self, unit: Unit, incoming: Incoming) -> Caller | None:
        try:
            return await self._accounts.authenticate(unit, bearer(incoming.headers))
        except UnauthenticatedError:
            return None

    def _spend(self, route: Route, caller: Caller) -> None:
        quota = self._quotas["operator" if caller.is_operator else route.quota]
        self._limiter.take(f"{route.quota}:{caller.token_id}", quota, self._clock())

    async def _once(self, unit: Unit, route: Route, call: Call, tried: idempotency.Attempt | None) -> Outgoing:
        """Claim, effect and remembered answer are one transaction: a crash leaves all or nothing."""
        if tried is None:
            return _outgoing(await route.handler(call))
        remembered = await idempotency.claim(unit, tried)
        if remembered is not None:
            return Outgoing(remembered.status, remembered.body)
        outgoing = _outgoing(await route.handler(call))
        await idempotency.record(unit, tried, outgoing.status, outgoing.body)
        return outgoing

    async def _outside(self, route: Route, call: Call, tried: idempotency.Attempt | None) -> Outgoing:
        """The effect lies elsewhere (an edge): no transaction is held while it is asked."""
        if tried is None:
            return _outgoing(await route.handler(call))
        try:
            outgoing = _outgoing(await route.handler(call))
        except NearcastError:
            async with self._units.open() as unit:
                await idempotency.release(unit, tried)
            raise
        async with self._units.open() as unit:
            await idempotency.record(unit, tried, outgoing.status, outgoing.body)
        return outgoing


def bearer(headers: Mapping[str, str]) -> str:
    """The token of `Authorization: Bearer` (RFC 6750, 2.1). UnauthenticatedError without one."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > 512:
        raise UnauthenticatedError("send Authorization: Bearer TOKEN", code="token_missing")
    return token


def _decoded(route: Route, incoming: Incoming, caller: Caller | None) -> Call:
    body: Any = None
    if route.body is not None:
        body = _body(incoming.body or b"{}", route.body)
    query: Any = None
    if route.query is not None:
        try:
            query = msgspec.convert(dict(incoming.query), route.query, strict=False)
        except msgspec.ValidationError as error:
            raise BadInputError(str(error), code="invalid_query") from error
    return Call(incoming.path, body, query, incoming.query_string, caller)


def _body(data: bytes, kind: type) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise BadInputError(str(error), code="invalid_body") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError("the body is not JSON", code="invalid_json") from error


def _outgoing(reply: Reply) -> Outgoing:
    body = b"" if reply.value is None else msgspec.json.encode(reply.value)
    return Outgoing(reply.status, body, reply.headers)
