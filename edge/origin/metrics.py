"""What the origin counts. The hot path adds to plain integers; once a second they go to the metrics."""

import collections

from appliance.runtime.metrics import counter, gauge

REQUESTS = counter("nearcast_origin_requests_total", "Answered requests.", ("resource", "status"))
SENT = counter("nearcast_origin_sent_bytes_total", "Bytes of answers handed to sockets.", ("resource",))
EVENTS = counter("nearcast_origin_events_total", "Rare things, by name.", ("event",))
CONNECTIONS = gauge("nearcast_origin_connections", "Open viewer connections.")
WAITERS = gauge("nearcast_origin_waiters", "Requests held until something exists.")
FOLLOWED = gauge("nearcast_origin_followed_broadcasts", "Broadcasts whose log is followed.")
STORED = gauge("nearcast_origin_stored_bytes", "Bytes of chunks in memory.")


class Tally:
    """Counts of this process since it began; `flush` moves what is new to the metrics.

    Event names: stalled_cut, idle_cut, head_timeout, over_connections, over_waiters, evicted_segment,
    bad_request, bad_chunk, bad_record, pending_dropped, late_part, log_gap, handed_off, handoff_refused.
    """

    def __init__(self) -> None:
        self.requests: collections.Counter[tuple[str, int]] = collections.Counter()
        self.sent: collections.Counter[str] = collections.Counter()
        self.events: collections.Counter[str] = collections.Counter()
        self._flushed: dict[object, int] = {}

    def answered(self, resource: str, status: int, size: int) -> None:
        """One answer of `size` bytes."""
        self.requests[resource, status] += 1
        self.sent[resource] += size

    def event(self, name: str, times: int = 1) -> None:
        self.events[name] += times

    def flush(self) -> None:
        """Adds what was counted since the last call to the process's metrics."""
        for (resource, status), count in self.requests.items():
            if new := self._new((resource, status), count):
                REQUESTS.labels(resource, str(status)).inc(new)
        for resource, count in self.sent.items():
            if new := self._new(("sent", resource), count):
                SENT.labels(resource).inc(new)
        for name, count in self.events.items():
            if new := self._new(("event", name), count):
                EVENTS.labels(name).inc(new)

    def _new(self, key: object, count: int) -> int:
        new = count - self._flushed.get(key, 0)
        self._flushed[key] = count
        return new
