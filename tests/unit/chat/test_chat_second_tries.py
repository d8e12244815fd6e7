"""A message that is sent again with its nonce."""

import asyncio
from dataclasses import replace

import pytest
from chat_fakes import ROOMS, Desk, user_id

from appliance.contracts import nonces
from appliance.contracts.errors import UnavailableError
from appliance.contracts.moderation import Restriction
from appliance.runtime.bus import LogMessage
from appliance.runtime.clock import now_ms
from edge.chat.ranks import Author

ALICE = Author(user_id("alice"), "alice")


async def test_a_message_that_comes_again_with_its_nonce_is_the_one_before():
    desk, other = Desk(), Desk()
    first = await desk.said("bob", "hello", nonce="1")
    again = await desk.said("bob", "hello", nonce="1")
    assert (again.message_id, again.timestamp) == (first.message_id, first.timestamp)
    assert desk.last()["timestamp"] == first.timestamp
    for entry in desk.log.stored:  # the other gateway of the edge reads the same log
        other.rooms.deliver(entry)
    assert (await other.said("bob", "hello", nonce="1")).message_id == first.message_id
    assert desk.shown() == other.shown() == ["hello"]
    assert other.log.stored == []
    for changed in (
        await desk.said("bob", "hello!", nonce="1"),
        await desk.said("bob", "hello", nonce="2"),
        await desk.said("carol", "hello", nonce="1"),
        await desk.said("bob", "hello"),
        await desk.said("bob", "hello"),
    ):
        assert changed.message_id != first.message_id
    assert desk.shown() == ["hello", "hello!", "hello", "hello", "hello", "hello"]


async def test_a_second_try_while_the_first_waits_for_the_log_waits_with_it():
    desk = Desk()
    desk.log.hold = asyncio.Event()
    author = Author("u-bob", "bob")
    first = desk.rules.accept(desk.place, author, "hello", nonce="1")
    again = desk.rules.accept(desk.place, author, "hello", nonce="1")
    assert again.durable is first.durable
    desk.log.away = True
    desk.log.hold.set()
    with pytest.raises(UnavailableError):
        await first.durable
    desk.log.away = False
    stored = await desk.said("bob", "hello", nonce="1")
    assert stored.message_id == desk.last()["message_id"]
    assert desk.shown() == ["hello"]


async def test_a_held_message_that_comes_again_waits_once():
    desk = Desk()
    await desk.acts("alice", "block", text="badword")
    await desk.acts("alice", "hold", value=True)
    desk.log.hold = asyncio.Event()
    author = Author("u-bob", "bob")
    first = desk.rules.accept(desk.place, author, "a badword", nonce="1")
    assert desk.rules.accept(desk.place, author, "a badword", nonce="1") is first
    desk.log.hold.set()
    await first.durable
    desk.catch_up()
    again = await desk.said("bob", "a badword", nonce="1")
    assert (again.message_id, again.timestamp, again.held) == (first.message_id, first.timestamp, True)
    assert list(desk.states.of(desk.place.room_id).held) == [first.message_id]
    assert not (await desk.said("bob", "a good word", nonce="1")).held


async def test_two_tries_at_two_gateways_at_once_are_shown_once():
    one, two = Desk(), Desk()
    author = Author("u-bob", "bob")
    tries = [desk.rules.accept(desk.place, author, "hello", nonce="1") for desk in (one, two)]
    await asyncio.gather(*(tried.durable for tried in tries))
    later = LogMessage(2, two.log.stored[0].subject, two.log.stored[0].data)
    for desk in (one, two):
        for entry in (one.log.stored[0], later):
            desk.rooms.deliver(entry)
        assert desk.shown() == ["hello"]
        assert desk.last()["message_id"] == tries[0].message_id
        assert {desk.rules.first_of(tried) for tried in tries} == {(tries[0].message_id, tries[0].timestamp)}
        assert tries[0].message_id == tries[1].message_id or desk.rooms.journal.read(later) == []


def test_nonces_are_remembered_for_ten_minutes_and_not_without_end(monkeypatch):
    monkeypatch.setattr(nonces, "_MOST", 3)
    known = nonces.Nonces()
    at_ms = 1_700_000_000_000
    first = nonces.numbered(at_ms, "u", "r", "n", "text")
    soon = nonces.numbered(at_ms + nonces.WINDOW_MS - 1, "u", "r", "n", "text")
    late = nonces.numbered(at_ms + nonces.WINDOW_MS, "u", "r", "n", "text")
    assert known.heard(first)
    assert not known.heard(first), "two gateways in the same millisecond"
    assert not known.heard(soon)
    assert known.known(soon) == first
    assert known.heard(late)
    assert known.known(late) == late
    for number in range(3):
        known.heard(nonces.numbered(at_ms, "u", "r", str(number), "text"))
    assert len(known) == 3
    assert known.known(late) == ""
    for data in (b"", b'{"message_id":"short"}', b'{"other":"' + b"x" * 60, b"\xff" * 60):
        assert nonces.id_in(data) == ""
    assert nonces.id_in(b'{"message_id":"%b","x":1}' % first.encode()) == first
    for one, other in ((("a", "bc"), ("ab", "c")), (("", "x"), ("x", ""))):
        assert nonces.numbered(1, *one, "n", "t") != nonces.numbered(1, *other, "n", "t")


