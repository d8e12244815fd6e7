"""Channels and stream keys."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from appliance.contracts.directory import Access, Profile

KEY_PREFIX = "nck_"
MAX_TITLE = 255
MAX_CATEGORY = 100


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """A channel, and the stream that is on the air on it, if any."""

    channel_id: str
    name: str
    user_id: str
    username: str
    title: str
    category: str
    suspended: bool  # the channel or its owner
    partner: bool  # its owner is one
    profile: str
    access: str
    stream_id: str | None
    status: str | None
    started_at: datetime | None


class NewChannel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /channels. An operator may name another owner; a name nobody has makes a user."""

    name: str
    title: str = ""
    username: str = ""
    user_id: str = ""


class CreatedChannel(msgspec.Struct, frozen=True, kw_only=True):
    """`stream_key` and `token` are shown this once."""

    channel: str
    channel_id: str
    user_id: str
    stream_key: str
    token: str
    rtmp_url: str


class ChangedChannel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of PATCH /channels/{name}; what is left out stays. `suspended` and `partner` are for operators.

    `profile` and `partner` hold from the next broadcast on, `access` at once.
    """

    title: str | None = None
    category: str | None = None
    suspended: bool | None = None
    partner: bool | None = None
    profile: Profile | None = None
    access: Access | None = None


class RotatedKey(msgspec.Struct, frozen=True, kw_only=True):
    """`stream_key` is shown this once; every older key of the channel is revoked."""

    channel: str
    user_id: str
    stream_key: str
    rtmp_url: str


class ChannelView(msgspec.Struct, frozen=True, kw_only=True):
    """A channel as everybody may see it."""

    channel: str
    channel_id: str
    user_id: str
    username: str
    title: str
    category: str
    live: bool
    playback_url: str
    partner: bool
    profile: Profile
    access: Access
    stream_id: str | None = None
    started_at: datetime | None = None


class ChannelList(msgspec.Struct, frozen=True, kw_only=True):
    """`next` is the `after` of the following page, absent on the last one."""

    channels: list[ChannelView]
    next: str | None = None


class ChannelQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Query of GET /channels."""

    after: str = ""
    limit: int = 50
    live: bool = False
