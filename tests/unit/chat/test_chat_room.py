"""Rings and rooms: order, coalescing, slices, slow readers."""

import contextlib
import socket

import pytest
from chat_fakes import FakeReader, FakeTimer
from hypothesis import given
from hypothesis import strategies as st

from appliance.contracts.errors import BadInputError
from appliance.runtime.fanout import EachFanOut
from appliance.runtime.uring import open_fan_out
from edge.chat import room as room_module
from edge.chat.dialect import PACKED, PLAIN
from edge.chat.metrics import Tally
from edge.chat.positions import Mark, Position
from edge.chat.ring import Entry, Ring
from edge.chat.room import Room


def entry(seq, item=0, size=0):
    return Entry(Position(seq, item), b'{"n":%d,"x":"%b"}' % (seq, b"x" * size))


class Setting:
    def __init__(self, capacity=256 * 1024, window_s=0.02, fan_out=None):
        self.timer = FakeTimer()
        self.tally = Tally()
        self.room = Room(
            "r", Ring(Position(0, 0), capacity), self.timer, self.tally, fan_out or EachFanOut(), window_s
        )

    def say(self, *numbers, size=0):
        for number in numbers:
            self.room.publish(entry(number, size=size))

    def reader(self, space=1 << 30, deflated=False):
        made = FakeReader(space)
        made.dialect = PACKED if deflated else PLAIN
        made.join(self.room, self.room.level(made))
        return made


def numbers(reader):
    return [one["n"] for one in reader.messages]


def test_positions():
    assert str(Position(123, 0)) == "123-0"
    assert Mark.parse("123-45") == (Position(123, 45), 0, "")
    assert Mark.parse("123-45-17-edge-1") == (Position(123, 45), 17, "edge-1")
    assert str(Mark.parse("123-45-17-edge-1")) == "123-45-17-edge-1"
    assert Position(2, 0) > Position(1, 99)
    assert Position(4, 7) < Position.before_entry(5) < Position(5, 0)
    assert (Position(4, 7).next, Position.before_entry(5).next) == (Position(4, 8), Position(5, 0))
    for wrong in ("", "1", "-1-0", "1-x", "01-0", "1-0 ", "\u0661-0", "9" * 40 + "-0", "1-0-", "1-0-5", "1-0-5-",
                  "1-0-x-e", "1-0-5-a b", "1-0-5-" + "e" * 65):  # fmt: skip
        with pytest.raises(BadInputError):
            Mark.parse(wrong)


def test_the_ring_is_bounded():
    ring = Ring(Position(0, 0), 1000)
    for number in range(1, 101):
        ring.append(entry(number))
    assert ring.bytes <= 1000
    assert ring.end == 100
    assert ring.floor == Position(ring.first, 0)
    assert ring.number_after(ring.floor) == ring.first
    assert ring.number_after(Position(99, 0)) == 99
    assert ring.number_after(Position(200, 0)) == ring.end
    assert [one.position.seq for one in ring.entries(0, 200)] == list(range(ring.first + 1, 101))
    ring.append(entry(101, size=5000))
    assert len(ring.entries(0, 200)) == 1


def test_the_first_leaves_at_once_then_one_frame_a_window():
    setting = Setting()
    reader = setting.reader()
    setting.say(1)
    setting.timer.run()
    assert numbers(reader) == [1]
    setting.say(2, 3)
    setting.timer.run(0.01)
    setting.say(4)
    assert numbers(reader) == [1]
    setting.timer.run(0.011)
    assert [len(one["messages"]) for one in reader.documents] == [1, 3]
    assert reader.documents[-1]["position"] == "4-0"
    setting.timer.run(1)
    setting.say(5)
    setting.timer.run()
    assert numbers(reader) == [1, 2, 3, 4, 5]


def test_the_window_grows_with_the_cost():
    setting = Setting()
    reader = FakeReader()

    def slow_write(data):
        setting.timer.now += 0.1
        reader.write(data)

    reader.spill = slow_write
    reader.join(setting.room, setting.room.level(reader))
    setting.say(1)
    setting.timer.run()
    began = setting.timer.now - 0.1
    setting.say(2)
    assert setting.timer._queue[0][0] == pytest.approx(began + 0.11)


