"""Whether a stream key may publish now, decided from the replicated directory alone: the WAN may be cut."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from appliance.contracts import subjects
from appliance.contracts.directory import ChannelRecord, KeyRecord, secret_hash

_Record = TypeVar("_Record")


class Directory(Protocol):
    """A copy of the directory bucket."""

    def get(self, key: str) -> bytes | None:
        """The value as last heard."""


class Refusal(NamedTuple):
    """Why not. `channel_id` is empty when the key says nothing."""

    code: str
    text: str
    channel_id: str = ""
    channel: str = ""


def authorise(directory: Directory, key: str, now_ms: int) -> KeyRecord | Refusal:
    """The record of a good key, or why it is refused."""
    if not key:
        return Refusal("no_key", "No stream key was given. Copy it from the studio page.")
    return authorise_hash(directory, secret_hash(key), now_ms)


def authorise_any(directory: Directory, keys: Sequence[str], now_ms: int) -> tuple[str, KeyRecord | Refusal]:
    """Which of the texts, the likeliest first, is a key, and its record or why it is refused.

    When none is known, the first one and its refusal.
    """
    for key in keys:
        found = authorise(directory, key, now_ms)
        if isinstance(found, KeyRecord) or found.code not in ("unknown_key", "no_key"):
            return key, found
    return keys[0], authorise(directory, keys[0], now_ms)


def authorise_hash(directory: Directory, key_hash: str, now_ms: int) -> KeyRecord | Refusal:
    """The same by the key's hash, to look again while a session runs."""
    record = _read(directory, subjects.stream_key_key(key_hash), KeyRecord)
    if record is None:
        return Refusal("unknown_key", "This stream key is not known. Copy it anew from the studio page.")
    where = record.channel_id, record.channel
    if record.revoked:
        return Refusal("revoked_key", "This stream key was replaced. Copy the new one.", *where)
    if record.expires_at_ms and record.expires_at_ms <= now_ms:
        return Refusal("expired_key", "This stream key has expired. Copy the new one.", *where)
    channel = channel_of(directory, record.channel_id)
    if channel is not None and channel.suspended:
        return Refusal("suspended", "This channel is suspended.", *where)
    return record


def channel_of(directory: Directory, channel_id: str) -> ChannelRecord | None:
    """The channel's record, None when the directory has none."""
    return _read(directory, subjects.channel_key(channel_id), ChannelRecord)


def _read(directory: Directory, key: str, kind: type[_Record]) -> _Record | None:
    data = directory.get(key)
    if data is None:
        return None
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError:
        return None
