"""What happens in broadcasts besides pictures and sound: titles, markers, cues of encoders."""

from collections import OrderedDict

import msgspec

from appliance.contracts import subjects
from appliance.contracts.directory import ChannelRecord
from appliance.contracts.media import Broadcast
from appliance.contracts.moments import MOST, Moment, MomentKind, Moments, plain
from appliance.contracts.nonces import id_tail, numbered
from appliance.runtime.clock import now_ms
from appliance.runtime.ids import new_id
from appliance.runtime.metrics import counter
from appliance.runtime.replica import Replica
from edge.ingest.records import Records

_KNOWN = 4096  # broadcasts whose moments this process has in mind
_CUES = counter("nearcast_ingest_cues_total", "Cues of encoders.", ["result"])
_CUES_PER_S = 2.0


class MomentBook:
    """The moments of the broadcasts that this process writes.

    An encoder that sends cues faster than a burst of MOST and two a second has the rest dropped and counted.
    """

    def __init__(self, live: Replica, records: Records) -> None:
        self._live = live
        self._records = records
        self._known: OrderedDict[str, Moments] = OrderedDict()
        self._told: dict[str, tuple[str, str]] = {}
        self._cues: dict[str, tuple[float, int]] = {}  # what a broadcast may still send, and when that was

    def look(self, broadcast: Broadcast, channel: ChannelRecord | None) -> None:
        """Notes a title or category that changed while it is live; called every second or so."""
        if channel is None:
            return
        now = channel.title, channel.category
        before = self._told.setdefault(broadcast.broadcast_id, now)
        if now == before:
            return
        self._told[broadcast.broadcast_id] = now
        for kind, old, new in zip((MomentKind.TITLE, MomentKind.CATEGORY), before, now, strict=True):
            if new != old:
                self.add(broadcast, kind, new)

    def cue(self, broadcast: Broadcast, text: str, at_ms: int) -> None:
        """Something that the encoder says about the picture it sends now."""
        left, since_ms = self._cues.get(broadcast.broadcast_id, (float(MOST), at_ms))
        left = min(float(MOST), left + (at_ms - since_ms) * _CUES_PER_S / 1000)
        self._cues[broadcast.broadcast_id] = max(0.0, left - 1), at_ms
        if left < 1 or not plain(text):
            _CUES.labels("dropped").inc()
            return
        _CUES.labels("taken").inc()
        self.add(broadcast, MomentKind.CUE, text, at_ms)

    def mark(self, broadcast: Broadcast, text: str, nonce: str) -> Moment:
        """A marker of the streamer's; the one that is there where the same came before with the same nonce."""
        if not nonce:
            return self.add(broadcast, MomentKind.MARKER, text)
        moment_id = numbered(now_ms(), "", broadcast.broadcast_id, nonce, text)
        for known in self._of(broadcast.broadcast_id).moments:
            if id_tail(known.moment_id) == id_tail(moment_id):
                return known
        return self.add(broadcast, MomentKind.MARKER, text, moment_id=moment_id)

    def add(
        self, broadcast: Broadcast, kind: MomentKind, text: str, at_ms: int = 0, *, moment_id: str = ""
    ) -> Moment:
        """Notes a moment; the present one unless `at_ms` says when, in Unix milliseconds."""
        moment = Moment(moment_id=moment_id or new_id(), kind=kind, at_ms=at_ms or now_ms(), text=plain(text))
        known = self._of(broadcast.broadcast_id)
        known = msgspec.structs.replace(known, moments=[*known.moments, moment][-MOST:])
        self._known[broadcast.broadcast_id] = known
        self._records.put(subjects.moments_key(broadcast.broadcast_id), known)
        return moment

    def forget(self, broadcast_id: str) -> None:
        """The broadcast is over."""
        self._known.pop(broadcast_id, None)
        self._told.pop(broadcast_id, None)
        self._cues.pop(broadcast_id, None)

    def _of(self, broadcast_id: str) -> Moments:
        known = self._known.get(broadcast_id)
        data = self._live.get(subjects.moments_key(broadcast_id)) if known is None else None
        if data is not None:
            try:
                known = msgspec.json.decode(data, type=Moments)
            except msgspec.MsgspecError:
                known = None
        while len(self._known) >= _KNOWN:
            self._known.popitem(last=False)
        return known or Moments(broadcast_id=broadcast_id)
