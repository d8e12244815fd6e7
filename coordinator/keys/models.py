"""Stream keys as they are asked for and shown."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

MAX_LABEL = 60
MAX_KEYS = 20
MAX_LIFE_S = 10 * 365 * 86_400


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key without its secret."""

    key_id: str
    label: str
    standby: bool
    stream_id: str | None
    created_at: datetime
    expires_at: datetime | None


class NewKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /channels/{name}/keys. `standby`: its encoder waits behind the channel's other one."""

    label: str = ""
    standby: bool = False
    expires_in_s: int = 0  # 0: never


class CreatedKey(msgspec.Struct, frozen=True, kw_only=True):
    """`stream_key` is shown this once."""

    key_id: str
    channel: str
    label: str
    standby: bool
    stream_key: str
    rtmp_url: str
    expires_at: datetime | None


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A valid key, as its owner may see it."""

    key_id: str
    label: str
    standby: bool
    created_at: datetime
    expires_at: datetime | None
    stream_id: str | None


class KeyList(msgspec.Struct, frozen=True, kw_only=True):
    """Oldest first."""

    keys: list[KeyView]