async def test_a_command_that_comes_again_with_its_nonce_is_done_once():
    desk, other = Desk(user_per_minute=1), Desk()
    first = await desk.said("alice", "/ban bob rude", nonce="1")
    for entry in desk.log.stored:  # the other gateway of the edge reads the same log
        other.rooms.deliver(entry)
    await other.said("alice", "/unban bob", nonce="2")
    desk.rooms.deliver(replace(other.log.stored[0], seq=2))
    for gateway in (desk, other):
        again = await gateway.said("alice", "/ban bob rude", nonce="1")
        assert (again.message_id, again.timestamp, again.notice) == (first.message_id, first.timestamp, "done")
        assert gateway.shown() == ["ban", "unban"]
        standing = gateway.states.standing(gateway.place.room_id, user_id("bob"), now_ms())
        assert standing.restriction is Restriction.NONE
    assert len(desk.log.stored) == len(other.log.stored) == 1
    assert sum(desk.tally.actions.values()) == 1


async def test_another_command_with_the_same_nonce_is_another_one():
    desk = Desk()
    first = await desk.said("alice", "/slow 30", nonce="1")
    for name, text in (("alice", "/slow 31"), ("alice", "/slowoff")):
        assert (await desk.said(name, text, nonce="1")).message_id != first.message_id
    await desk.said("alice", "/mod mona", nonce="1")
    assert (await desk.said("mona", "/slow 30", nonce="1")).message_id != first.message_id
    assert (await desk.said("alice", "/slow 30", nonce="1")).message_id == first.message_id
    assert (await desk.said("alice", "/slow 30")).message_id != (await desk.said("alice", "/slow 30")).message_id
    assert desk.states.modes(desk.place.room_id).slow == 30


async def test_a_refused_command_may_be_tried_again():
    desk = Desk()
    for _ in range(2):
        assert await desk.refused("alice", "/ban nobody") == "unknown_user"
    assert desk.tally.refused["unknown_user"] == 2
    desk.log.away = True
    assert await desk.refused("alice", "/ban bob") == "unavailable"
    desk.log.away = False
    assert (await desk.said("alice", "/ban bob", nonce="1")).notice == "done"
    assert desk.shown() == ["ban"]


async def test_a_command_at_two_gateways_at_once_is_done_once():
    one, two = Desk(), Desk()
    tries = []
    for desk in (one, two):
        await asyncio.sleep(0.002)  # of the same millisecond they would have one id, and the log takes one
        tries.append(desk.rules.accept(desk.place, ALICE, "/timeout bob 60", nonce="1"))
    await asyncio.gather(*(tried.durable for tried in tries))
    later = replace(two.log.stored[0], seq=2)
    await asyncio.sleep(0.002)
    undone = await Desk().acts("alice", "unban", target="bob")
    for desk in (one, two):
        desk.rooms.deliver(one.log.stored[0])
        desk.states.apply(undone)
        desk.rooms.deliver(later)
        assert desk.shown() == ["timeout"]
        assert {desk.rules.first_of(tried) for tried in tries} == {(tries[0].message_id, tries[0].timestamp)}
        standing = desk.states.standing(desk.place.room_id, user_id("bob"), now_ms())
        assert standing.restriction is Restriction.NONE
        assert desk.rooms.journal.read(later) == []


async def test_a_held_message_at_two_gateways_at_once_waits_once():
    one, two = Desk(), Desk()
    author = Author(user_id("bob"), "bob")
    tries = []
    for desk in (one, two):
        await desk.acts("alice", "block", text="badword")
        await desk.acts("alice", "hold", value=True)
        tries.append(desk.rules.accept(desk.place, author, "a badword", nonce="1"))
        await tries[-1].durable
    later = replace(two.log.stored[-1], seq=4)
    for desk in (one, two):
        desk.rooms.deliver(one.log.stored[-1])
        desk.rooms.deliver(later)
        assert list(desk.states.of(desk.place.room_id).held) == [tries[0].message_id]
        assert {desk.rules.first_of(tried)[0] for tried in tries} == {tries[0].message_id}
    await one.acts("alice", "deny", message_id=tries[0].message_id)
    again = await one.said("bob", "a badword", nonce="1")
    assert (again.held, again.message_id) == (True, tries[0].message_id)
    assert list(one.states.of(one.place.room_id).held) == []


async def test_what_an_action_takes_with_it_is_done_before_it_and_once():
    desk = Desk()
    await desk.said("alice", "/raid bob", nonce="1")
    await desk.said("alice", "/raid bob", nonce="1")
    assert desk.shown() == desk.shown(ROOMS[1]) == ["raid"]
    assert [subject.rpartition(".")[2] for subject, *_ in desk.log.appends] == [ROOMS[1], ROOMS[0]]
    first = desk.log.stored[0]
    desk = Desk()
    desk.rooms.deliver(first)  # a gateway was killed between the two
    await asyncio.sleep(0.002)  # of the same millisecond they would have one id, and the log takes one
    await desk.said("alice", "/raid bob", nonce="1")
    assert desk.shown() == desk.shown(ROOMS[1]) == ["raid"]


async def test_an_approved_message_is_there_before_it_is_approved():
    desk = Desk()
    await desk.acts("alice", "block", text="badword")
    await desk.acts("alice", "hold", value=True)
    held = await desk.said("bob", "a badword")
    desk.log.hold = asyncio.Event()
    approving = desk.rules.accept(desk.place, ALICE, f"/approve {held.message_id}")
    await asyncio.sleep(0.01)
    assert desk.log.appends[-1][0].startswith("chat.")
    desk.log.away = True
    desk.log.hold.set()
    with pytest.raises(UnavailableError):
        await approving.durable
    desk.log.away = False
    assert list(desk.states.of(desk.place.room_id).held) == [held.message_id]
    for number in range(2):
        await desk.said("alice", f"/approve {held.message_id}", nonce="1")
        assert desk.shown()[-1] == "a badword", number
    assert desk.shown().count("a badword") == 1