def test_slices_joins_and_leaves_between(monkeypatch):
    monkeypatch.setattr(room_module, "SLICE", 2)
    setting = Setting()
    readers = [setting.reader() for _ in range(7)]
    setting.say(1)
    setting.timer.turn()
    assert [len(one.messages) for one in readers] == [1, 1, 0, 0, 0, 0, 0]
    setting.room.leave(readers[0])
    setting.room.leave(readers[3])
    readers[5].paused = True
    setting.room.lag(readers[5])
    late = setting.reader()
    setting.say(2)
    setting.timer.run(1)
    assert [numbers(one) for one in readers] == [[1], [1, 2], [1, 2], [], [1, 2], [], [1, 2]]
    assert numbers(late) == [2]
    readers[5].drain()
    assert numbers(readers[5]) == [1, 2]
    setting.say(3)
    setting.timer.run(1)
    assert all(numbers(one)[-1] == 3 for one in (*readers[1:3], *readers[4:], late))


def test_a_slow_reader_costs_a_cursor_and_gets_what_it_missed():
    setting = Setting()
    slow, quick = setting.reader(space=10), setting.reader()
    setting.say(1)
    setting.timer.run(1)
    assert slow.paused
    held = len(slow.data)
    for number in range(2, 20):
        setting.say(number)
        setting.timer.run(1)
    assert len(slow.data) == held
    slow.drain()
    assert numbers(slow) == numbers(quick) == list(range(1, 20))
    assert setting.tally.events["slow_client"] == 1
    assert not [one for one in slow.documents if one["type"] == "gap"]


def test_a_reader_far_behind_gets_the_newest_and_a_gap():
    setting = Setting()
    slow = setting.reader(space=10)
    setting.say(1)
    setting.timer.run(1)
    for number in range(2, 102):
        setting.say(number, size=1000)
    setting.timer.run(1)
    slow.drain()
    gap = next(one for one in slow.documents if one["type"] == "gap")
    assert gap["after"] == "1-0"
    first = int(gap["before"].partition("-")[0])
    assert numbers(slow) == [1, *range(first, 102)]
    assert 40 <= 102 - first <= 48


def test_an_exact_reader_gets_everything_in_pieces():
    setting = Setting()
    keeper = setting.reader()
    setting.say(*range(1, 150), size=1000)
    setting.timer.run(1)
    reader = FakeReader(space=10)
    reader.join(setting.room, setting.room.ring.number_after(Position(5, 0)))
    pieces = 1
    while reader.paused:
        assert len(reader.data) <= 51 * 1024
        reader.drain(10)
        pieces += 1
        setting.timer.run(1)
        if pieces == 2:
            break
    reader.drain()
    assert numbers(reader)[-1] == 149
    assert setting.room.readers == 2
    assert keeper.level


def test_a_reader_ahead_of_the_fan_out_gets_nothing_twice():
    setting = Setting()
    first = setting.reader()
    setting.say(1)
    setting.timer.run()
    setting.say(2)  # waits for its window
    ahead = FakeReader()
    ahead.join(setting.room, setting.room.ring.number_after(Position(2, 0)))
    setting.say(3)
    setting.timer.run(1)
    assert numbers(first) == [1, 2, 3]
    assert numbers(ahead) == [3]
    setting.say(4)
    setting.timer.run(1)
    assert numbers(ahead) == [3, 4]


def test_more_than_the_ring_within_a_window_is_a_gap():
    setting = Setting(capacity=1000)
    reader = setting.reader()
    setting.say(1)
    setting.timer.run()
    setting.say(*range(2, 200))
    setting.timer.run(1)
    gap = reader.documents[1]
    assert gap["type"] == "gap"
    assert gap["after"] == "1-0"
    assert numbers(reader)[1] == int(gap["before"].partition("-")[0])
    assert numbers(reader)[-1] == 199


def test_one_compressed_frame_for_all_who_take_it():
    setting = Setting()
    plain, one, other = setting.reader(), setting.reader(deflated=True), setting.reader(deflated=True)
    sent = []
    for reader in (one, other):
        reader.spill = lambda data, write=reader.write: (sent.append(data), write(data))
        setting.room.leave(reader)
        reader.join(setting.room, setting.room.level(reader))
    setting.say(1)
    setting.timer.run()
    assert sent[0] is sent[1]
    assert sent[0][0] == 0x81  # a short one is not worth it
    setting.say(*range(2, 10), size=90)
    setting.timer.run(1)
    assert sent[2] is sent[3]
    assert sent[2][0] == 0xC1
    assert numbers(plain) == numbers(one) == numbers(other) == list(range(1, 10))
    assert (plain.packed, one.packed, other.packed) == (0, 1, 1)
    assert len(one.data) < len(plain.data) / 2


