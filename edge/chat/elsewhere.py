"""What moderators did at other edges, told as events from how the directory's records changed. Pure.

Records keep what holds, not each step: of a mode that was set twice in between only the last value is told. Where
an event's own id is not kept, its stand-in has one that is the same on every gateway.
"""

from collections.abc import Iterable, Iterator

import msgspec

from appliance.contracts.ids import unix_ms, uuid7
from appliance.contracts.moderation import (
    EventKind,
    MemberRecord,
    Restriction,
    RoomEvent,
    RoomRecord,
    TermKind,
    Value,
)
from appliance.contracts.nonces import digest_of
from appliance.contracts.room_state import modes_of

_RESTRICTING = {
    Restriction.BAN: EventKind.BAN,
    Restriction.TIMEOUT: EventKind.TIMEOUT,
    Restriction.MUTE: EventKind.MUTE,
}
_PURGING = (Restriction.BAN, Restriction.TIMEOUT)
_TAKING = (EventKind.BAN, EventKind.TIMEOUT)
_TERM_KINDS = frozenset(str(kind) for kind in TermKind)
_MOMENT_MS = 1000  # a timeout that ended before it was heard of


def copy_of(record: RoomRecord) -> RoomRecord:
    """The record as it is now, before something is merged into it."""
    return msgspec.structs.replace(
        record, modes=dict(record.modes), terms=dict(record.terms), deleted=dict(record.deleted)
    )


def happened_to_member(before: MemberRecord, after: MemberRecord) -> Iterator[RoomEvent]:
    """The events that make of one record the other. What took messages away and is over is told as a timeout that
    has ended."""
    has_purged = after.purged_ms > before.purged_ms
    is_over = has_purged and after.restriction not in _PURGING
    if is_over:
        yield _against(
            after,
            EventKind.TIMEOUT,
            uuid7(after.purged_ms, digest_of(after.channel_id, after.user_id)),
            timestamp=after.purged_ms,
            until=after.purged_ms + _MOMENT_MS,
        )
    if has_purged or after.restriction_by != before.restriction_by:
        yield from _restricted(Restriction.TIMEOUT if is_over else before.restriction, after)
    if after.role_by != before.role_by:
        yield _against(after, EventKind.ROLE, after.role_by, role=after.role)


def _restricted(before: Restriction, after: MemberRecord) -> Iterator[RoomEvent]:
    kind = _RESTRICTING.get(after.restriction)
    if kind is not None:
        at_ms = after.purged_ms if after.restriction in _PURGING else 0
        yield _against(
            after, kind, after.restriction_by, timestamp=at_ms, until=after.until_ms, reason=after.reason
        )
    elif before is not Restriction.NONE:
        ended = EventKind.UNMUTE if before is Restriction.MUTE else EventKind.UNBAN
        yield _against(after, ended, after.restriction_by)


def happened_in_room(before: RoomRecord, after: RoomRecord) -> Iterator[RoomEvent]:
    """The events that make of one record the other; who wrote a deleted message is not known here."""
    room = after.channel_id
    if after.cleared_ms > before.cleared_ms:
        yield _event(
            room,
            EventKind.CLEAR,
            uuid7(after.cleared_ms, digest_of(room, EventKind.CLEAR)),
            timestamp=after.cleared_ms,
        )
    for message_id, at_ms in after.deleted.items():
        if message_id not in before.deleted:
            event_id = uuid7(at_ms, digest_of(room, message_id))
            yield _event(room, EventKind.DELETE, event_id, timestamp=at_ms, message_id=message_id)
    modes = _changed(before.modes, after.modes)
    if modes and modes_of(before) != modes_of(after):
        newest = max(by for _, by in modes.values())
        yield _event(room, EventKind.MODE, newest, modes={name: value for name, (value, _) in modes.items()})
    for name, (kept, by) in _changed(before.terms, after.terms).items():
        kind, _, text = name.partition(":")
        if kind in _TERM_KINDS:
            yield _event(room, EventKind.TERM, by, kind=TermKind(kind), text=text, on=bool(kept))
    if after.pin_by != before.pin_by:
        pinned = EventKind.UNPIN if after.pin is None else EventKind.PIN
        yield _event(room, pinned, after.pin_by, message=after.pin, **_about(after))


def taken_away(record: RoomRecord, members: Iterable[MemberRecord], since_ms: int) -> Iterator[RoomEvent]:
    """The events that took messages away at or after `since_ms`, at whichever edge."""
    deleted = {one: at_ms for one, at_ms in record.deleted.items() if at_ms < since_ms}
    cleared_ms = record.cleared_ms if record.cleared_ms < since_ms else 0
    before = msgspec.structs.replace(record, deleted=deleted, cleared_ms=cleared_ms)
    yield from happened_in_room(before, record)
    for member in members:
        if member.purged_ms >= since_ms:
            purged = msgspec.structs.replace(member, purged_ms=0)
            yield from (one for one in happened_to_member(purged, member) if one.event in _TAKING)


def known_as(event: RoomEvent) -> Iterator[str]:
    """The ids by which an event of this edge would be told if it were another's."""
    if event.event is EventKind.DELETE:
        yield uuid7(event.timestamp, digest_of(event.room, event.message_id))
    elif event.event is EventKind.CLEAR:
        yield uuid7(event.timestamp, digest_of(event.room, EventKind.CLEAR))
    elif event.event in _TAKING:
        yield event.event_id
        yield uuid7(event.timestamp, digest_of(event.room, event.target_id))


def _about(record: RoomRecord) -> dict[str, str]:
    pin = record.pin
    return {} if pin is None else {"message_id": pin.message_id, "target_id": pin.user_id, "target": pin.username}


def _changed(before: dict[str, Value], after: dict[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in after.items() if before.get(name) != value}


def _against(record: MemberRecord, kind: EventKind, event_id: str, **fields: object) -> RoomEvent:
    return _event(record.channel_id, kind, event_id, target_id=record.user_id, target=record.username, **fields)


def _event(room: str, event: EventKind, event_id: str, /, **fields: object) -> RoomEvent:
    made = {"timestamp": fields.pop("timestamp", 0) or _made_ms(event_id), **fields}
    return RoomEvent(event=event, event_id=event_id, room=room, edge_id="", **made)  # type: ignore[arg-type]


def _made_ms(event_id: str) -> int:
    try:
        return unix_ms(event_id)
    except ValueError:
        return 0
