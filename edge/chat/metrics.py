"""What the chat gateway counts. The hot path adds to plain integers; once a second they go to the metrics."""

import collections

from appliance.runtime.metrics import counter, gauge, histogram

MESSAGES = counter("nearcast_chat_messages_total", "Messages made durable by this edge's gateways.")
DELIVERIES = counter("nearcast_chat_deliveries_total", "Frames written by fan-outs.")
REFUSED = counter("nearcast_chat_refused_total", "Messages and frames refused, by code.", ("code",))
CLOSED = counter(
    "nearcast_chat_closed_total", "Connections that we closed, by close code of a WebSocket.", ("code",)
)
REQUESTS = counter("nearcast_chat_requests_total", "Plain HTTP answers.", ("status",))
ACTIONS = counter("nearcast_chat_actions_total", "Actions of moderators, by name.", ("action",))
QUOTA_AWAY = gauge("nearcast_chat_quota_away", "1 while rooms' quotas go on without the shared counter.")
HELD = counter("nearcast_chat_held_total", "Messages that waited for a moderator, by why.", ("code",))
EVENTS = counter("nearcast_chat_events_total", "Rare things, by name.", ("event",))
CONNECTIONS = gauge("nearcast_chat_connections", "Open chat connections.")
ROOMS = gauge("nearcast_chat_rooms", "Rooms held in memory.")
PENDING = gauge("nearcast_chat_pending_messages", "Messages that wait for the log.")
FAN_OUT = histogram(
    "nearcast_chat_fanout_seconds",
    "Time of one turn of a fan-out, of up to 2048 readers.",
    (0.0005, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3),
)
APPEND = histogram(
    "nearcast_chat_append_seconds", "From a message's acceptance to durable.", (0.002, 0.01, 0.05, 0.2, 1.0, 5.0)
)


class Tally:
    """Counts of this process since it began; `flush` moves what is new to the metrics.

    Event names: slow_client, slow_cut, gap, pong_timeout, handshake_timeout, over_connections, bad_entry,
    bad_record, log_reset, handed_on, too_fast, counter_away, held_forgotten, quota_away, older_cut,
    handshake_failed, accept_paused, bad_line, over_rooms, joins_too_fast, unknown_full, roster_missed.
    """

    def __init__(self) -> None:
        self.messages = 0
        self.deliveries = 0
        self.refused: collections.Counter[str] = collections.Counter()
        self.closed: collections.Counter[int] = collections.Counter()
        self.requests: collections.Counter[int] = collections.Counter()
        self.actions: collections.Counter[str] = collections.Counter()
        self.held: collections.Counter[str] = collections.Counter()
        self.events: collections.Counter[str] = collections.Counter()
        self._flushed: dict[tuple[str, object], int] = {}

    def flush(self) -> None:
        """Adds what was counted since the last call to the process's metrics."""
        MESSAGES.inc(self._new("messages", "", self.messages))
        DELIVERIES.inc(self._new("deliveries", "", self.deliveries))
        for metric, name, counts in (
            (REFUSED, "refused", self.refused),
            (CLOSED, "closed", self.closed),
            (REQUESTS, "requests", self.requests),
            (ACTIONS, "actions", self.actions),
            (HELD, "held", self.held),
            (EVENTS, "events", self.events),
        ):
            for label, count in counts.items():
                if new := self._new(name, label, count):
                    metric.labels(str(label)).inc(new)

    def _new(self, name: str, label: object, count: int) -> int:
        new = count - self._flushed.get((name, label), 0)
        self._flushed[name, label] = count
        return new
