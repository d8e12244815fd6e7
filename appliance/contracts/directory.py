"""What the centre hands down so that an edge can decide alone: keys, tokens, channels, streams.

Records travel as JSON in the directory bucket. A secret is never in it, only its SHA-256: keys and
tokens are 160 bit random strings, so a plain hash cannot be searched (no salt or stretching needed).
"""

import enum
import hashlib
import re

import msgspec

FORGET_S = 7 * 86_400  # after which nobody is told any more that an event is gone
CHANNEL_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,28}[a-z0-9])?\Z")


def secret_hash(secret: str) -> str:
    """Hex SHA-256 of a stream key or token: the only form in which it is stored or replicated."""
    return hashlib.sha256(secret.encode()).hexdigest()


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A stream key, at `key.<hash>`."""

    key_id: str
    channel_id: str
    channel: str
    user_id: str
    stream_id: str = ""  # non-empty: the stream this broadcast was announced as (POST /streams)
    expires_at_ms: int = 0  # 0: never
    revoked: bool = False
    standby: bool = False  # its publisher waits behind the channel's other one


class TokenRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An API or chat token, at `token.<hash>`."""

    token_id: str
    user_id: str
    username: str
    scopes: list[str] = []
    badges: list[str] = []
    expires_at_ms: int = 0
    revoked: bool = False


class Profile(enum.StrEnum):
    """What a channel's transcoded renditions are made for."""

    LATENCY = "latency"
    QUALITY = "quality"  # B-frames and look-ahead: a better picture at the same rate, later by 0.75 s


class Access(enum.StrEnum):
    """Who may watch a channel."""

    PUBLIC = "public"
    FOLLOWERS = "followers"  # and subscribers
    SUBSCRIBERS = "subscribers"


class ChannelRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A channel, at `channel.<channel_id>`."""

    channel_id: str
    channel: str
    user_id: str
    title: str = ""
    category: str = ""
    stream_id: str = ""  # announced by POST /streams and not live yet
    suspended: bool = False
    partner: bool = False  # gets `transcode.partner_rungs`, and keeps them longest when capacity is short
    profile: Profile = Profile.LATENCY
    access: Access = Access.PUBLIC
    access_changed_ms: int = 0  # grants that were issued before are void


class StreamRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A stream, at `stream.<stream_id>`: lets an edge map a stream to its channel's room, and tell there how a
    broadcast fares that another edge has."""

    stream_id: str
    channel_id: str
    channel: str
    state: str = ""  # created, live, interrupted, ended
    state_ms: int = 0  # since when, Unix milliseconds
