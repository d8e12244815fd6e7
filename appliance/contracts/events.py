"""Durable events that an edge puts in its outbox for the centre. The centre applies each once, by `event_id`."""

import enum

import msgspec


class BroadcastEventKind(enum.StrEnum):
    STARTED = "started"
    INTERRUPTED = "interrupted"
    RESUMED = "resumed"
    ENDED = "ended"


class BroadcastEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A step in the life of a broadcast; subject fed.<edge>.ev.broadcast."""

    event_id: str
    kind: BroadcastEventKind
    broadcast_id: str
    channel_id: str
    edge_id: str
    at_ms: int
    detail: str = ""
