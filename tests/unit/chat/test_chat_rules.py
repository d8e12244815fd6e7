"""Rules, limits, index, routes, answers, the outbox writer, resuming."""

import asyncio
import contextlib

import msgspec
import pytest
from chat_fakes import Desk, FakeLog, FakeTimer, read
from hypothesis import given
from hypothesis import strategies as st

from appliance.contracts.chat import ChatMessage
from appliance.contracts.directory import ChannelRecord, StreamRecord, TokenRecord, secret_hash
from appliance.contracts.errors import (
    BadInputError,
    NearcastError,
    NotFoundError,
    RateLimitedError,
    UnauthenticatedError,
    UnavailableError,
)
from appliance.contracts.media import Broadcast, BroadcastState
from appliance.contracts.moderation import ANNOUNCED_MS
from appliance.contracts.subjects import broadcast_key, channel_key, chat, stream_key, token_key
from appliance.runtime.clock import now_ms
from appliance.runtime.fanout import EachFanOut
from edge.chat.answers import preflight, problem
from edge.chat.config import ChatConfig
from edge.chat.index import Index, Place
from edge.chat.journal import Journal
from edge.chat.limits import Budget, SharedLimit, UserLimit
from edge.chat.log import ChatLog
from edge.chat.metrics import Tally
from edge.chat.positions import Mark, Position
from edge.chat.ranks import Author
from edge.chat.resume import resume
from edge.chat.rooms import Feed, Rooms
from edge.chat.routes import Action, Route, bearer, find_route, parse_query
from edge.chat.states import RoomStates


def config(**changes):
    return ChatConfig(edge_id="edge1", **changes)


def message(text="x", number=0):
    return ChatMessage(
        message_id=f"id{number}", stream_id="s1", timestamp=1, user_id="u", username="n", message=text
    )


# -- limits


def test_gcra_allows_a_minutes_worth_then_one_each_interval():
    limit = UserLimit(20)
    assert [limit.take("u", 1_000_000) for _ in range(20)] == [0.0] * 20
    assert limit.take("u", 1_000_000) == pytest.approx(3.0)
    assert limit.take("other", 1_000_000) == 0.0
    assert limit.take("u", 1_003_000) == 0.0
    assert limit.take("u", 1_003_000) == pytest.approx(3.0)
    assert limit.take("u", 1_100_000) == 0.0


class FakeCounter:
    def __init__(self):
        self.arrivals = {}
        self.away = False
        self.closed = False

    async def take(self, user_id, now_ms, interval_ms):
        if self.away:
            raise OSError
        self.arrivals[user_id] = max(self.arrivals.get(user_id, 0), now_ms) + interval_ms
        return self.arrivals[user_id]

    async def close(self):
        self.closed = True


async def test_two_processes_share_a_count():
    counter, tally = FakeCounter(), Tally()
    limits = [SharedLimit(UserLimit(20), counter, tally) for _ in range(2)]
    tasks = [asyncio.ensure_future(one.run()) for one in limits]
    taken = 0
    for number in range(60):
        taken += limits[number % 2].take("u", 1_000_000) == 0.0
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert 20 <= taken <= 22
    counter.away = True
    assert limits[0].take("v", 1_000_000) == 0.0
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert tally.events["counter_away"] == 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await limits[0].close()
    assert counter.closed


def test_a_budget_refills():
    budget = Budget(10, 20, 0.0)
    assert budget.spend(20, 0.0)
    assert not budget.spend(1, 0.0)
    assert budget.spend(9, 1.0)


# -- index


def put(change, key, record):
    change(key, None if record is None else msgspec.json.encode(record))


def broadcast(number=1, state=BroadcastState.LIVE, channel_id="c1"):
    return Broadcast(
        broadcast_id=f"b{number}", channel_id=channel_id, channel="alice", user_id="u-alice", edge_id="edge1",
        state=state, started_at_ms=number,
    )  # fmt: skip


def make_index():
    states, tally = [], Tally()
    index = Index(tally, lambda *changed: states.append(changed))
    put(
        index.directory_changed,
        channel_key("c1"),
        ChannelRecord(channel_id="c1", channel="alice", user_id="u-alice", stream_id="announced"),
    )
    return index, states, tally


