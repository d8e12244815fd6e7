"""The state that comes of events, whatever their order, and what is told of the events of other edges."""

import msgspec
from chat_fakes import ROOMS, Desk, staffed, user_id
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from appliance.contracts.chat import ChatMessage
from appliance.contracts.ids import uuid7
from appliance.contracts.moderation import (
    EventKind,
    MemberRecord,
    Modes,
    Restriction,
    Role,
    RoomEvent,
    RoomRecord,
)
from appliance.contracts.room_state import (
    OF_MEMBERS,
    apply_to_member,
    apply_to_room,
    effective,
    merge_member,
    merge_room,
    modes_of,
)
from appliance.contracts.subjects import member_key, room_key
from appliance.runtime.clock import now_ms
from edge.chat.elsewhere import copy_of, happened_in_room, happened_to_member

ROOM = ROOMS[0]


_EVENTS = st.lists(
    st.builds(
        RoomEvent,
        event=st.sampled_from(sorted(set(EventKind) - {EventKind.SUBSCRIPTION, EventKind.GIFT, EventKind.FOLLOW})),
        event_id=st.integers(0, 30).map(lambda number: f"id{number:02}"),
        room=st.just(ROOM),
        edge_id=st.just("edge1"),
        timestamp=st.integers(0, 50),
        target_id=st.just("u-bob"),
        message_id=st.sampled_from(["m1", "m2"]),
        until=st.integers(0, 99),
        role=st.sampled_from(Role),
        modes=st.dictionaries(st.sampled_from(["slow", "followers"]), st.integers(0, 9), max_size=2),
        text=st.sampled_from(["a", "b"]),
        on=st.booleans(),
    ),
    max_size=12,
    unique_by=lambda event: event.event_id,
)


def reduced(events):
    room, member = RoomRecord(channel_id=ROOM), MemberRecord(channel_id=ROOM, user_id="u-bob")
    for event in events:
        if event.event in OF_MEMBERS:
            apply_to_member(member, event)
        else:
            apply_to_room(room, event)
    return room, member


def kept(events):
    """As the centre does it: what did not change is not saved."""
    room, member = RoomRecord(channel_id=ROOM), MemberRecord(channel_id=ROOM, user_id="u-bob")
    for event in events:
        more_room, more_member = copy_of(room), msgspec.structs.replace(member)
        if event.event in OF_MEMBERS and apply_to_member(more_member, event):
            member = more_member
        elif event.event not in OF_MEMBERS and apply_to_room(more_room, event):
            room = more_room
    return room, member


