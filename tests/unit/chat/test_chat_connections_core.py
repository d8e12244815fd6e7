"""The wheel, the crowd, and a connection on a transport in memory."""

import asyncio
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.chat.config import ChatConfig
from edge.chat.connection import NEVER, Connection
from edge.chat.crowd import Crowd, Entry
from edge.chat.dialect import PACKED, PLAIN
from edge.chat.metrics import Tally
from edge.chat.wheel import TURNS, Wheel
from edge.protocols.websocket.deflate import Deflate
from edge.protocols.websocket.frames import close_frame


class Thing:
    def __init__(self):
        self.due = 0


def test_the_wheel_gives_out_what_is_due():
    wheel = Wheel(1000.3)
    soon, later, gone, far = (Thing() for _ in range(4))
    wheel.remind(soon, 1001.2)
    wheel.remind(later, 1010.0)
    wheel.remind(gone, 1002.0)
    wheel.remind(far, 5000.0)
    wheel.forget(gone)
    wheel.forget(gone)
    assert wheel.turn(1001.9) == []
    assert wheel.turn(1002.0) == [soon]
    wheel.remind(later, 1020.0)  # it will be asked when its time is
    wheel.remind(soon, NEVER)
    wheel.remind(soon, 1000.0)  # the past is the next turn
    assert wheel.turn(1003.0) == [soon]
    assert wheel.turn(1010.5) == [later]
    assert wheel.turn(1000.4 + TURNS) == [far]
    assert wheel.turn(9000.0) == []
    assert [len(one) for one in wheel._slots] == [0] * TURNS
    assert 0 < wheel.rest(9000.0) <= 1.1


@given(st.lists(st.tuples(st.floats(0, 200), st.sampled_from(["remind", "turn", "forget"])), max_size=40))
def test_a_thing_is_in_the_wheel_once(steps):
    wheel, things, now = Wheel(500.0), [Thing() for _ in range(3)], 500.0
    for number, (amount, step) in enumerate(steps):
        thing = things[number % 3]
        if step == "remind":
            wheel.remind(thing, now + amount)
            assert thing.due <= max(now + amount + 2, now + 2)
        elif step == "forget":
            wheel.forget(thing)
        else:
            now += amount
            found = wheel.turn(now)
            assert len(found) == len(set(found))
            assert all(one.due > now for one in things if one.due)
        held = [one for slot in wheel._slots for one in slot]
        assert sorted(map(id, held)) == sorted(id(one) for one in things if one.due)


def test_those_beyond_a_limit_take_no_place_from_others():
    crowd = Crowd(ChatConfig(edge_id="e", connections=2000, connections_per_address=10))
    entries = [crowd.enter("1.1.1.1") for _ in range(5000)]
    assert entries[:10] == [Entry.TAKEN] * 10
    assert entries[10:].count(Entry.TOLD) == 512
    assert entries[-1] is Entry.CLOSED
    assert len(crowd) == 522
    assert crowd.enter("2.2.2.2") is Entry.TAKEN
    crowd.leave("1.1.1.1", Entry.TOLD)
    assert crowd.enter("1.1.1.1") is Entry.TOLD
    crowd.leave("1.1.1.1", Entry.TAKEN)
    assert crowd.enter("1.1.1.1") is Entry.TAKEN
    for entry in (Entry.TAKEN, Entry.TOLD):
        for _ in range(10 if entry is Entry.TAKEN else 512):
            crowd.leave("1.1.1.1", entry)
    crowd.leave("2.2.2.2", Entry.TAKEN)
    assert len(crowd) == 0
    assert not crowd._addresses


def test_addresses_of_one_customer_are_one():
    crowd = Crowd(ChatConfig(edge_id="e", connections_per_address=1))
    assert crowd.enter("2001:db8::1") is Entry.TAKEN
    assert crowd.enter("2001:db8:0:0:ffff::2") is Entry.TOLD
    assert crowd.enter("2001:db8:0:1::1") is Entry.TAKEN
    assert crowd.enter("10.0.0.1") is Entry.TAKEN
    assert crowd.enter("::ffff:10.0.0.1") is Entry.TOLD
    assert crowd.enter("not:an:address") is Entry.TAKEN
    assert crowd.enter("fe80::1%eth0") is Entry.TAKEN


class Transport:
    """Takes everything, until it is `full`."""

    def __init__(self):
        self.data = b""
        self.held = 0
        self.ended = ""
        self.protocol = None
        self.full = False

    def write(self, data):
        if self.full:
            self.held += len(data)
            if not self.protocol.paused:
                self.protocol.pause_writing()
        else:
            self.data += data

    def write_eof(self):
        self.ended = "eof"

    def close(self):
        self.ended = "closed"

    def abort(self):
        self.ended = "aborted"

    def get_extra_info(self, name):
        return self

    def fileno(self):
        return -1

    def get_write_buffer_size(self):
        return self.held


