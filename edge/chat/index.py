"""Which room a name or a stream belongs to, kept up to date from the directory and the live bucket."""

import dataclasses
from collections.abc import Callable
from typing import TypeVar

import msgspec

from appliance.contracts.directory import ChannelRecord, StreamRecord, TokenRecord, secret_hash
from appliance.contracts.errors import UnauthenticatedError
from appliance.contracts.media import Broadcast, BroadcastState
from appliance.contracts.moderation import ANNOUNCED_MS
from appliance.contracts.subjects import token_key
from appliance.runtime.clock import now_ms
from edge.chat.metrics import Tally

T = TypeVar("T")
_TOLD = frozenset((BroadcastState.LIVE, BroadcastState.INTERRUPTED, BroadcastState.ENDED))


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """A room as somebody asked for it. `stream_id` is empty while the channel has no stream."""

    room_id: str
    channel: str
    owner_id: str
    stream_id: str


class Index:
    """Fed by `directory_changed` and `live_changed`, a Replica's on_change each; lookups scan nothing.

    `on_state(channel_id, stream_id, state)` runs when a broadcast changes its state, of this edge or of another.
    """

    def __init__(self, tally: Tally, on_state: Callable[[str, str, str], None]) -> None:
        self._tally = tally
        self._on_state = on_state
        self._channels: dict[str, ChannelRecord] = {}
        self._names: dict[str, str] = {}
        self._streams: dict[str, StreamRecord] = {}
        self._tokens: dict[str, TokenRecord] = {}
        self._users: dict[str, TokenRecord] = {}
        self._broadcasts: dict[str, Broadcast] = {}
        self._by_channel: dict[str, set[str]] = {}
        self._by_name: dict[str, set[str]] = {}
        self._places: dict[tuple[str, str], Place] = {}  # until something changes: connections share them

    # -- changes

    def directory_changed(self, key: str, value: bytes | None) -> None:
        """A record of the directory was written or removed."""
        kind, _, name = key.partition(".")
        if kind in ("channel", "stream"):
            self._places.clear()
        if kind == "channel":
            self._channel_changed(name, self._read(value, ChannelRecord))
        elif kind == "stream":
            self._stream_changed(name, self._read(value, StreamRecord))
        elif kind == "token":
            self._token_changed(key, self._read(value, TokenRecord))

    def _channel_changed(self, channel_id: str, record: ChannelRecord | None) -> None:
        old = self._channels.get(channel_id)
        if old is not None and self._names.get(old.channel) == channel_id:
            del self._names[old.channel]
        _put(self._channels, channel_id, record)
        if record is not None:
            self._names[record.channel] = channel_id

    def _stream_changed(self, stream_id: str, record: StreamRecord | None) -> None:
        old = self._streams.get(stream_id)
        _put(self._streams, stream_id, record)
        if record is None or record.state not in _TOLD or stream_id in self._broadcasts:
            return
        is_new = old is None or old.state != record.state
        if is_new and record.state_ms > now_ms() - ANNOUNCED_MS:
            self._on_state(record.channel_id, stream_id, record.state)

    def _token_changed(self, key: str, record: TokenRecord | None) -> None:
        _put(self._tokens, key, record)
        if record is not None:
            self._users[record.username.lower()] = record

    def live_changed(self, key: str, value: bytes | None) -> None:
        """A record of the live bucket was written or removed."""
        kind, _, broadcast_id = key.partition(".")
        if kind != "broadcast":
            return
        self._places.clear()
        record = self._read(value, Broadcast)
        old = self._broadcasts.get(broadcast_id)
        _put(self._broadcasts, broadcast_id, record)
        if old is not None:
            self._unlist(old)
        if record is not None:
            self._by_channel.setdefault(record.channel_id, set()).add(broadcast_id)
            self._by_name.setdefault(record.channel, set()).add(broadcast_id)
            if old is None or old.state is not record.state:
                self._on_state(record.channel_id, broadcast_id, record.state)

    def _unlist(self, old: Broadcast) -> None:
        for table, key in ((self._by_channel, old.channel_id), (self._by_name, old.channel)):
            table[key].discard(old.broadcast_id)
            if not table[key]:
                del table[key]

    def _read(self, value: bytes | None, kind: type[T]) -> T | None:
        if value is None:
            return None
        try:
            return msgspec.json.decode(value, type=kind)
        except msgspec.MsgspecError:
            self._tally.events["bad_record"] += 1
            return None

    # -- lookups

    def by_name(self, channel: str) -> Place | None:
        """The room of a channel, live or not, whatever the case its name is written in."""
        channel = channel.lower()
        channel_id = self._names.get(channel)
        if channel_id is not None:
            return self._place(channel_id, "")
        live = self._newest(self._by_name.get(channel, set()))
        return None if live is None else _of_broadcast(live)

    def by_channel(self, channel_id: str) -> Place | None:
        """The room of a channel by its id."""
        return self._place(channel_id, "")

    def by_stream(self, stream_id: str) -> Place | None:
        """The room of a stream: announced, live or over."""
        broadcast = self._broadcasts.get(stream_id)
        if broadcast is not None:
            known = self._place(broadcast.channel_id, stream_id)
            return known or _of_broadcast(broadcast)
        record = self._streams.get(stream_id)
        return None if record is None else self._place(record.channel_id, stream_id)

    def _place(self, channel_id: str, stream_id: str) -> Place | None:
        known = self._places.get((channel_id, stream_id))
        return known or self._found(channel_id, stream_id)

    def _found(self, channel_id: str, stream_id: str) -> Place | None:
        record = self._channels.get(channel_id)
        if record is None:
            return None
        asked = stream_id
        if not stream_id:
            live = self._newest(self._by_channel.get(channel_id, set()))
            stream_id = record.stream_id if live is None else live.broadcast_id
        place = Place(channel_id, record.channel, record.user_id, stream_id)
        self._places[channel_id, asked] = place
        return place

    def _newest(self, broadcast_ids: set[str]) -> Broadcast | None:
        found = [self._broadcasts[one] for one in broadcast_ids]
        found = [one for one in found if one.state is not BroadcastState.ENDED]
        return max(found, key=lambda one: (one.started_at_ms, one.broadcast_id), default=None)

    def user_named(self, username: str) -> TokenRecord | None:
        """A user by name, whatever its case; only those who ever had a token."""
        return self._users.get(username.lower())

    def knows(self, token: str) -> bool:
        """Whether there is a record of a token, good or not: one made a moment ago may be on its way here."""
        return token_key(secret_hash(token)) in self._tokens

    def user_of(self, token: str, now_ms: int) -> TokenRecord:
        """Whose token it is. UnauthenticatedError when it is unknown, revoked or expired."""
        record = self._tokens.get(token_key(secret_hash(token)))
        if record is None or record.revoked:
            raise UnauthenticatedError("this token is not valid")
        if record.expires_at_ms and record.expires_at_ms <= now_ms:
            raise UnauthenticatedError("this token has expired")
        return record


def _of_broadcast(one: Broadcast) -> Place:
    return Place(one.channel_id, one.channel, one.user_id, one.broadcast_id)


def _put(table: dict[str, T], key: str, value: T | None) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
