"""What other edges tell as it was: once, not too late, and a held message has one fate whatever is heard first."""

import asyncio
import contextlib
import itertools

import pytest
from chat_fakes import ROOMS, Desk, user_id

from appliance.contracts.chat import ChatMessage
from appliance.contracts.ids import uuid7
from appliance.contracts.moderation import ANNOUNCED_MS, HELD_MS, RAIDED_MS, EventKind, RoomEvent
from appliance.contracts.subjects import happened_key
from appliance.runtime.clock import now_ms
from edge.chat.metrics import Tally
from edge.chat.states import RoomStates

ROOM = ROOMS[0]
MESSAGE_ID = uuid7(now_ms(), b"message-01")


def happened(kind, edge_id="edge2", *, ago_ms=0, number=0, **fields):
    at = now_ms() - ago_ms
    return RoomEvent(
        event=kind,
        event_id=uuid7(at, f"{kind:.8}{number:02}".ljust(10).encode()[:10]),
        room=ROOM,
        edge_id=edge_id,
        timestamp=at,
        **fields,
    )


def about(kind, edge_id, **fields):
    said = ChatMessage(
        message_id=MESSAGE_ID,
        stream_id="",
        timestamp=now_ms(),
        user_id=user_id("bob"),
        username="bob",
        message="hm",
    )
    return happened(kind, edge_id, message_id=MESSAGE_ID, message=said, target_id=said.user_id, **fields)


def put(desk, event):
    desk.put(happened_key(event.room, event.event_id), event)


def watched():
    desk = Desk()
    desk.rooms.get(ROOM).wait("a reader", lambda: None)
    return desk


async def test_each_is_told_once():
    desk = watched()
    announced = happened(EventKind.ANNOUNCE, text="hello", actor="mona")
    for event in (announced, announced, happened(EventKind.RAID, target="carol", count=3)):
        put(desk, event)
    assert desk.shown() == ["announce", "raid"]
    assert desk.last()["viewers"] == 3


@pytest.mark.parametrize(("kind", "most_ms"), [(EventKind.ANNOUNCE, ANNOUNCED_MS), (EventKind.RAID, RAIDED_MS)])
async def test_what_comes_too_late_is_not_told(kind, most_ms):
    desk = watched()
    put(desk, happened(kind, ago_ms=most_ms + 1000, target="carol", text="long ago"))
    assert (desk.shown(), desk.tally.events["too_late"]) == ([], 1)
    put(desk, happened(kind, ago_ms=most_ms - 5000, number=1, target="carol", text="just now"))
    assert desk.shown() == [kind]


async def test_this_edges_own_are_not_told_again():
    desk = watched()
    put(desk, happened(EventKind.ANNOUNCE, "edge1", text="hello"))
    assert desk.shown() == []


async def test_a_record_that_cannot_be_read_is_counted():
    desk = watched()
    desk.crossing.directory_changed(happened_key(ROOM, "x"), b"{")
    assert desk.tally.events["bad_record"] == 1


async def test_a_held_message_of_another_edge_waits_until_the_centre_forgets_it():
    desk = watched()
    held = about(EventKind.HELD, "edge2")
    put(desk, held)
    assert list(desk.states.of(ROOM).held) == [MESSAGE_ID]
    assert [event.event for event in desk.happened] == ["held"]
    desk.crossing.directory_changed(happened_key(ROOM, held.event_id), None)
    assert not desk.states.of(ROOM).held


async def test_one_that_was_held_here_outlives_its_record():
    desk = watched()
    held = about(EventKind.HELD, "edge1")
    desk.states.apply(held)
    desk.crossing.directory_changed(happened_key(ROOM, held.event_id), None)
    assert list(desk.states.of(ROOM).held) == [MESSAGE_ID]


async def test_what_was_taken_away_is_not_held():
    desk = watched()
    await desk.acts("alice", "timeout", target="bob", seconds=60)
    put(desk, about(EventKind.HELD, "edge2", ago_ms=HELD_MS // 2))
    assert not desk.states.of(ROOM).held


HELD = about(EventKind.HELD, "edge1")
APPROVED = about(EventKind.APPROVE, "edge2")
ECHO = about(EventKind.APPROVE, "edge1", origin="edge2")
DENIED = about(EventKind.DENY, "edge1")


@pytest.mark.parametrize(
    ("events", "owed"),
    [
        ((HELD, APPROVED), 1),
        ((HELD, APPROVED, ECHO), 0),
        ((HELD, APPROVED, DENIED), 0),
        ((HELD, about(EventKind.DENY, "edge2")), 0),
        ((about(EventKind.HELD, "edge2"), APPROVED), 0),
        ((about(EventKind.HELD, "edge3"), APPROVED), 0),
    ],
)
def test_a_message_has_one_fate_whatever_is_heard_first(events, owed):
    for order in itertools.permutations(events):
        if ECHO in order and order.index(ECHO) < order.index(HELD):
            continue  # both stand in this edge's log, in that order
        if DENIED in order and order.index(DENIED) < order.index(HELD):
            continue
        states = RoomStates("edge1", Tally(), lambda *_: None, lambda _: None)
        for event in (*order, *order):
            states.apply(event)
        assert (len(states.owed), len(states.of(ROOM).held)) == (owed, 0), order


async def test_what_was_approved_elsewhere_is_said_here_once():
    desk = watched()
    desk.states.apply(HELD)
    task = asyncio.ensure_future(desk.crossing.run())
    for _ in range(2):
        put(desk, APPROVED)
        async with asyncio.timeout(5):
            while desk.states.owed or not desk.log.stored:
                await asyncio.sleep(0.01)
        desk.catch_up()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert desk.shown() == ["hm"]
    assert [event.event for event in desk.happened] == ["approve"], "moderators are told once"
    assert len(desk.log.stored) == 2, "the message, and what became of it"