def test_rooms_by_name_and_by_stream():
    index, states, _ = make_index()
    assert index.by_name("alice") == Place("c1", "alice", "u-alice", "announced")
    assert index.by_name("nobody") is None
    assert index.by_stream("b1") is None
    put(index.live_changed, broadcast_key("b1"), broadcast())
    assert index.by_name("alice").stream_id == "b1"
    assert index.by_stream("b1") == Place("c1", "alice", "u-alice", "b1")
    put(index.live_changed, broadcast_key("b1"), broadcast())
    put(index.live_changed, broadcast_key("b1"), broadcast(state=BroadcastState.ENDED))
    assert states == [("c1", "b1", "live"), ("c1", "b1", "ended")]
    assert index.by_name("alice").stream_id == "announced"
    assert index.by_stream("b1").room_id == "c1"
    put(index.live_changed, broadcast_key("b1"), None)
    assert index.by_stream("b1") is None
    put(index.directory_changed, stream_key("b1"), StreamRecord(stream_id="b1", channel_id="c1", channel="alice"))
    assert index.by_stream("b1") == Place("c1", "alice", "u-alice", "b1")


def test_a_channel_is_renamed_and_removed():
    index, _, tally = make_index()
    put(
        index.directory_changed,
        channel_key("c1"),
        ChannelRecord(channel_id="c1", channel="alicia", user_id="u-alice"),
    )
    assert index.by_name("alice") is None
    assert index.by_name("alicia").room_id == "c1"
    index.directory_changed(channel_key("c1"), None)
    assert index.by_name("alicia") is None
    index.directory_changed(channel_key("c2"), b"{")
    index.live_changed("rendition.b1.source", b"{")
    assert tally.events["bad_record"] == 1


def test_a_broadcast_of_a_channel_the_directory_lacks():
    index, _, _ = make_index()
    put(index.live_changed, broadcast_key("b2"), broadcast(2, channel_id="c9"))
    assert index.by_stream("b2") == Place("c9", "alice", "u-alice", "b2")


def test_how_a_broadcast_of_another_edge_fares_is_told_once_and_not_too_late():
    index, states, _ = make_index()
    put(index.live_changed, broadcast_key("b1"), broadcast())

    def changed(stream_id, state, ago_ms=0):
        record = StreamRecord(
            stream_id=stream_id, channel_id="c1", channel="alice", state=state, state_ms=now_ms() - ago_ms
        )
        put(index.directory_changed, stream_key(stream_id), record)

    changed("b1", "live")  # our own, which the live bucket has told
    for state in ("created", "live", "live", "interrupted", "ended"):
        changed("b2", state)
    changed("b3", "live", ago_ms=ANNOUNCED_MS + 1000)
    told = [("c1", "b1", "live"), ("c1", "b2", "live"), ("c1", "b2", "interrupted"), ("c1", "b2", "ended")]
    assert states == told


def test_tokens():
    index, _, _ = make_index()
    key = token_key(secret_hash("secret"))
    with pytest.raises(UnauthenticatedError):
        index.user_of("secret", 5)
    record = TokenRecord(token_id="t", user_id="u", username="n", expires_at_ms=10)
    put(index.directory_changed, key, record)
    assert index.user_of("secret", 9).user_id == "u"
    with pytest.raises(UnauthenticatedError):
        index.user_of("secret", 10)
    put(index.directory_changed, key, msgspec.structs.replace(record, revoked=True))
    with pytest.raises(UnauthenticatedError):
        index.user_of("secret", 9)


# -- routes and answers


def test_routes():
    assert find_route("/streams/S/chat") == Route(Action.MESSAGES, True, "S")
    assert find_route("/streams/S/chat/subscribe") == Route(Action.SUBSCRIBE, True, "S")
    assert find_route("/chat/alice/chat/poll") == Route(Action.POLL, False, "alice")
    assert find_route("/chat/alice/subscribe") == Route(Action.SUBSCRIBE, False, "alice")
    for path in ("/", "/chat", "/chat/alice", "/streams/S", "/streams/S/subscribe", "/streams//chat", "/x/y/chat"):
        with pytest.raises(NotFoundError):
            find_route(path)


def test_queries():
    assert parse_query("").limit == 50
    query = parse_query("since=5-1&token=a%20b&limit=1000&other=1&after=&before=7-0")
    assert (query.since, query.token, query.limit) == (Mark(Position(5, 1)), "a b", 100)
    assert (query.before, query.after) == (Mark(Position(7, 0)), None)
    for wrong in ("since=x", "limit=0", "limit=-1", "limit=x", "token=%ff", "&".join("a=1" for _ in range(30))):
        with pytest.raises(BadInputError):
            parse_query(wrong)
    assert bearer("bearer  abc") == "abc"
    assert bearer("Basic abc") == ""


