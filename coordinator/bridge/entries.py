"""What an outbox entry says, decoded and checked against the edge it came from."""

from dataclasses import dataclass, field

import msgspec

from appliance.contracts import subjects
from appliance.contracts.chat import ChatMessage
from appliance.contracts.errors import BadInputError
from appliance.contracts.events import BROADCAST, PUBLISHER, BroadcastEvent, PublisherReport
from appliance.contracts.ids import is_uuid7
from appliance.contracts.moderation import EVERY_ROOM, EventKind, RoomEvent
from appliance.contracts.quality import QUALITY, QualityBatch
from coordinator.chat_history.models import MessageRow, Removal, removal_of, row_of
from coordinator.times import from_ms

_MAX_EVENT_ID = 200
Event = BroadcastEvent | PublisherReport | QualityBatch
_EVENTS: dict[str, type[BroadcastEvent] | type[PublisherReport] | type[QualityBatch]] = {
    BROADCAST: BroadcastEvent,
    PUBLISHER: PublisherReport,
    QUALITY: QualityBatch,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """Messages, an event, a report or a batch, or what happened in a room and which messages that removes."""

    messages: list[MessageRow] = field(default_factory=list)
    removals: list[Removal] = field(default_factory=list)
    happenings: list[RoomEvent] = field(default_factory=list)
    event: Event | None = None


def decode(edge_id: str, subject: str, data: bytes) -> Entry:
    """An entry of this edge's outbox. BadInputError when it can never be applied."""
    try:
        if subject.startswith("chat."):
            return Entry(messages=_messages(edge_id, subject, data))
        if subjects.is_room_event(subject):
            happenings = _happenings(edge_id, subject, data)
            removals = [removal for event in happenings if (removal := removal_of(event)) is not None]
            return Entry(happenings=happenings, removals=removals)
        for kind, form in _EVENTS.items():
            if subject == subjects.event(edge_id, kind):
                return Entry(event=_event(edge_id, data, form))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInputError(f"cannot be decoded: {error}", code="undecodable") from error
    raise BadInputError("a subject that nothing here reads", code="unknown_subject")


def _messages(edge_id: str, subject: str, data: bytes) -> list[MessageRow]:
    try:
        room = subjects.room_of(subject)
    except ValueError as error:
        raise BadInputError("not a chat subject", code="unknown_subject") from error
    if subject != subjects.chat(room, edge_id):
        raise BadInputError("the subject is another edge's", code="foreign")
    return [row_of(room, message) for message in msgspec.json.decode(data, type=list[ChatMessage])]


def _happenings(edge_id: str, subject: str, data: bytes) -> list[RoomEvent]:
    room = subjects.room_of(subject)
    if subject != subjects.room_event(room, edge_id):
        raise BadInputError("the subject is another edge's", code="foreign")
    if b"\\u0000" in data:
        raise BadInputError("an event with a NUL character", code="message_nul")
    found = msgspec.json.decode(data, type=list[RoomEvent])
    for event in found:
        if (event.room, event.edge_id) != (room, edge_id):
            raise BadInputError("the event speaks for another room or edge", code="foreign")
        if not is_uuid7(event.event_id) or not (is_uuid7(room) or room == EVERY_ROOM):
            raise BadInputError("the event has no proper ids", code="event_ids")
        if event.event is EventKind.DELETE and not is_uuid7(event.message_id):
            raise BadInputError("the event has no proper ids", code="event_ids")
        from_ms(event.timestamp)
    return found


def _event(
    edge_id: str, data: bytes, form: type[BroadcastEvent] | type[PublisherReport] | type[QualityBatch]
) -> Event:
    event: Event = msgspec.json.decode(data, type=form)
    if event.edge_id != edge_id:
        raise BadInputError("the event speaks for another edge", code="foreign")
    if not 0 < len(event.event_id) <= _MAX_EVENT_ID or "\x00" in event.event_id:
        raise BadInputError("the event has no proper id", code="event_ids")
    return event
