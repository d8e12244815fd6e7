"""Users, tokens and callers."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec

TOKEN_PREFIX = "nct_"  # noqa: S105 - a prefix, not a token
USERNAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,28}[A-Za-z0-9])?\Z")  # lower-cased, a channel name


class Scope(StrEnum):
    """What a token allows. OPERATOR allows everything, for everybody."""

    OPERATOR = "operator"
    STREAM = "stream"
    CHAT = "chat"


USER_SCOPES = [Scope.STREAM, Scope.CHAT]


@dataclass(frozen=True, slots=True)
class UserRow:
    user_id: str
    username: str
    suspended: bool
    badges: list[str]


@dataclass(frozen=True, slots=True)
class CallerRow:
    token_id: str
    user_id: str
    username: str
    scopes: list[str]
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever makes a request, from their token."""

    token_id: str
    user_id: str
    username: str
    scopes: frozenset[str]

    @property
    def is_operator(self) -> bool:
        return Scope.OPERATOR in self.scopes

    def may(self, scope: str) -> bool:
        return scope in self.scopes or self.is_operator

    def may_act_for(self, user_id: str) -> bool:
        return self.user_id == user_id or self.is_operator


class NewUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /users."""

    username: str


class ChangedUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of PATCH /users/{user_id}; what is left out stays."""

    suspended: bool | None = None


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    """A user as operators see them."""

    user_id: str
    username: str
    suspended: bool


class CreatedUser(msgspec.Struct, frozen=True, kw_only=True):
    """`token` is shown this once."""

    user_id: str
    username: str
    token: str


class NewToken(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /users/{user_id}/tokens; no scopes means those of an ordinary user."""

    scopes: list[Scope] = []
    expires_in_s: int = 0  # 0: never


class CreatedToken(msgspec.Struct, frozen=True, kw_only=True):
    """`token` is shown this once."""

    token_id: str
    token: str
    user_id: str
    scopes: list[str]
    expires_at: datetime | None


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of GET /users/me."""

    user_id: str
    username: str
    scopes: list[str]
    suspended: bool
    channel: str | None