@given(st.text("abc=&%-0129;+é", max_size=60))
def test_any_query_is_read_or_refused(text):
    with contextlib.suppress(NearcastError):
        parse_query(text)
    with contextlib.suppress(NearcastError):
        find_route("/" + text)


def test_problems():
    wire = problem(RateLimitedError("slow down", retry_after_s=2.1))
    assert wire.startswith(b"HTTP/1.1 429 ")
    assert b"Retry-After: 3\r\n" in wire
    body = msgspec.json.decode(wire.partition(b"\r\n\r\n")[2])
    assert (body["status"], body["code"], body["detail"]) == (429, "rate_limited", "slow down")
    assert preflight().startswith(b"HTTP/1.1 204 No Content\r\n")
    assert b"Content-Length" not in preflight()


# -- rules


async def test_what_is_accepted_and_what_is_not():
    desk = Desk(user_per_minute=5)
    accepted = await desk.said("bob", "😀" * 500, badges=("subscriber", "broadcaster", "staff"))
    subject, stored, message_id, _ = desk.log.appends[0]
    assert subject == chat(desk.place.room_id, "edge1")
    assert message_id == accepted.message_id == stored[0]["message_id"]
    assert stored[0]["badges"] == ["staff"]
    assert "reply_to" not in stored[0]
    await desk.said("alice", "hi", accepted.message_id)
    assert desk.log.appends[1][1][0]["badges"] == ["broadcaster"]
    assert desk.log.appends[1][1][0]["reply_to"] == accepted.message_id
    bob = Author("u-bob", "bob")
    for text, reply_to, code in [("x" * 501, "", "too_long"), (" \n", "", "empty"), ("x", "?", "invalid_frame")]:
        with pytest.raises(BadInputError) as refused:
            desk.rules.accept(desk.place, bob, text, reply_to)
        assert refused.value.code == code
    for _ in range(4):
        desk.rules.accept(desk.place, bob, "x")
    with pytest.raises(RateLimitedError) as limited:
        desk.rules.accept(desk.place, bob, "x")
    assert limited.value.retry_after_s > 0
    assert desk.tally.refused == {"too_long": 1, "empty": 1, "invalid_frame": 1, "rate_limited": 1}
    await desk.writer.close(1)


# -- the outbox writer


async def test_messages_that_come_together_share_an_entry():
    log = FakeLog()
    writer = ChatLog(log, config(batch_s=0.01), Tally(), None, read)
    first = writer.submit("room", message(number=0))
    await first
    rest = [writer.submit("room", message(number=number)) for number in range(1, 205)]
    other = writer.submit("other", message(number=999))
    await asyncio.gather(*rest, other)
    sizes = [len(entry[1]) for entry in log.appends if entry[0] == chat("room", "edge1")]
    assert sizes == [1, 100, 100, 4]
    ids = [one["message_id"] for entry in log.appends for one in entry[1] if one["message_id"] != "id999"]
    assert ids == [f"id{number}" for number in range(205)]
    assert writer.pending == 0
    await writer.close(1)


async def test_no_more_than_so_many_wait_and_stopping_refuses_them():
    log = FakeLog()
    log.hold = asyncio.Event()
    writer = ChatLog(log, config(pending=3), Tally(), None, read)
    waiting = [writer.submit("room", message(number=number)) for number in range(3)]
    with pytest.raises(UnavailableError) as refused:
        writer.submit("other", message())
    assert refused.value.retry_after_s > 0
    await asyncio.sleep(0)
    await writer.close(0.0)
    for one in waiting:
        with pytest.raises(UnavailableError):
            await one
    assert writer.pending == 0


async def test_away_is_said_to_the_sender():
    log = FakeLog()
    log.away = True
    writer = ChatLog(log, config(), Tally(), None, read)
    done = writer.submit("room", message())
    writer.submit("room", message(number=1))  # nobody asks for its end
    with pytest.raises(UnavailableError):
        await done
    await writer.close(1)


# -- reading and resuming


