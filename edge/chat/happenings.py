"""Events of a room as its viewers and its moderators see them."""

import msgspec

from appliance.contracts.moderation import (
    DECISIONS,
    MONTH_MS,
    EventKind,
    FollowRecord,
    Modes,
    RoomEvent,
    SubscriberRecord,
)

_PRIVATE = frozenset(
    (EventKind.MUTE, EventKind.UNMUTE, EventKind.TERM, EventKind.HELD, EventKind.APPROVE, EventKind.DENY)
)
HIDING = frozenset((EventKind.DELETE, EventKind.TIMEOUT, EventKind.BAN, EventKind.CLEAR))
GREETED = frozenset((EventKind.MODE, EventKind.ROLE))  # what a hello tells: who comes back need not hear it


def is_private(event: RoomEvent) -> bool:
    """Whether only moderators hear of it."""
    return event.event in _PRIVATE


def is_echo(event: RoomEvent) -> bool:
    """Whether it repeats what was decided, and told, at another edge."""
    return event.event in DECISIONS and bool(event.origin)


def document(event: RoomEvent, modes: Modes) -> dict[str, object]:
    """The frame of an event for everybody; reasons and who moderated are for moderators only."""
    found: dict[str, object] = {
        "type": "event",
        "event": str(event.event),
        "event_id": event.event_id,
        "timestamp": event.timestamp,
    }
    if event.target_id:
        found |= {"user_id": event.target_id, "username": event.target}
    if event.event is EventKind.MODE:
        found |= {"modes": modes, "changed": sorted(event.modes)}
    elif event.event is EventKind.RAID:
        found |= {"from": event.origin} if event.origin else {"target": event.target}
        found["viewers"] = event.count
    elif event.event is EventKind.ROLE:
        found["role"] = event.role
    elif event.event is EventKind.ANNOUNCE:
        found |= {"username": event.actor, "user_id": event.actor_id}
    for name in ("message_id", "until", "text", "message"):
        if value := getattr(event, name):
            found[name] = value
    if event.event in (EventKind.SUBSCRIPTION, EventKind.GIFT):
        found |= {"tier": event.tier, "count": event.count}
    return found


def frame(event: RoomEvent, modes: Modes) -> bytes:
    """The JSON of `document`."""
    return msgspec.json.encode(document(event, modes))


def moderators_frame(event: RoomEvent) -> bytes:
    """The JSON of the whole event, for moderators."""
    return msgspec.json.encode(event)


def news_frame(record: FollowRecord | SubscriberRecord) -> bytes:
    """Says that somebody follows, subscribes, or was given a subscription."""
    found: dict[str, object] = {"type": "event", "event": "follow"}
    found |= {"user_id": record.user_id, "username": record.username, "timestamp": happened_ms(record)}
    if isinstance(record, SubscriberRecord):
        months = 1 + max(0, record.renewed_ms - record.since_ms) // MONTH_MS
        found |= {"event": "subscription", "tier": record.tier, "months": months}
        if record.giver_id:
            found |= {"event": "gift", "giver_id": record.giver_id, "giver": record.giver}
    return msgspec.json.encode(found)


def happened_ms(record: FollowRecord | SubscriberRecord) -> int:
    """When somebody began to follow, or subscribed last."""
    return record.renewed_ms if isinstance(record, SubscriberRecord) else record.since_ms
