"""What those who come back are told of other edges."""

import msgspec
import pytest
from chat_fakes import ROOMS, Desk

from appliance.contracts.ids import uuid7
from appliance.contracts.moderation import EventKind, RoomEvent, RoomRecord
from appliance.contracts.subjects import room_key
from appliance.runtime.clock import now_ms
from edge.chat import told as told_module
from edge.chat.positions import Mark, Position
from edge.chat.told import Told

ROOM = ROOMS[0]
P, Q = Position(7, 0), Position(9, 1)


@pytest.fixture
def clock(monkeypatch):
    """Unix seconds, moved by hand."""
    now = [1000.0]
    monkeypatch.setattr(told_module, "now_ms", lambda: int(now[0] * 1000))
    return now


def test_what_was_heard_since_comes_again(clock):
    told = Told()
    for at, position, data in ((1002, P, b"a"), (1004, P, b"b"), (1006, Q, b"c")):
        clock[0] = at
        told.add(position, data)
    assert told.since(Mark(P, 1003), Q) == [b"a", b"b", b"c"], "what stands at its very position may have been lost"
    assert told.since(Mark(Position(8, 0), 1004), Q) == [b"b", b"c"], "a second is not exact"
    assert told.since(Mark(Position(8, 0), 1005), Q) == [b"c"]
    assert told.since(Mark(Position(8, 0), 1005), P) == [], "the rest comes from the ring"


def test_who_was_there_before_the_room_was_gets_no_list(clock):
    told = Told()
    assert told.since(Mark(P, 1000), Q) is None
    assert told.since(Mark(P, 1001), Q) == []


def test_the_list_is_bounded_and_knows_what_it_forgot(clock):
    told = Told()
    for number in range(300):
        clock[0] = 2000 + number
        told.add(P, b"%d" % number)
    assert told.since(Mark(Q, 2099), Q) is None
    assert told.since(Mark(Q, 2100), Q) == [b"%d" % number for number in range(100, 300)]


def frames(data):
    """The documents of frames that are shorter than 64 KB and not masked."""
    found = []
    while data:
        size, start = (data[1], 2) if data[1] < 126 else (int.from_bytes(data[2:4], "big"), 4)
        found.append(msgspec.json.decode(data[start : start + size]))
        data = data[start + size :]
    return found


def marked(ago_s, edge):
    return Mark(P, now_ms() // 1000 - ago_s, edge)


async def test_a_gateway_that_was_not_there_tells_what_is_gone_and_not_what_its_log_has():
    desk = Desk()
    own = await desk.said("bob", "mine")
    await desk.acts("alice", "delete", message_id=own.message_id)
    theirs = uuid7(now_ms(), b"0123456789")
    desk.put(room_key(ROOM), RoomRecord(channel_id=ROOM, deleted={theirs: now_ms()}))
    room = desk.rooms.get(ROOM)

    def gone(mark):
        return [one["message_id"] for one in frames(desk.rooms.missed(room, mark, room.ring.last))]

    assert gone(marked(60, "edge1")) == [theirs]
    assert sorted(gone(marked(60, "edge2"))) == sorted([theirs, own.message_id])
    assert gone(Mark(P)) == [], "a position that tells no time"
    another = uuid7(now_ms(), b"9876543210")
    desk.put(room_key(ROOM), RoomRecord(channel_id=ROOM, deleted={another: now_ms()}))
    assert sorted(gone(marked(60, "edge1"))) == sorted([theirs, another]), "what was made for others before is old"


async def test_what_a_hello_tells_is_not_told_again():
    desk = Desk()
    room = desk.rooms.get(ROOM)
    for kind, fields in ((EventKind.MODE, {"modes": {"slow": 5}}), (EventKind.ANNOUNCE, {"text": "hello"})):
        event = RoomEvent(
            event=kind,
            event_id=uuid7(now_ms(), kind.ljust(10).encode()[:10]),
            room=ROOM,
            edge_id="edge2",
            timestamp=now_ms(),
            **fields,
        )
        desk.rooms.elsewhere(ROOM, [event])
    since = Mark(P, now_ms() // 1000 + 2, "edge1")
    assert frames(desk.rooms.missed(room, since, room.ring.last)) == []
    heard = room.told.since(Mark(room.ring.last, since.at_s), room.ring.last)
    assert [msgspec.json.decode(one)["event"] for one in heard] == ["announce"]
