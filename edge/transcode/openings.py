"""Broadcasts that want a transcoder, and which of them this worker should take. Used in the loop only."""

import msgspec

from appliance.contracts.media import AUDIO, SOURCE, Broadcast, BroadcastState, Rendition
from appliance.contracts.subjects import rendition_key, rungs_key
from appliance.contracts.transcode import RungsRecord
from appliance.runtime.replica import Replica
from edge.media.capacity import Candidate, placement_delay
from edge.transcode.governor import Governor
from edge.transcode.job import wants_transcoding
from edge.transcode.site import Site

LOOK_S = 0.25  # how often free broadcasts are looked for: part of the time a take-over takes
_SUSPECT_S = 0.1  # the same while the holder of one is stopped


class Openings:
    """One worker's. `now` in monotonic seconds."""

    def __init__(self, live: Replica, site: Site, governor: Governor, me: str, *, pictures: bool = False) -> None:
        """`live` of the live bucket, whose changes are told by `changed`; `me` is this worker's name.

        `pictures`: broadcasts of which only pictures are made count as well.
        """
        self._pictures = pictures
        self._live = live
        self._site = site
        self._governor = governor
        self._me = me
        self._open: dict[str, Broadcast] = {}  # all that are not over
        self._resting: dict[str, float] = {}

    def changed(self, key: str, value: bytes | None) -> None:
        """A key of the live bucket was written or deleted."""
        kind, _, broadcast_id = key.partition(".")
        if kind != "broadcast":
            return
        broadcast = msgspec.json.decode(value, type=Broadcast) if value is not None else None
        if broadcast is None or broadcast.state is BroadcastState.ENDED:
            self._open.pop(broadcast_id, None)
            self._resting.pop(broadcast_id, None)
            self._site.forget(broadcast_id)
        else:
            self._open[broadcast_id] = broadcast

    def is_over(self, broadcast_id: str) -> bool:
        """Whether the broadcast has ended."""
        return broadcast_id not in self._open

    def rest(self, broadcast_id: str, until: float) -> None:
        """Not to be taken by this worker before `until`."""
        if broadcast_id in self._open:
            self._resting[broadcast_id] = until

    def rendition(self, broadcast_id: str, name: str) -> Rendition | None:
        """The newest record of a rendition."""
        value = self._live.get(rendition_key(broadcast_id, name))
        return msgspec.json.decode(value, type=Rendition) if value is not None else None

    def wanting(self, now: float) -> list[Broadcast]:
        """Broadcasts with something to make and something to make it of."""
        found = []
        for broadcast_id, broadcast in self._open.items():
            if broadcast.state is BroadcastState.STARTING or self._resting.get(broadcast_id, now) > now:
                continue
            source, audio = (self.rendition(broadcast_id, name) for name in (SOURCE, AUDIO))
            if wants_transcoding(broadcast, source, audio, pictures=self._pictures):
                found.append(broadcast)
        return found

    def wait_s(self, broadcast: Broadcast, now: float) -> float:
        """Seconds in which others have their chance that should have it before this worker.

        Until the next look while somebody has it.
        """
        free_since = self._site.free_since(broadcast.broadcast_id, now)
        if free_since is None:
            return _SUSPECT_S if self._site.is_suspect(broadcast.broadcast_id) else LOOK_S
        governor = self._governor
        room = governor.budget - governor.load - sum(self._site.neighbours(now))
        others = self._site.candidates(now, room)
        had = self._had_by(broadcast.broadcast_id)
        delay = placement_delay(
            Candidate(self._me, governor.load, room),
            others,
            governor.cost_of(broadcast, self.rendition(broadcast.broadcast_id, SOURCE)),
            look_s=LOOK_S,
            is_anothers=had != self._me and any(one.name == had for one in others),
        )
        return free_since + delay - now

    def _had_by(self, broadcast_id: str) -> str:
        """The worker that had it last."""
        value = self._live.get(rungs_key(broadcast_id))
        return msgspec.json.decode(value, type=RungsRecord).worker if value is not None else ""
