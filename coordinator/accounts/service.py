"""Rules of users and tokens."""

from collections.abc import Callable
from datetime import timedelta

from appliance.contracts.directory import secret_hash
from appliance.contracts.errors import (
    BadInputError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnauthenticatedError,
)
from appliance.contracts.ids import is_uuid7
from appliance.runtime.ids import new_id, new_secret
from coordinator.accounts import store
from coordinator.accounts.models import (
    TOKEN_PREFIX,
    USER_SCOPES,
    USERNAME,
    Caller,
    ChangedUser,
    CreatedToken,
    CreatedUser,
    Me,
    NewToken,
    Scope,
    UserRow,
)
from coordinator.grants.store import revoke
from coordinator.times import from_ms
from coordinator.unit import Kind, Ref, Unit

OPERATOR_NAME = "operator"
_MAX_TOKEN_LIFE_S = 10 * 365 * 86_400


class Accounts:
    """Users and tokens. `now_ms` gives Unix milliseconds."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms

    async def authenticate(self, unit: Unit, token: str) -> Caller:
        """Whose token this is. UnauthenticatedError: unknown, revoked or expired, without saying which."""
        return await self.authenticate_hash(unit, secret_hash(token))

    async def authenticate_hash(self, unit: Unit, token_hash: str) -> Caller:
        """The same by the token's hash, as an edge tells it."""
        row = await store.caller_by_hash(unit.connection, token_hash)
        now = from_ms(self._now_ms())
        if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
            raise UnauthenticatedError("the token is unknown or no longer valid")
        return Caller(row.token_id, row.user_id, row.username, frozenset(row.scopes))

    async def create(self, unit: Unit, username: str) -> CreatedUser:
        """A user with a token. BadInputError: not a username; ConflictError: taken."""
        user = await self.add(unit, username)
        token = await self.issue(unit, user.user_id, NewToken(scopes=USER_SCOPES))
        return CreatedUser(user_id=user.user_id, username=user.username, token=token.token)

    async def add(self, unit: Unit, username: str) -> UserRow:
        """A user without a token. Errors as `create`."""
        if USERNAME.match(username) is None:
            raise BadInputError(
                "a username has 1 to 30 letters, digits, - or _, and starts and ends with a letter or digit",
                code="invalid_username",
            )
        if await store.user_by_name(unit.connection, username) is not None:
            raise ConflictError("that username is taken", code="username_taken")
        user = UserRow(new_id(), username, suspended=False, badges=[])
        await store.insert_user(unit.connection, user.user_id, user.username)
        return user

    async def require(self, unit: Unit, user_id: str) -> UserRow:
        """The user with this id. NotFoundError."""
        user = await store.user_by_id(unit.connection, user_id) if is_uuid7(user_id) else None
        if user is None:
            raise NotFoundError("there is no such user", code="user_not_found")
        return user

    async def find_or_add(self, unit: Unit, username: str) -> UserRow:
        """The user of that name, made when there is none."""
        user = await store.user_by_name(unit.connection, username)
        return user if user is not None else await self.add(unit, username)

    async def issue(self, unit: Unit, user_id: str, wanted: NewToken) -> CreatedToken:
        """A new token for a user who exists. BadInputError: a life that is negative or beyond ten years."""
        if not 0 <= wanted.expires_in_s <= _MAX_TOKEN_LIFE_S:
            raise BadInputError("expires_in_s is 0 to ten years", code="invalid_expiry")
        expires_at = None
        if wanted.expires_in_s:
            expires_at = from_ms(self._now_ms()) + timedelta(seconds=wanted.expires_in_s)
        token_id, token = new_id(), new_secret(TOKEN_PREFIX)
        scopes = sorted({str(scope) for scope in wanted.scopes or USER_SCOPES})
        await store.insert_token(unit.connection, token_id, secret_hash(token), user_id, scopes, expires_at)
        unit.changed.add(Ref(Kind.TOKEN, token_id))
        return CreatedToken(token_id=token_id, token=token, user_id=user_id, scopes=scopes, expires_at=expires_at)

    async def issue_for(self, unit: Unit, caller: Caller, user_id: str, wanted: NewToken) -> CreatedToken:
        """A token asked for by `caller`: for themselves, and never able to do more than they can."""
        if not caller.may_act_for(user_id):
            raise ForbiddenError("that is somebody else's account")
        missing = [scope for scope in wanted.scopes or USER_SCOPES if not caller.may(scope)]
        if missing:
            raise ForbiddenError(f"your token does not have the scope {missing[0]}", code="missing_scope")
        await self.require(unit, user_id)
        return await self.issue(unit, user_id, wanted)

    async def revoke(self, unit: Unit, caller: Caller, user_id: str, token_id: str) -> None:
        """Ends a token at once, here and on every edge. ForbiddenError, NotFoundError."""
        if not caller.may_act_for(user_id):
            raise ForbiddenError("that is somebody else's account")
        known = is_uuid7(token_id) and is_uuid7(user_id)
        if not known or not await store.revoke_token(unit.connection, user_id, token_id):
            raise NotFoundError("there is no such token", code="token_not_found")
        unit.changed.add(Ref(Kind.TOKEN, token_id))

    async def change(self, unit: Unit, user_id: str, wanted: ChangedUser) -> UserRow:
        """Suspends a user or lets them be again; what they were granted is void. NotFoundError."""
        await self.require(unit, user_id)
        if wanted.suspended is not None:
            await store.set_suspended(unit.connection, user_id, wanted.suspended)
            channel_id = await store.channel_id_of(unit.connection, user_id)
            if channel_id is not None:
                unit.changed.add(Ref(Kind.CHANNEL, channel_id))
        if wanted.suspended:
            until = from_ms(self._now_ms())
            unit.changed.add(Ref(Kind.REVOCATION, await revoke(unit.connection, new_id(), user_id, None, until)))
        return await self.require(unit, user_id)

    async def me(self, unit: Unit, caller: Caller) -> Me:
        """What the caller's token says about them."""
        user = await self.require(unit, caller.user_id)
        return Me(
            user_id=user.user_id,
            username=user.username,
            scopes=sorted(caller.scopes),
            suspended=user.suspended,
            channel=await store.channel_name_of(unit.connection, user.user_id),
        )

    async def ensure_operator(self, unit: Unit, kept: str | None) -> str | None:
        """An operator token, or None when one exists: any at all, or `kept` where that is given."""
        await store.lock_operators(unit.connection)
        if kept is None:
            exists = await store.operator_token_exists(unit.connection)
        else:
            exists = await self._is_operator(unit, kept)
        if exists:
            return None
        user = await self.find_or_add(unit, OPERATOR_NAME)
        token = await self.issue(unit, user.user_id, NewToken(scopes=[Scope.OPERATOR]))
        return token.token

    async def _is_operator(self, unit: Unit, token: str) -> bool:
        try:
            return (await self.authenticate(unit, token)).is_operator
        except UnauthenticatedError:
            return False
