"""Which broadcasts have readers that are to be served at once, as the lease bucket tells.

Some take media as it is made and do not wait for parts: viewers over WebRTC, and the transcoder that holds a
broadcast's lease, which works ahead while a part still grows. For all others a message for each part is enough, at
a third of the cost; where viewers wait for parts, each leaves as soon as it is whole.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from appliance.contracts.subjects import LEASE_BUCKET, demand_key, kept
from appliance.contracts.transcode import DemandRecord

STREAM = f"KV_{LEASE_BUCKET}"
_PREFIX = kept(LEASE_BUCKET, "")
DEMANDS, LEASES = kept(LEASE_BUCKET, demand_key("*")), kept(LEASE_BUCKET, "*")  # what is leased is a broadcast
FILTERS = [DEMANDS, LEASES]
_HOLDS_S = 2.5  # a demand is told again much sooner while somebody watches


class Eager(NamedTuple):
    """Ids of broadcasts."""

    viewers: frozenset[str]
    transcoders: frozenset[str]
    parts: frozenset[str]  # with viewers who wait for parts


class _Watched(NamedTuple):
    """What one process has told."""

    broadcasts: frozenset[str]
    at: float
    near: bool


class EagerReaders:
    """Feed `heard` with the messages of FILTERS. `now` in seconds of any monotonic clock."""

    def __init__(self, lease_s: float) -> None:
        """`lease_s`: how long a lease holds that is not renewed."""
        self._lease_s = lease_s
        self._watched: dict[str, _Watched] = {}  # by process
        self._leased: dict[str, float] = {}

    def heard(self, subject: str, data: bytes, headers: Mapping[str, str], now: float) -> bool:
        """Whether it is news. What is no record is left out."""
        key = subject.removeprefix(_PREFIX)
        if "." not in key:
            was = self._leased.pop(key, None)
            if not headers.get("KV-Operation"):
                self._leased[key] = now
            return (was is None) is (key in self._leased)
        try:
            record = msgspec.json.decode(data, type=DemandRecord)
        except msgspec.MsgspecError:
            return False
        before = self._watched.get(record.origin)
        self._watched[record.origin] = told = _Watched(frozenset(record.watchers), now, record.near)
        return before is None or before.broadcasts != told.broadcasts or now - before.at >= _HOLDS_S

    def await_transcoder(self, broadcast_id: str, now: float) -> None:
        """A broadcast begins that somebody will transcode: as if its lease were held already."""
        self._leased[broadcast_id] = now

    def at(self, now: float) -> Eager:
        """As of now."""
        self._watched = {origin: told for origin, told in self._watched.items() if now - told.at < _HOLDS_S}
        self._leased = {one: at for one, at in self._leased.items() if now - at < self._lease_s}
        near, far = (
            frozenset().union(*(told.broadcasts for told in self._watched.values() if told.near is is_near))
            for is_near in (True, False)
        )
        return Eager(near, frozenset(self._leased), far)