class Host:
    def __init__(self, **changes):
        self.config = ChatConfig(edge_id="e", **changes)
        self.tally = Tally()
        self.time = 1000.0
        self.wheel = Wheel(self.time)

    def now(self):
        return self.time

    def remind(self, connection, at):
        self.wheel.remind(connection, at)

    def lost(self, connection):
        self.wheel.forget(connection)

    def pass_time(self, seconds):
        """Second by second, as the gateway does."""
        for _ in range(seconds):
            self.time += 1
            for connection in self.wheel.turn(self.time):
                at = connection.check(self.time)
                if at != NEVER:
                    self.wheel.remind(connection, at)


class Hearing(Connection):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.heard = []

    def take_text(self, text):
        self.heard.append(text)


def opened(deflate=None, **changes):
    host, transport = Host(**changes), Transport()
    connection = transport.protocol = Hearing(host, transport, "1.1.1.1", Entry.TAKEN, deflate)
    return host, transport, connection


def frame(opcode, payload=b""):
    return bytes((0x80 | opcode, 0x80 | len(payload))) + bytes(4) + payload


def test_pings_and_pongs(monkeypatch):
    monkeypatch.setattr("random.random", lambda: 1.0)  # the first one comes last
    ping = b"\x89\x00"
    host, transport, connection = opened()
    host.pass_time(29)
    assert transport.data == b""
    host.pass_time(2)
    assert transport.data == ping
    connection.data_received(frame(10))
    host.pass_time(28)
    assert transport.data == ping
    host.pass_time(2)
    assert transport.data == ping * 2
    host.pass_time(8)
    assert transport.data == ping * 2
    host.pass_time(4)
    assert transport.data == ping * 2 + close_frame(1001, "no pong")
    assert host.tally.events["pong_timeout"] == 1
    host.pass_time(6)
    assert transport.ended == "aborted"


def test_a_client_that_takes_nothing_is_cut():
    host, transport, connection = opened()
    transport.full = True
    connection.write(b"frame")
    host.pass_time(14)
    assert host.tally.closed[4008] == 0
    host.pass_time(2)
    assert host.tally.closed[4008] == 1
    host.pass_time(7)
    assert transport.ended == "aborted"


def test_a_client_that_comes_back_in_time_is_not():
    host, transport, connection = opened()
    for _ in range(5):
        transport.full = True
        connection.write(b"frame")
        host.pass_time(10)
        transport.full, transport.held = False, 0
        connection.resume_writing()
    connection.data_received(frame(10))
    assert host.tally.closed[4008] == 0
    assert not connection.ending


def test_answers_that_nobody_reads_are_bounded():
    host, transport, connection = opened()
    transport.full = True
    for _ in range(100):
        connection.write(bytes(10_000))
    assert transport.held < 540_000
    assert host.tally.events["slow_cut"] == 1


def test_answers_come_in_order():
    _, transport, connection = opened()
    connection.take_text = lambda text: connection.write(text.encode())
    connection.data_received(frame(1, b"<one>") + frame(9, b"p") + frame(1, b"<two>") + frame(8) + frame(1, b"no"))
    assert transport.data == b"<one>\x8a\x01p<two>" + close_frame(1000)
    assert transport.ended == "closed"


@pytest.mark.parametrize(
    ("data", "code"), [(frame(2, b"x"), 1003), (frame(1, b"\xff"), 1007), (b"\x81\x01x", 1002), (b"\x81\xff", 0)]
)
def test_closing_codes(data, code):
    host, transport, connection = opened()
    connection.data_received(data + (bytes(2) + b"\x01" + bytes(9) if code == 0 else b""))
    assert struct.unpack("!H", transport.data[2:4])[0] == (code or 1009)
    connection.data_received(frame(1, b"late"))
    assert connection.heard == []
    host.pass_time(8)
    assert transport.ended == "aborted"
    connection.connection_lost(None)
    assert not any(host.wheel._slots)


def test_who_shares_compressed_frames():
    assert opened()[2].dialect is PLAIN
    assert opened(Deflate(15, ""))[2].dialect is PACKED
    assert opened(Deflate(9, ""))[2].dialect is PLAIN


def test_a_flood_is_bounded():
    host, transport, connection = opened(frames_per_s=10)
    connection.data_received(frame(1, b"x") * 200)
    assert connection.heard == []
    assert b"too fast" in transport.data
    assert isinstance(connection, asyncio.Protocol)
    assert host.tally.closed[1008] == 1
