"""Durable events that an edge puts in its outbox for the centre. The centre applies each once, by `event_id`."""

import enum

import msgspec

from appliance.contracts.health import Advice, HealthReport
from appliance.contracts.media import Problem
from appliance.contracts.session import SessionRecord

BROADCAST, PUBLISHER = "broadcast", "publisher"  # kinds of events: the last token of their subjects


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


class PublisherReport(msgspec.Struct, frozen=True, kw_only=True):
    """How a publisher fared from its connection to its end, told once; subject fed.<edge>.ev.publisher.

    `session` is its last record: figures, and what happened when; without the address, which is nobody's business
    afterwards. `health` is the last measurement, `advice` all that the streamer was shown, `problems` what
    viewers did not get.
    """

    event_id: str
    edge_id: str
    session: SessionRecord
    health: HealthReport | None = None
    advice: list[Advice] = []
    problems: list[Problem] = []
