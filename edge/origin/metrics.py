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
VIEWERS = gauge("nearcast_origin_viewers", "Viewers of all broadcasts of the site, told by one process of it.")


class Tally:
    """Counts of this process since it began; `flush` moves what is new to the metrics.

    Event names: stalled_cut, idle_cut, head_timeout, over_connections, over_waiters, over_crowded, evicted_segment,
    bad_request, bad_chunk, bad_record, pending_dropped, late_part, log_gap, handed_off, handoff_refused,
    pictures_busy, pictures_away, spool_unreadable, handshake_failed, handshake_dropped, accept_paused,
    relay_failed, over_sessions, over_cells, over_summaries, beacon_again, beacon_shed, grants_busy, grants_away.
    """

    def __init__(self) -> None:
        self.requests: dict[tuple[str, int], list[int]] = collections.defaultdict(lambda: [0, 0])
        self.events: collections.Counter[str] = collections.Counter()
        self._flushed: dict[object, int] = {}

    def answered(self, key: tuple[str, int], size: int, times: int = 1) -> None:
        """An answer of `size` bytes, so many times; `key` is its resource class and its status."""
        counts = self.requests[key]
        counts[0] += times
        counts[1] += times * size

    def event(self, name: str, times: int = 1) -> None:
        self.events[name] += times

    def flush(self) -> None:
        """Adds what was counted since the last call to the process's metrics."""
        for key, (count, size) in self.requests.items():
            resource, status = key
            if new := self._new(key, count):
                REQUESTS.labels(resource, str(status)).inc(new)
            if new := self._new(("sent", key), size):
                SENT.labels(resource).inc(new)
        for name, count in self.events.items():
            if new := self._new(("event", name), count):
                EVENTS.labels(name).inc(new)

    def _new(self, key: object, count: int) -> int:
        new = count - self._flushed.get(key, 0)
        self._flushed[key] = count
        return new
