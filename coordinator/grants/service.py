"""Rules of grants: which key signs, when the next one is made, what is revoked."""

from collections.abc import Callable
from datetime import datetime, timedelta

from appliance.contracts.errors import BadInputError, NotFoundError
from appliance.contracts.grants import LEAST_LIFE_S, MOST_LIFE_S, UNTIL_S, Grant, write_grant
from appliance.runtime.ids import new_id
from appliance.runtime.signing import SigningKey
from coordinator.grants import store
from coordinator.grants.keyring import Keyring
from coordinator.grants.models import GrantKeys, IssuedGrant, KeyRow, KeyView
from coordinator.times import from_ms, to_ms
from coordinator.unit import Kind, Ref, Unit

_SIGNS = timedelta(days=7)
_EARLY = timedelta(days=1)  # a key is known to edges before it signs
_RENEWED = timedelta(seconds=UNTIL_S, hours=1)


class Grants:
    """Signs with keys of `keyring`. `now_ms` gives Unix milliseconds."""

    def __init__(self, keyring: Keyring, now_ms: Callable[[], int]) -> None:
        self._keyring = keyring
        self._now_ms = now_ms

    async def issue(
        self, unit: Unit, user_id: str, channel_id: str, life_s: int, until: datetime | None
    ) -> IssuedGrant:
        """A grant for one channel, that is not renewed beyond `until` where that is given.

        BadInputError: a life that is too short or too long.
        """
        if not LEAST_LIFE_S <= life_s <= MOST_LIFE_S:
            raise BadInputError(f"life_s is {LEAST_LIFE_S} to {MOST_LIFE_S}", code="invalid_life")
        key = await self.signer(unit)
        now_ms = self._now_ms()
        until_ms = now_ms + UNTIL_S * 1000
        if until is not None:
            until_ms = min(until_ms, to_ms(until))
        grant = Grant(
            key_id=key.key_id,
            root=key.key_id,
            channel_id=channel_id,
            user_id=user_id,
            issued_ms=now_ms,
            expires_ms=min(now_ms + life_s * 1000, until_ms),
            until_ms=until_ms,
        )
        return IssuedGrant(
            grant=write_grant(grant, key.sign(grant.payload())),
            expires_at=from_ms(grant.expires_ms),
            renew_until=from_ms(grant.until_ms),
        )

    async def signer(self, unit: Unit) -> SigningKey:
        """The key that signs now. Makes the next one in time, or one at once when there is none."""
        now = from_ms(self._now_ms())
        rows = await store.valid_keys(unit.connection, now)
        mine = [row for row in rows if row.key_id in self._keyring]
        signing = [row for row in mine if row.signs_from <= now < row.signs_until]
        if not signing:
            return await self._make(unit, now)
        current = signing[-1]
        if mine[-1] == current and current.signs_until - now < _EARLY:
            await self._make(unit, current.signs_until)
        return self._keyring.get(current.key_id)

    async def maintain(self, unit: Unit) -> None:
        """Makes the next key in time although nobody asks for a grant; forgets keys that are over."""
        await self.signer(unit)
        rows = await store.valid_keys(unit.connection, from_ms(self._now_ms()))
        self._keyring.keep({row.key_id for row in rows})

    async def _make(self, unit: Unit, signs_from: datetime) -> SigningKey:
        key = self._keyring.make()
        signs_until = signs_from + _SIGNS
        row = KeyRow(new_id(), key.key_id, signs_from, signs_until, signs_until + _RENEWED, None)
        await store.insert_key(unit.connection, row, key.public.hex())
        unit.changed.add(Ref(Kind.GRANT_KEY, row.grant_key_id))
        return key

    async def keys(self, unit: Unit) -> GrantKeys:
        """The keys by which edges verify."""
        rows = await store.valid_keys(unit.connection, from_ms(self._now_ms()))
        return GrantKeys(keys=[_shown(row) for row in rows])

    async def revoke_key(self, unit: Unit, key_id: str) -> None:
        """Voids everything that a key signed; viewers ask anew. NotFoundError."""
        known = key_id.isascii() and key_id.isalnum() and len(key_id) == 16
        found = await store.revoke_key(unit.connection, key_id, from_ms(self._now_ms())) if known else None
        if found is None:
            raise NotFoundError("there is no such key", code="key_not_found")
        unit.changed.add(Ref(Kind.GRANT_KEY, found))

    async def revoke(self, unit: Unit, user_id: str, channel_id: str | None) -> None:
        """Voids what a user was granted until now, on one channel or on all."""
        until = from_ms(self._now_ms())
        found = await store.revoke(unit.connection, new_id(), user_id, channel_id, until)
        unit.changed.add(Ref(Kind.REVOCATION, found))


def _shown(row: KeyRow) -> KeyView:
    return KeyView(
        key_id=row.key_id, signs_from=row.signs_from, signs_until=row.signs_until, retires_at=row.retires_at
    )
