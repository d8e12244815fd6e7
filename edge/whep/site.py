"""What is on the air here, as the live bucket and the directory tell it."""

from typing import TypeVar

import msgspec

from appliance.contracts.directory import ChannelRecord
from appliance.contracts.media import Broadcast, BroadcastState, Init, Rendition
from appliance.contracts.transcode import RungsRecord
from edge.whep import metrics

T = TypeVar("T")


class LiveSite:
    """Fed by `live_changed` and `directory_changed`, the on_change of two Replicas."""

    def __init__(self) -> None:
        self._broadcasts: dict[str, Broadcast] = {}
        self._renditions: dict[str, dict[str, Rendition]] = {}
        self._rungs: dict[str, RungsRecord] = {}
        self._channels: dict[str, ChannelRecord] = {}  # by channel id

    def live_changed(self, key: str, value: bytes | None) -> None:
        """A record of the live bucket was written or deleted."""
        kind, _, rest = key.partition(".")
        if kind == "broadcast":
            _put(self._broadcasts, rest, _read(value, Broadcast))
        elif kind == "rungs":
            _put(self._rungs, rest, _read(value, RungsRecord))
        elif kind == "rendition":
            broadcast_id, _, name = rest.partition(".")
            known = self._renditions.setdefault(broadcast_id, {})
            _put(known, name, _read(value, Rendition))
            if not known:
                del self._renditions[broadcast_id]

    def directory_changed(self, key: str, value: bytes | None) -> None:
        """A record of the directory was written or removed."""
        kind, _, rest = key.partition(".")
        if kind == "channel":
            _put(self._channels, rest, _read(value, ChannelRecord))

    def channel(self, name: str) -> ChannelRecord | None:
        """A channel by its name."""
        return next((one for one in self._channels.values() if one.channel == name), None)

    def live(self, channel: str) -> Broadcast | None:
        """The channel's newest broadcast that is not over."""
        found = [
            one
            for one in self._broadcasts.values()
            if one.channel == channel and one.state is not BroadcastState.ENDED
        ]
        return max(found, key=lambda one: (one.started_at_ms, one.broadcast_id), default=None)

    def broadcast(self, broadcast_id: str) -> Broadcast | None:
        """Its newest record."""
        return self._broadcasts.get(broadcast_id)

    def is_over(self, broadcast_id: str) -> bool:
        """Whether it has ended, or is no longer known."""
        record = self._broadcasts.get(broadcast_id)
        return record is None or record.state is BroadcastState.ENDED

    def rendition(self, broadcast_id: str, name: str) -> Rendition | None:
        """A rendition that has something to decode it with."""
        found = self._renditions.get(broadcast_id, {}).get(name)
        return found if found is not None and found.inits else None

    def init(self, broadcast_id: str, name: str, number: int) -> Init | None:
        """One of its initialisation segments."""
        found = self.rendition(broadcast_id, name)
        return next((one for one in found.inits if one.init == number), None) if found is not None else None

    def pictures(self, broadcast_id: str) -> list[Rendition]:
        """Renditions in H.264 that viewers may be offered, best first; those that pause are left out."""
        record = self._broadcasts.get(broadcast_id)
        if record is None:
            return []
        rungs = self._rungs.get(broadcast_id)
        pausing = rungs.withdrawn() | rungs.resting() if rungs is not None else frozenset()
        found = [self.rendition(broadcast_id, name) for name in record.ladder if name not in pausing]
        return [one for one in found if one is not None and _is_avc(one)]


def _is_avc(rendition: Rendition) -> bool:
    video = rendition.inits[-1].video
    return video is not None and video.codec.startswith("avc1")


def _read(value: bytes | None, kind: type[T]) -> T | None:
    if value is None:
        return None
    try:
        return msgspec.json.decode(value, type=kind)
    except msgspec.MsgspecError:
        metrics.DROPPED.labels("bad_record").inc()
        return None


def _put(records: dict[str, T], key: str, record: T | None) -> None:
    if record is None:
        records.pop(key, None)
    else:
        records[key] = record
