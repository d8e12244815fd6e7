"""A message that is sent again with its nonce."""

import asyncio

import pytest
from chat_fakes import Desk

from appliance.contracts import nonces
from appliance.contracts.errors import UnavailableError
from appliance.runtime.bus import LogMessage
from edge.chat.ranks import Author


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
