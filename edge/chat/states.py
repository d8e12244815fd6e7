"""What holds in each room and for each of its users, from the directory and from this edge's own events.

The directory has what the centre knows of all edges, events what was just done here; they are merged by the rule of
`appliance.contracts.room_state`, so it does not matter which comes first or how often.
"""

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from appliance.contracts.chat import ChatMessage
from appliance.contracts.ids import is_uuid7, unix_ms
from appliance.contracts.moderation import (
    DECISIONS,
    HELD_MS,
    MAX_HELD,
    EventKind,
    FollowRecord,
    MemberRecord,
    Modes,
    Restriction,
    Role,
    RoomEvent,
    RoomRecord,
    SubscriberRecord,
)
from appliance.contracts.room_state import (
    OF_MEMBERS,
    OF_ROOMS,
    apply_to_member,
    apply_to_room,
    effective,
    merge_member,
    merge_room,
    modes_of,
)
from edge.chat.elsewhere import copy_of, happened_in_room, happened_to_member, known_as, taken_away
from edge.chat.metrics import Tally

T = TypeVar("T")
_OWN = 1000


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """How a user stands to a room, now. Times in Unix milliseconds."""

    role: Role = Role.NONE
    restriction: Restriction = Restriction.NONE
    until_ms: int = 0
    followed_ms: int | None = None
    tier: int = 0
    subscribed_ms: int = 0


class RoomState:
    """One room. `record` and `members` are what is known; the rest is derived.

    `held`: the messages that wait for a moderator, at whichever edge they were said, and `decided` what became of
    the newest others; both by message id. `own`: the newest of this edge's events that took messages away.
    """

    __slots__ = ("decided", "held", "members", "modes", "own", "purged_ms", "record", "version")

    def __init__(self, room_id: str) -> None:
        self.record = RoomRecord(channel_id=room_id)
        self.members: dict[str, MemberRecord] = {}
        self.held: OrderedDict[str, RoomEvent] = OrderedDict()
        self.decided: OrderedDict[str, RoomEvent] = OrderedDict()
        self.own: OrderedDict[str, None] = OrderedDict()
        self.modes = Modes()
        self.purged_ms = 0  # of the users the latest
        self.version = 0  # goes up when terms may have changed

    def refresh(self) -> None:
        """After a change of the record."""
        self.modes = effective(modes_of(self.record))
        self.version += 1


