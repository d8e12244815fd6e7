"""Rules of stream keys."""

from collections.abc import Callable

from appliance.contracts.directory import secret_hash
from appliance.contracts.errors import BadInputError, ConflictError, NotFoundError
from appliance.runtime.ids import new_id, new_secret
from coordinator.accounts.models import Caller
from coordinator.channels.models import KEY_PREFIX
from coordinator.channels.service import Channels
from coordinator.endpoints import Endpoints
from coordinator.keys import store
from coordinator.keys.models import (
    MAX_KEYS,
    MAX_LABEL,
    MAX_LIFE_S,
    CreatedKey,
    KeyList,
    KeyRow,
    KeyView,
    NewKey,
)
from coordinator.times import from_ms
from coordinator.unit import Kind, Ref, Unit


class Keys:
    """`now_ms` gives Unix milliseconds."""

    def __init__(self, channels: Channels, endpoints: Endpoints, now_ms: Callable[[], int]) -> None:
        self._channels = channels
        self._endpoints = endpoints
        self._now_ms = now_ms

    async def page(self, unit: Unit, caller: Caller, name: str) -> KeyList:
        """The valid keys. ForbiddenError, NotFoundError."""
        channel = await self._channels.own(unit, caller, name)
        rows = await store.valid(unit.connection, channel.channel_id)
        return KeyList(keys=[_view(row) for row in rows])

    async def create(self, unit: Unit, caller: Caller, name: str, wanted: NewKey) -> CreatedKey:
        """One more key. BadInputError, ForbiddenError, NotFoundError; ConflictError: there are too many."""
        _check(wanted)
        channel = await self._channels.own(unit, caller, name)
        if len(await store.valid(unit.connection, channel.channel_id)) >= MAX_KEYS:
            raise ConflictError(f"a channel has at most {MAX_KEYS} keys; revoke one", code="too_many_keys")
        key_id, key = new_id(), new_secret(KEY_PREFIX)
        expires_at = from_ms(self._now_ms() + wanted.expires_in_s * 1000) if wanted.expires_in_s else None
        await store.insert(
            unit.connection,
            key_id,
            secret_hash(key),
            channel.channel_id,
            label=wanted.label,
            standby=wanted.standby,
            expires_at=expires_at,
        )
        unit.changed.add(Ref(Kind.KEY, key_id))
        return CreatedKey(
            key_id=key_id,
            channel=channel.name,
            label=wanted.label,
            standby=wanted.standby,
            stream_key=key,
            rtmp_url=self._endpoints.ingests()[0].rtmp_url,
            expires_at=expires_at,
        )

    async def revoke(self, unit: Unit, caller: Caller, name: str, key_id: str) -> KeyView:
        """Ends a key; who publishes with it is cut. ForbiddenError, NotFoundError."""
        channel = await self._channels.own(unit, caller, name)
        for row in await store.valid(unit.connection, channel.channel_id):
            if str(row.key_id) == key_id:
                await store.revoke(unit.connection, key_id)
                unit.changed.add(Ref(Kind.KEY, key_id))
                return _view(row)
        raise NotFoundError("this channel has no such valid key", code="key_not_found")


def _check(wanted: NewKey) -> None:
    if len(wanted.label) > MAX_LABEL or any(ord(character) < 32 for character in wanted.label):
        raise BadInputError(f"a label has at most {MAX_LABEL} printable characters", code="invalid_label")
    if not 0 <= wanted.expires_in_s <= MAX_LIFE_S:
        raise BadInputError(f"expires_in_s is 0 (never) to {MAX_LIFE_S}", code="invalid_expiry")


def _view(row: KeyRow) -> KeyView:
    return KeyView(
        key_id=str(row.key_id),
        label=row.label,
        standby=row.standby,
        created_at=row.created_at,
        expires_at=row.expires_at,
        stream_id=row.stream_id,
    )