def test_slices_over_both_audiences(monkeypatch):
    monkeypatch.setattr(room_module, "SLICE", 3)
    setting = Setting()
    readers = [setting.reader(deflated=number % 2 == 1) for number in range(8)]
    setting.say(1)
    setting.timer.turn()
    assert sum(bool(one.data) for one in readers) == 3
    setting.timer.turn()
    assert sum(bool(one.data) for one in readers) == 6
    setting.timer.run(1)
    assert [numbers(one) for one in readers] == [[1]] * 8


@pytest.mark.parametrize("opens", [EachFanOut, open_fan_out])
def test_a_frame_goes_straight_to_the_sockets_and_the_rest_to_the_transports(opens):
    here, there = socket.socketpair()
    with here, there, contextlib.closing(opens()) as fan_out:
        here.setblocking(False)
        here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        there.setblocking(False)
        setting = Setting(fan_out=fan_out)
        reader = FakeReader()
        reader.fd = here.fileno()
        reader.join(setting.room, setting.room.level(reader))
        setting.say(1)
        setting.timer.run()
        taken = there.recv(1 << 20)
        assert b'"n":1,' in taken
        assert reader.data == b""
        while not reader.data:
            setting.say(2, size=3000)
            setting.timer.run(1)
        for_socket = b"".join(iter(lambda: _received(there), b""))
        whole = taken + for_socket + reader.data
        assert whole.count(b'"n":2,') == (len(whole) - len(taken)) // 3000
        gone = setting.reader()
        gone.fd = 1 << 20  # no longer open: the transport is told
        setting.room.leave(gone)
        gone.join(setting.room, setting.room.level(gone))
        setting.say(3)
        setting.timer.run(1)
        assert numbers(gone) == [3]


def _received(there):
    try:
        return there.recv(1 << 20)
    except BlockingIOError:
        return b""


def test_events_stand_between_messages():
    setting = Setting()
    reader = setting.reader()
    setting.say(1)
    setting.room.event(b'{"type":"event"}')
    setting.say(2)
    setting.timer.run()
    assert [one["type"] for one in reader.documents] == ["messages", "event", "messages"]


def test_a_waiter_is_woken_once():
    setting = Setting()
    woken = []
    setting.room.wait("a", lambda: woken.append("a"))
    setting.room.wait("b", lambda: woken.append("b"))
    setting.room.stop_waiting("b")
    setting.say(1)
    setting.timer.run()
    setting.say(2)
    setting.timer.run(1)
    assert woken == ["a"]
    assert not setting.room.in_use


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(1, 5)),
        st.tuples(st.just("run"), st.sampled_from([0.0, 0.01, 0.03])),
        st.tuples(st.just("turn"), st.just(0)),
        st.tuples(st.just("join"), st.integers(0, 20)),
        st.tuples(st.just("stall"), st.integers(0, 9)),
        st.tuples(st.just("drain"), st.integers(0, 9)),
        st.tuples(st.just("leave"), st.integers(0, 9)),
        st.tuples(st.just("apart"), st.integers(0, 9)),
    ),
    max_size=60,
)


class Story:
    """Plays steps on a room."""

    def __init__(self):
        self.setting = Setting()
        self.readers = []
        self.gone = []  # with the newest message when they left
        self.said = 0

    def say(self, count):
        self.setting.say(*range(self.said + 1, self.said + count + 1))
        self.said += count

    def run(self, seconds):
        self.setting.timer.run(seconds)

    def turn(self, _):
        timer = self.setting.timer
        if timer._queue:
            timer.now = max(timer.now, timer._queue[0][0])
            timer.turn()

    def join(self, since):
        made = FakeReader()
        made.slowness = since % 2 * 0.004
        made.clock = self.setting.timer
        made.dialect = PLAIN if since % 3 else PACKED
        made.since = min(since, self.said)
        made.join(self.setting.room, self.setting.room.ring.number_after(Position(made.since, 0)))
        self.readers.append(made)

    def stall(self, number):
        if self.readers:
            self.readers[number % len(self.readers)].space = 0

    def drain(self, number):
        if self.readers and self.readers[number % len(self.readers)].paused:
            self.readers[number % len(self.readers)].drain()

    def leave(self, number):
        if self.readers:
            leaver = self.readers.pop(number % len(self.readers))
            self.setting.room.leave(leaver)
            self.gone.append((leaver, self.said))

    def apart(self, number):
        if self.readers:
            reader = self.readers[number % len(self.readers)]
            if reader.apart:
                reader.apart = False
                self.setting.room.go_on(reader)
            else:
                self.setting.room.set_apart(reader)

    def finish(self):
        for _ in range(2):
            self.run(10)
            for number in range(len(self.readers)):
                self.drain(number)