class RoomStates:
    """Fed by `directory_changed` and `apply`; everything is bounded by what the directory and the outbox hold.

    `owed`, by message id: what was held at this edge, was approved at another, and is not known to have been said.
    `on_elsewhere(room_id, events)` runs when the directory knew better: what was done at other edges. `on_news`
    runs when it has somebody else follow or subscribe.
    """

    def __init__(
        self,
        edge_id: str,
        tally: Tally,
        on_elsewhere: Callable[[str, Iterable[RoomEvent]], None],
        on_news: Callable[[FollowRecord | SubscriberRecord], None],
    ) -> None:
        self.owed: dict[str, RoomEvent] = {}
        self._edge_id = edge_id
        self._tally = tally
        self._on_elsewhere = on_elsewhere
        self._on_news = on_news
        self._rooms: dict[str, RoomState] = {}
        self._follows: dict[str, FollowRecord] = {}
        self._subscribers: dict[str, SubscriberRecord] = {}

    # -- changes

    def directory_changed(self, key: str, value: bytes | None) -> None:
        """A record of the directory was written or removed."""
        kind, _, name = key.partition(".")
        if kind == "room":
            self._room_changed(self._read(value, RoomRecord))
        elif kind == "member":
            self._member_changed(self._read(value, MemberRecord))
        elif kind == "follow":
            follow = self._read(value, FollowRecord)
            is_new = follow is not None and name not in self._follows
            _put(self._follows, name, follow)
            if is_new and follow is not None:
                self._on_news(follow)
        elif kind == "subscriber":
            self._subscriber_changed(name, self._read(value, SubscriberRecord))

    def _subscriber_changed(self, name: str, record: SubscriberRecord | None) -> None:
        known = self._subscribers.get(name)
        _put(self._subscribers, name, record)
        if record is not None and (known is None or record.renewed_ms > known.renewed_ms):
            self._on_news(record)

    def _room_changed(self, theirs: RoomRecord | None) -> None:
        if theirs is None:  # what was done here since then still holds
            return
        state = self.of(theirs.channel_id)
        before = copy_of(state.record)
        merge_room(state.record, theirs)
        state.refresh()
        self._let_go(state)
        self._on_elsewhere(theirs.channel_id, happened_in_room(before, state.record))

    def _member_changed(self, theirs: MemberRecord | None) -> None:
        if theirs is None:
            return
        state = self.of(theirs.channel_id)
        mine = self._member(state, theirs.user_id)
        before = msgspec.structs.replace(mine)
        merge_member(mine, theirs)
        state.purged_ms = max(state.purged_ms, mine.purged_ms)
        self._let_go(state)
        self._on_elsewhere(theirs.channel_id, happened_to_member(before, mine))

    def apply(self, event: RoomEvent) -> None:
        """An event of this edge's log, or one about a held message from any edge. The same may come again."""
        state = self.of(event.room)
        for name in known_as(event):
            state.own[name] = None
            if len(state.own) > _OWN:
                state.own.popitem(last=False)
        if event.event in OF_MEMBERS:
            mine = self._member(state, event.target_id)
            apply_to_member(mine, event)
            state.purged_ms = max(state.purged_ms, mine.purged_ms)
            self._let_go(state)
        elif event.event in OF_ROOMS:
            apply_to_room(state.record, event)
            state.refresh()
            self._let_go(state)
        elif event.event is EventKind.HELD:
            self._hold(state, event)
        elif event.event in DECISIONS:
            self._decide(state, event)

    def _hold(self, state: RoomState, event: RoomEvent) -> None:
        decision = state.decided.get(event.message_id)
        if decision is not None:
            self._owe(event, decision)
            return
        if self.is_hidden(event.room, event.message_id, event.target_id, event.timestamp):
            return
        state.held[event.message_id] = event
        self._forget_held(state, event.timestamp)

    def _decide(self, state: RoomState, event: RoomEvent) -> None:
        held = state.held.pop(event.message_id, None)
        if event.edge_id == self._edge_id:
            self.owed.pop(event.message_id, None)
        elif held is not None:
            self._owe(held, event)
        state.decided.setdefault(event.message_id, event)
        if len(state.decided) > 2 * MAX_HELD:
            self.owed.pop(state.decided.popitem(last=False)[0], None)

    def _owe(self, held: RoomEvent, decision: RoomEvent) -> None:
        is_ours = held.edge_id == self._edge_id != decision.edge_id
        if is_ours and decision.event is EventKind.APPROVE:
            self.owed[held.message_id] = decision

    def forget_held(self, room_id: str, event_id: str) -> None:
        """The directory no longer has that event; what was held here stays until this edge forgets it."""
        state = self._rooms.get(room_id)
        found = () if state is None else [held for held in state.held.values() if held.event_id == event_id]
        for held in found:
            if state is not None and held.edge_id != self._edge_id:
                del state.held[held.message_id]

    def _let_go(self, state: RoomState) -> None:
        """What was taken away does not wait for a moderator any more."""
        for held in list(state.held.values()):
            if self.is_hidden(state.record.channel_id, held.message_id, held.target_id, held.timestamp):
                del state.held[held.message_id]

    def _forget_held(self, state: RoomState, now_ms: int) -> None:
        while state.held:
            oldest = next(iter(state.held.values()))
            if len(state.held) <= MAX_HELD and oldest.timestamp > now_ms - HELD_MS:
                return
            state.held.popitem(last=False)
            self._tally.events["held_forgotten"] += 1

    def _member(self, state: RoomState, user_id: str) -> MemberRecord:
        found = state.members.get(user_id)
        if found is None:
            found = MemberRecord(channel_id=state.record.channel_id, user_id=user_id)
            state.members[user_id] = found
        return found

    def _read(self, value: bytes | None, kind: type[T]) -> T | None:
        if value is None:
            return None
        try:
            return msgspec.json.decode(value, type=kind)
        except msgspec.MsgspecError:
            self._tally.events["bad_record"] += 1
            return None

    # -- lookups

    def of(self, room_id: str) -> RoomState:
        """The state of a room, made where nothing is known of it."""
        state = self._rooms.get(room_id)
        if state is None:
            state = self._rooms[room_id] = RoomState(room_id)
        return state

    def modes(self, room_id: str) -> Modes:
        """The modes that hold in a room."""
        state = self._rooms.get(room_id)
        return Modes() if state is None else state.modes

    def version(self, room_id: str) -> int:
        """Goes up when the terms of a room may have changed."""
        state = self._rooms.get(room_id)
        return 0 if state is None else state.version

    def record(self, room_id: str) -> RoomRecord:
        """What holds in a room; not to be changed."""
        state = self._rooms.get(room_id)
        return RoomRecord(channel_id=room_id) if state is None else state.record

    def standing(self, room_id: str, user_id: str, now_ms: int) -> Standing:
        """How a user stands to a room."""
        state = self._rooms.get(room_id)
        member = None if state is None else state.members.get(user_id)
        follow = self._follows.get(f"{room_id}.{user_id}")
        subscriber = self._subscribers.get(f"{room_id}.{user_id}")
        subscribed = subscriber is not None and subscriber.until_ms > now_ms
        restriction, until_ms = Restriction.NONE, 0
        if member is not None and (member.restriction is not Restriction.TIMEOUT or member.until_ms > now_ms):
            restriction, until_ms = member.restriction, member.until_ms
        return Standing(
            role=Role.NONE if member is None else member.role,
            restriction=restriction,
            until_ms=until_ms,
            followed_ms=None if follow is None else follow.since_ms,
            tier=subscriber.tier if subscriber is not None and subscribed else 0,
            subscribed_ms=subscriber.since_ms if subscriber is not None and subscribed else 0,
        )

    def newest_ms(self, room_id: str, user_id: str = "") -> int:
        """When the newest of all events was made that set what holds in a room, and for one of its users."""
        state = self._rooms.get(room_id)
        if state is None:
            return 0
        record, member = state.record, state.members.get(user_id)
        ids = [record.pin_by, *(by for _, by in (*record.modes.values(), *record.terms.values()))]
        if member is not None:
            ids += [member.restriction_by, member.role_by]
        newest = max(filter(is_uuid7, ids), default="")
        return unix_ms(newest) if newest else 0

    def hides(self, room_id: str) -> bool:
        """Whether any message of the room may be gone."""
        state = self._rooms.get(room_id)
        return state is not None and bool(state.record.deleted or state.record.cleared_ms or state.purged_ms)

    def taken_away(self, room_id: str, since_ms: int, most: int, *, elsewhere: bool) -> list[RoomEvent]:
        """The newest events that took messages away since then, in order; `elsewhere`: not this edge's."""
        state = self._rooms.get(room_id)
        if state is None:
            return []
        found = taken_away(state.record, state.members.values(), since_ms)
        events = [one for one in found if not (elsewhere and one.event_id in state.own)]
        return sorted(events, key=lambda one: (one.timestamp, one.event_id))[-most:]

    def held_of(self, room_id: str, user_id: str) -> int:
        """How many messages of a user wait for a moderator."""
        state = self._rooms.get(room_id)
        return 0 if state is None else sum(held.target_id == user_id for held in state.held.values())

    def pin(self, room_id: str) -> ChatMessage | None:
        """The message that is kept in sight, unless it, or all that its author said, was taken away."""
        state = self._rooms.get(room_id)
        pin = None if state is None else state.record.pin
        if state is None or pin is None or pin.message_id in state.record.deleted:
            return None
        member = state.members.get(pin.user_id)
        return None if member is not None and pin.timestamp <= member.purged_ms else pin

    def is_hidden(self, room_id: str, message_id: str, user_id: str, timestamp: int) -> bool:
        """Whether a message was deleted or cleared."""
        state = self._rooms.get(room_id)
        if state is None:
            return False
        if timestamp <= state.record.cleared_ms or message_id in state.record.deleted:
            return True
        member = state.members.get(user_id)
        return member is not None and timestamp <= member.purged_ms


def _put(table: dict[str, T], key: str, value: T | None) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
