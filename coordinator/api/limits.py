"""Rate limits of the API, in this process: the generic cell rate algorithm (ITU-T I.371, annex A)."""

from collections import OrderedDict

from appliance.contracts.errors import RateLimitedError
from coordinator.config import Quota

_MAX_KEYS = 10_000


class Limiter:
    """Counts by key. At most 10 000 keys are kept; the one used longest ago is forgotten first."""

    def __init__(self) -> None:
        self._arrival: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str, quota: Quota, now: float) -> None:
        """One use at `now` (seconds, monotonic). RateLimitedError, with the wait, costs nothing."""
        interval = 60.0 / quota.per_minute
        arrival = max(self._arrival.get(key, now), now)
        wait = arrival - now - interval * (quota.burst - 1)
        if wait > 1e-9:
            raise RateLimitedError("too many requests", retry_after_s=wait)
        self._arrival[key] = arrival + interval
        self._arrival.move_to_end(key)
        if len(self._arrival) > _MAX_KEYS:
            self._arrival.popitem(last=False)