@given(STEPS, st.integers(1, 4))
def test_every_reader_sees_all_in_order(steps, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room_module, "SLICE", most)
        story = Story()
        for step, value in steps:
            getattr(story, step)(value)
        story.finish()
    room = story.setting.room
    for reader in story.readers:
        assert numbers(reader) == list(range(reader.since + 1, story.said + 1))
        assert reader.level or reader.apart
        assert room.had(reader) == room.ring.last
    for reader, said in story.gone:
        heard = numbers(reader)
        assert heard == list(range(reader.since + 1, reader.since + 1 + len(heard)))
        assert not heard or heard[-1] <= said
    assert room.readers == len(story.readers)


def test_a_large_room_takes_turns_and_each_gets_what_is_newest(monkeypatch):
    monkeypatch.setattr(room_module, "SLICE", 2)
    setting = Setting()
    readers = [setting.reader() for _ in range(6)]
    for reader in readers:
        reader.slowness, reader.clock = 0.01, setting.timer
    setting.say(1)
    setting.timer.turn()
    setting.say(2)
    setting.timer.turn()
    setting.timer.turn()
    assert [numbers(one) for one in readers] == [[1], [1], [1, 2], [1, 2], [1, 2], [1, 2]]
    assert readers[2].documents[0]["position"] == "2-0"
    setting.say(3)
    at = setting.timer._queue[0][0]
    assert at == pytest.approx(100.0 + 1.2 * 0.06)  # of what all cost, from when these were served
    setting.timer.now = at
    setting.timer.turn()
    assert [numbers(one)[-1] for one in readers] == [3, 3, 2, 2, 2, 2]
    setting.timer.run(1)
    assert all(numbers(one) == [1, 2, 3] for one in readers)


@pytest.mark.parametrize(("per_s", "share"), [(8, 0.8), (20, 0.8), (100, 1 / 1.9)])
def test_the_more_there_is_to_say_together_the_less_of_a_core_a_room_takes(per_s, share):
    setting = Setting()
    reader = setting.reader()
    reader.slowness, reader.clock = 0.1, setting.timer
    for number in range(10 * per_s):
        setting.timer.run(max(0.0, 100.0 + number / per_s - setting.timer.now))
        setting.say(number)
    setting.timer.run()
    assert len(reader.documents) * reader.slowness / 10 == pytest.approx(share, rel=0.05)
    assert len(reader.documents) == 10 * per_s or per_s > 1 / reader.slowness, "nothing waits in a calm room"


def test_small_audiences_are_served_in_one_turn():
    setting = Setting()
    readers = [setting.reader(deflated=number % 2 == 1) for number in range(6)]
    setting.say(1)
    setting.timer.turn()
    assert all(numbers(one) == [1] for one in readers)


def test_what_is_hidden_is_not_told_from_what_was_made_before(monkeypatch):
    monkeypatch.setattr(room_module, "SLICE", 1)
    setting = Setting()
    first, second = setting.reader(), setting.reader()
    setting.say(1, 2)
    setting.timer.turn()
    setting.room.hide(lambda data: b"" if b'"n":1,' in data else data)
    setting.timer.run(1)
    assert numbers(first) == [1, 2]
    assert numbers(second) == [2]


def test_places_of_those_who_left_are_taken_again(monkeypatch):
    monkeypatch.setattr(room_module, "SLICE", 3)
    setting = Setting()
    readers = [setting.reader() for _ in range(9)]
    for number in range(60):
        setting.room.leave(readers.pop(number % 9))
        if number % 4 == 0:
            setting.say(1 + number // 4)
        setting.timer.run(0.005)
        readers.append(setting.reader())
    assert len(setting.room._audiences) <= 4
    setting.timer.run(1)
    assert all(numbers(one)[-1:] in ([15], []) for one in readers)
