"""Which broadcasts have viewers who are given media as it is made (WebRTC), as the lease bucket tells."""

import msgspec

from appliance.contracts.subjects import LEASE_BUCKET, demand_key
from appliance.contracts.transcode import DemandRecord

STREAM, FILTER = f"KV_{LEASE_BUCKET}", f"$KV.{LEASE_BUCKET}.{demand_key('*')}"
_HOLDS_S = 2.5  # a record is told again much sooner while somebody watches


class NearViewers:
    """Feed `heard`. `now` in seconds of any monotonic clock."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[frozenset[str], float]] = {}

    def heard(self, data: bytes, now: float) -> None:
        """A demand record. What is none, and what other processes ask for, is left out."""
        try:
            record = msgspec.json.decode(data, type=DemandRecord)
        except msgspec.MsgspecError:
            return
        if record.near:
            self._told[record.origin] = frozenset(record.watchers), now

    def broadcasts(self, now: float) -> frozenset[str]:
        """Their ids."""
        self._told = {origin: told for origin, told in self._told.items() if now - told[1] < _HOLDS_S}
        return frozenset().union(*(found for found, _ in self._told.values()))