@settings(max_examples=50, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(_EVENTS, st.randoms(use_true_random=False), st.integers(0, 12))
def test_order_and_repeats_of_events_do_not_matter(events, random, split):
    expected = reduced(events)
    shuffled = [*events, *events[:3]]
    random.shuffle(shuffled)
    assert reduced(shuffled) == kept(shuffled) == expected
    (room, member), (more_room, more_member) = reduced(events[:split]), reduced(events[split:])
    merge_room(room, more_room)
    merge_member(member, more_member)
    assert (room, member) == expected


def test_modes_that_nobody_knows_are_left_alone():
    record = RoomRecord(channel_id=ROOM, modes={"slow": (3, "a"), "from_the_future": (True, "a")})
    assert effective(modes_of(record)) == Modes(slow=3)


async def test_the_directory_brings_what_other_edges_did():
    desk = await staffed()
    said = await desk.said("bob", "to be deleted elsewhere")
    desk.happened.clear()
    record = RoomRecord(channel_id=ROOM, modes={"slow": (9, "f")}, deleted={said.message_id: 1})
    desk.put(room_key(ROOM), record)
    assert desk.happened == [], "nobody is there"
    assert "to be deleted elsewhere" not in desk.shown()
    assert desk.states.modes(ROOM).slow == 9
    banned = MemberRecord(channel_id=ROOM, user_id="u-bob", restriction=Restriction.BAN, restriction_by="f")
    desk.put(member_key(ROOM, "u-bob"), banned)
    assert await desk.refused("bob", "x") == "banned"
    await desk.acts("mona", "clear")
    desk.states.directory_changed(room_key(ROOM), b"{")
    desk.states.directory_changed(room_key(ROOM), None)
    assert desk.tally.events["bad_record"] == 1
    assert desk.states.modes(ROOM).slow == 9


async def test_what_other_edges_did_is_told_once_to_those_who_are_there():
    desk = await staffed()
    desk.rooms.get(ROOM).wait(object(), lambda: None)
    said = await desk.said("vince", "to be deleted elsewhere")
    await desk.said("bob", "bob was here")
    desk.happened.clear()
    now = now_ms()
    by = [uuid7(now + number, bytes(10)) for number in range(20)]
    pinned = ChatMessage(
        message_id=by[9], stream_id="", timestamp=now, user_id="u-bob", username="bob", message="look"
    )
    room = RoomRecord(
        channel_id=ROOM,
        modes={"slow": (9, by[1]), "shield": (False, by[2])},
        terms={"word:rude": (True, by[3]), "color:blue": (True, by[4])},
        deleted={said.message_id: now},
        pin=pinned,
        pin_by=by[5],
    )
    bob = MemberRecord(channel_id=ROOM, user_id="u-bob", username="bob", purged_ms=now + 5)
    bob = msgspec.structs.replace(
        bob, restriction=Restriction.TIMEOUT, restriction_by=by[6], until_ms=now + 60_000, reason="rude"
    )
    for _ in range(2):
        desk.put(room_key(ROOM), room)
        desk.put(member_key(ROOM, "u-bob"), bob)
    assert [str(one.event) for one in desk.happened] == ["delete", "mode", "term", "pin", "timeout"]
    deleted, mode, term, pin, timeout = desk.happened
    assert (deleted.message_id, deleted.target, deleted.timestamp) == (said.message_id, "vince", now)
    assert (mode.modes, mode.event_id, mode.timestamp) == ({"slow": 9, "shield": False}, by[2], now + 2)
    assert (term.text, term.event_id) == ("rude", by[3])
    assert (pin.message, pin.target, pin.event_id) == (pinned, "bob", by[5])
    assert (timeout.event_id, timeout.until, timeout.timestamp) == (by[6], now + 60_000, now + 5)
    assert desk.shown()[2:] == ["delete", "mode", "pin", "timeout"]
    assert desk.last()["username"] == "bob"
    desk.happened.clear()
    freed = msgspec.structs.replace(bob, restriction=Restriction.NONE, restriction_by=by[7], purged_ms=now + 7)
    desk.put(member_key(ROOM, "u-bob"), msgspec.structs.replace(freed, role=Role.VIP, role_by=by[8]))
    desk.put(room_key(ROOM), RoomRecord(channel_id=ROOM, cleared_ms=now + 9, pin_by=by[10]))
    told = [(str(one.event), one.until) for one in desk.happened]
    assert told == [("timeout", now + 1007), ("unban", 0), ("role", 0), ("clear", 0), ("unpin", 0)]
    assert desk.states.of(ROOM).modes.slow == 9


@settings(max_examples=50, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(_EVENTS, st.integers(0, 12))
def test_events_of_other_edges_make_the_same_of_a_room(events, split):
    """Whoever has seen the first events, and is told the rest as what the records became."""
    room, member = reduced(events[:split])
    told_room, told_member = copy_of(room), msgspec.structs.replace(member)
    more_room, more_member = reduced(events)
    before_room, before_member = copy_of(room), msgspec.structs.replace(member)
    merge_room(room, more_room)
    merge_member(member, more_member)
    for event in happened_in_room(before_room, room):
        assert apply_to_room(told_room, event)
    for event in happened_to_member(before_member, member):
        apply_to_member(told_member, event)
    assert told_room.deleted.keys() == room.deleted.keys()
    assert (told_room.cleared_ms, told_room.terms, told_room.pin) == (room.cleared_ms, room.terms, room.pin)
    assert modes_of(told_room) == modes_of(room)
    for name in ("restriction", "role", "purged_ms"):
        assert getattr(told_member, name) == getattr(member, name), name
    assert list(happened_in_room(room, room)) == list(happened_to_member(member, member)) == []


async def test_what_is_done_later_holds_although_another_sites_clock_is_ahead():
    desk = Desk()
    ahead = uuid7(now_ms() + 60_000, b"\xff" * 10)
    banned = MemberRecord(
        channel_id=desk.place.room_id,
        user_id=user_id("bob"),
        restriction=Restriction.BAN,
        restriction_by=ahead,
        role=Role.VIP,
        role_by=ahead,
    )
    desk.put(f"member.{desk.place.room_id}.{user_id('bob')}", banned)
    modes = {"slow": (30, ahead), "links": ("block", "no id")}
    desk.put(f"room.{desk.place.room_id}", RoomRecord(channel_id=desk.place.room_id, modes=modes))
    event = await desk.acts("alice", "unban", target="bob")
    assert event.timestamp <= now_ms()
    await desk.acts("alice", "unvip", target="bob")
    await desk.acts("alice", "slow", value=0)
    standing = desk.states.standing(desk.place.room_id, user_id("bob"), now_ms())
    assert (standing.restriction, standing.role) == (Restriction.NONE, Role.NONE)
    assert desk.states.modes(desk.place.room_id).slow == 0