class Gateway:
    def __init__(self, log, **changes):
        self.tally = Tally()
        self.config = config(**changes)
        self.timer = FakeTimer()
        self.states = RoomStates("edge1", self.tally, lambda *_: None, lambda _: None)
        journal = Journal(self.states, lambda *_: None)
        self.rooms = Rooms(self.config, self.timer, self.tally, journal, EachFanOut(), lambda _: None)
        self.feed = Feed(log, self.rooms, self.config, self.tally, None)
        self.sent = []

    async def send(self, data):
        start = 2 if data[1] < 126 else 4 if data[1] == 126 else 10
        self.sent.append(msgspec.json.decode(data[start:]))

    async def resume(self, since, room_id="room"):
        self.sent.clear()
        found = await resume(self.rooms, self.feed, room_id, since, self.send)
        texts = [one["n"] for frame in self.sent if frame["type"] == "messages" for one in frame["messages"]]
        return texts + [
            msgspec.json.decode(one.data)["n"] for one in found.room.ring.entries(found.cursor, 1 << 60)
        ]

    @property
    def gaps(self):
        found = [frame for frame in self.sent if frame["type"] == "gap"]
        return [(str(Mark.parse(one["after"]).position), str(Mark.parse(one["before"]).position)) for one in found]


def filled(count, every=3, first=1):
    """Entries 1..count with two messages each; every third belongs to another room."""
    log = FakeLog(first)
    for number in range(count):
        room = "other" if number % every == 0 else "room"
        log.add(chat(room, "edge1"), {"n": 2 * number}, {"n": 2 * number + 1})
    return log


def expected(count, since):
    return [
        2 * number + item
        for number in range(count)
        for item in range(2)
        if number % 3 and Position(number + 1, item) > since
    ]


@pytest.mark.parametrize("replay", [1, 5, 100])
async def test_since_gives_exactly_what_was_missed(replay):
    gateway = Gateway(filled(30), replay=replay)
    await gateway.feed.start()
    for seq in range(31):
        for item in range(2):
            since = Position(seq, item)
            assert await gateway.resume(since) == expected(30, since)
            assert gateway.gaps == []
    await gateway.feed.close()


async def test_a_trimmed_log_is_a_gap():
    gateway = Gateway(filled(30, first=101), replay=5)
    await gateway.feed.start()
    assert len(await gateway.resume(Position(50, 0))) == 40
    assert gateway.gaps == [("50-0", "101-0")]
    await gateway.feed.close()


async def test_a_log_that_cannot_be_read_is_a_gap():
    log = filled(30)
    gateway = Gateway(log, replay=5)
    await gateway.feed.start()
    log.away = True
    texts = await gateway.resume(Position(3, 0))
    assert texts == expected(30, Position(25, 9))
    assert gateway.gaps == [("3-0", "26-0")]
    await gateway.feed.close()


async def test_a_position_that_is_not_there_yet(monkeypatch):
    log = filled(6)
    gateway = Gateway(log)
    await gateway.feed.start()
    resuming = asyncio.ensure_future(gateway.resume(Position(8, 0)))
    await asyncio.sleep(0.01)
    assert not resuming.done()
    log.add(chat("other", "edge1"), {"n": 100})
    log.add(chat("room", "edge1"), {"n": 101}, {"n": 102})
    assert await resuming == [102]
    monkeypatch.setattr("edge.chat.rooms._AHEAD_S", 0.01)
    assert await gateway.resume(Position(999, 0)) == []
    assert gateway.gaps[0][0] == "999-0"
    await gateway.feed.close()


async def test_a_log_made_anew_and_a_bad_entry():
    log = filled(6)
    gateway = Gateway(log)
    await gateway.feed.start()
    log.put(chat("room", "edge1"), b"not an array")
    log.put("chat.too.short", b"[]")
    log.add(chat("room", "edge1"), {"n": 50})
    await gateway.feed.reached(9)
    assert gateway.tally.events["bad_entry"] == 2
    assert gateway.rooms.get("room").ring.last == Position(9, 0)
    gateway.rooms.reset(Position.before_entry(1))
    assert gateway.rooms.get("room").ring.bytes == 0
    await gateway.feed.close()


async def test_unread_rooms_make_place():
    log = FakeLog()
    for number in range(50):
        log.add(chat(f"r{number}", "edge1"), {"n": number, "x": "y" * 90})
    gateway = Gateway(log, rooms_bytes=7 * 2048 + 1000)
    await gateway.feed.start()
    gateway.rooms.get("r0").wait("me", lambda: None)
    gateway.rooms.shrink()
    assert 5 <= len(gateway.rooms) <= 10
    assert gateway.rooms.known("r0") is not None
    assert await gateway.resume(Position(0, 0), "r3") == [3]
    await gateway.feed.close()


async def test_an_empty_log():
    gateway = Gateway(FakeLog())
    await gateway.feed.start()
    assert await gateway.resume(Position(0, 0)) == []
    assert gateway.gaps == []
    await gateway.feed.close()
