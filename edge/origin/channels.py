"""The channels of the directory by name, kept up to date: a lookup scans nothing."""

import msgspec

from appliance.contracts.directory import ChannelRecord
from edge.origin.metrics import Tally

_KIND = "channel."


class Channels:
    """Fed by `directory_changed`, a Replica's on_change."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._by_id: dict[str, ChannelRecord] = {}
        self._by_name: dict[str, ChannelRecord] = {}

    def directory_changed(self, key: str, value: bytes | None) -> None:
        """A record of the directory was written or removed."""
        if not key.startswith(_KIND):
            return
        channel_id = key.removeprefix(_KIND)
        old = self._by_id.pop(channel_id, None)
        if old is not None and self._by_name.get(old.channel) is old:
            del self._by_name[old.channel]
        record = self._read(value) if value is not None else None
        if record is not None:
            self._by_id[channel_id] = self._by_name[record.channel] = record

    def _read(self, value: bytes) -> ChannelRecord | None:
        try:
            return msgspec.json.decode(value, type=ChannelRecord)
        except msgspec.MsgspecError:
            self._tally.event("bad_record")
            return None

    def get(self, name: str) -> ChannelRecord | None:
        """The channel of that name."""
        return self._by_name.get(name)
