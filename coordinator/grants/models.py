"""Keys and grants as they are stored and shown."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from appliance.contracts.grants import LIFE_S


@dataclass(frozen=True, slots=True)
class KeyRow:
    grant_key_id: str
    key_id: str
    signs_from: datetime
    signs_until: datetime
    retires_at: datetime
    revoked_at: datetime | None


class GrantQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Query of calls that give a grant: how long it lasts. A player that cannot change its URL asks for long."""

    life_s: int = LIFE_S


class IssuedGrant(msgspec.Struct, frozen=True, kw_only=True):
    """`grant` goes before the path: /g/GRANT/live/... None: the channel is for everybody.

    Until `renew_until` GET /g/GRANT/live/CHANNEL/grant at an edge gives a longer one.
    """

    grant: str | None
    expires_at: datetime | None = None
    renew_until: datetime | None = None


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A key that signs grants, without its secret."""

    key_id: str
    signs_from: datetime
    signs_until: datetime
    retires_at: datetime


class GrantKeys(msgspec.Struct, frozen=True, kw_only=True):
    """Keys that are not revoked and not retired, the oldest first."""

    keys: list[KeyView]
