"""What a route is, what a handler gets, what it gives back."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from coordinator.accounts.models import Caller
from coordinator.unit import Unit

ANYONE = ""
ANYONE_KNOWN = "any"  # a valid token, whatever its scopes
MAYBE_KNOWN = "maybe"  # whoever their token says, or nobody: a bad one is as none


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was let in: decoded, authenticated, within its quota.

    `body` and `query` are of the types the route names (None without one).
    """

    path: Mapping[str, str]
    body: Any = None
    query: Any = None
    query_string: str = ""
    known_caller: Caller | None = None
    opened_unit: Unit | None = None
    idempotency_key: str = ""

    @property
    def caller(self) -> Caller:
        """Who calls; only on routes with a scope."""
        if self.known_caller is None:
            raise RuntimeError("the route asks for no token and so has no caller")
        return self.known_caller

    @property
    def unit(self) -> Unit:
        """The request's unit of work; only on routes with `in_unit`."""
        if self.opened_unit is None:
            raise RuntimeError("the route opens its own units")
        return self.opened_unit


@dataclass(frozen=True, slots=True)
class Reply:
    """A good answer; `value` becomes the JSON body."""

    status: int
    value: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the API. `path` is relative to /v1 and names its parameters in braces."""

    method: str
    path: str
    handler: Handler
    summary: str
    status: int = 200
    body: type | None = None
    query: type | None = None
    answer: type | None = None
    scope: str = ANYONE
    refusals: tuple[int, ...] = ()  # beyond 400, 401, 403 and 429, which follow from the rest
    quota: str = "post"
    bare: bool = False  # answers without the /v1 prefix as well
    in_unit: bool = True

    @property
    def creates(self) -> bool:
        """Whether Idempotency-Key applies."""
        return self.method == "POST"

    @property
    def paths(self) -> list[str]:
        return [f"/v1{self.path}", self.path] if self.bare else [f"/v1{self.path}"]

    def all_refusals(self) -> list[int]:
        """Every status of a refusal that this route can answer."""
        statuses = set(self.refusals)
        if self.body or self.query:
            statuses.add(400)
        if self.scope:
            statuses |= {401, 403}
        if self.method != "GET":
            statuses.add(429)
        if self.creates:
            statuses.add(409)
        return sorted(statuses)
