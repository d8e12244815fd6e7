"""How events become the state of a room. Pure, and the same at an edge and at the centre.

Each thing that can be set remembers which event set it, and the one with the highest id holds. So events and
records can be applied in any order and any number of times, and all come to the same.
"""

from collections.abc import Iterable

from appliance.contracts.moderation import (
    MAX_DELETED,
    MAX_TERMS,
    SHIELD,
    EventKind,
    Links,
    MemberRecord,
    Modes,
    Restriction,
    RoomEvent,
    RoomRecord,
    TermKind,
    Value,
)

_RESTRICTIONS = {
    EventKind.BAN: Restriction.BAN,
    EventKind.TIMEOUT: Restriction.TIMEOUT,
    EventKind.MUTE: Restriction.MUTE,
    EventKind.UNBAN: Restriction.NONE,
    EventKind.UNMUTE: Restriction.NONE,
}
_PURGES = frozenset((EventKind.BAN, EventKind.TIMEOUT))
OF_MEMBERS = frozenset((*_RESTRICTIONS, EventKind.ROLE))
OF_ROOMS = frozenset(
    (EventKind.MODE, EventKind.TERM, EventKind.PIN, EventKind.UNPIN, EventKind.CLEAR, EventKind.DELETE)
)


def apply_to_room(record: RoomRecord, event: RoomEvent) -> bool:
    """Puts an event into the record; whether that changed anything."""
    if event.event is EventKind.MODE:
        set_ones = [_set(record.modes, name, (value, event.event_id)) for name, value in event.modes.items()]
        return any(set_ones)
    if event.event is EventKind.TERM:
        changed = _set(record.terms, f"{event.kind}:{event.text}", (event.on, event.event_id))
        _forget_terms(record)
        return changed
    if event.event in (EventKind.PIN, EventKind.UNPIN):
        if event.event_id <= record.pin_by:
            return False
        record.pin = event.message if event.event is EventKind.PIN else None
        record.pin_by = event.event_id
        return True
    if event.event is EventKind.CLEAR:
        before, record.cleared_ms = record.cleared_ms, max(record.cleared_ms, event.timestamp)
        return record.cleared_ms != before
    return event.event is EventKind.DELETE and _delete(record, event.message_id, event.timestamp)


def merge_room(mine: RoomRecord, theirs: RoomRecord) -> None:
    """Adds what `theirs` knows better."""
    for name, value in theirs.modes.items():
        _set(mine.modes, name, value)
    for name, value in theirs.terms.items():
        _set(mine.terms, name, value)
    if theirs.pin_by > mine.pin_by:
        mine.pin, mine.pin_by = theirs.pin, theirs.pin_by
    mine.cleared_ms = max(mine.cleared_ms, theirs.cleared_ms)
    for message_id, at_ms in theirs.deleted.items():
        _delete(mine, message_id, at_ms)
    _forget_terms(mine)


def apply_to_member(record: MemberRecord, event: RoomEvent) -> bool:
    """Puts an event into the record; whether that changed anything."""
    record.username = event.target or record.username
    if event.event is EventKind.ROLE:
        if event.event_id <= record.role_by:
            return False
        record.role, record.role_by = event.role, event.event_id
        return True
    restriction = _RESTRICTIONS.get(event.event)
    if restriction is None:
        return False
    before = record.purged_ms
    if event.event in _PURGES:
        record.purged_ms = max(before, event.timestamp)
    if event.event_id <= record.restriction_by:
        return record.purged_ms != before
    record.restriction, record.restriction_by = restriction, event.event_id
    record.until_ms, record.reason = event.until, event.reason
    return True


def merge_member(mine: MemberRecord, theirs: MemberRecord) -> None:
    """Adds what `theirs` knows better."""
    mine.username = theirs.username or mine.username
    mine.purged_ms = max(mine.purged_ms, theirs.purged_ms)
    if theirs.role_by > mine.role_by:
        mine.role, mine.role_by = theirs.role, theirs.role_by
    if theirs.restriction_by > mine.restriction_by:
        mine.restriction, mine.restriction_by = theirs.restriction, theirs.restriction_by
        mine.until_ms, mine.reason = theirs.until_ms, theirs.reason


def modes_of(record: RoomRecord) -> Modes:
    """The modes as they were set."""
    values = {name: value for name, (value, _) in record.modes.items() if name in Modes.__struct_fields__}
    return Modes(**{**values, "links": Links(values.get("links", Links.ALLOW))})  # type: ignore[arg-type]


def effective(modes: Modes) -> Modes:
    """The modes as they hold: with the shield on, at least as strict as it is."""
    if not modes.shield:
        return modes
    links = modes.links if modes.links is not Links.ALLOW else SHIELD.links
    return Modes(
        slow=max(modes.slow, SHIELD.slow),
        followers=max(modes.followers, SHIELD.followers),
        subscribers=modes.subscribers,
        emote_only=modes.emote_only,
        unique=max(modes.unique, SHIELD.unique),
        shield=True,
        links=links,
        hold=modes.hold,
    )


def kept_terms(record: RoomRecord) -> Iterable[tuple[str, str]]:
    """Kind and text of each term that is kept."""
    for name, (kept, _) in record.terms.items():
        if kept:
            kind, _, text = name.partition(":")
            yield kind, text


def emote_names(record: RoomRecord) -> list[str]:
    """Names of the room's emotes."""
    return sorted(text for kind, text in kept_terms(record) if kind == TermKind.EMOTE)


def _set(table: dict[str, Value], name: str, value: Value) -> bool:
    known = table.get(name)
    if known is not None and value[1] <= known[1]:
        return False
    table[name] = value
    return True


def _forget_terms(record: RoomRecord) -> None:
    """The terms given up longest ago leave when there are too many."""
    while len(record.terms) > 2 * MAX_TERMS:
        gone = min(record.terms, key=lambda name: (bool(record.terms[name][0]), record.terms[name][1]))
        del record.terms[gone]


def _delete(record: RoomRecord, message_id: str, at_ms: int) -> bool:
    if record.deleted.get(message_id, -1) >= at_ms:
        return False
    record.deleted[message_id] = at_ms
    while len(record.deleted) > MAX_DELETED:
        del record.deleted[min(record.deleted, key=lambda one: (record.deleted[one], one))]
    return True
