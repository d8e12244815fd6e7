"""Equal requests are answered without being looked at again, and never with anything old."""

import asyncio
import json

import pytest
from http2_client import Http2Client
from hypothesis import given
from hypothesis import strategies as st
from origin_fakes import BROADCAST, settled

from appliance.contracts.directory import Access, ChannelRecord
from appliance.contracts.subjects import channel_key
from edge.origin.held import HeldRequests
from edge.origin.responses import Response
from edge.origin.shortcuts import Count, Shortcut, Shortcuts
from edge.protocols.http.request import HeadMemo

SOURCE = f"/media/{BROADCAST}/source"


@pytest.fixture
def served(origin, monkeypatch):
    """Paths that the routes looked at."""
    seen = []
    routes = type(origin.server.routes)
    serve = routes.serve

    def noted(self, caller, request):
        seen.append(request.path)
        return serve(self, caller, request)

    monkeypatch.setattr(routes, "serve", noted)
    return seen


async def test_the_second_request_in_the_same_words_takes_the_shortcut(origin, served):
    one, two = await origin.client(), await origin.client()
    for path in (f"{SOURCE}/index.m3u8", f"{SOURCE}/index.m3u8?_HLS_msn=2", f"{SOURCE}/p1.m4s", f"{SOURCE}/s1.m4s"):
        await one.get(path)  # the very first one may have been held
        first = await one.get(path)
        served.clear()
        again = [await two.get(path), await one.get(path)]
        assert [answer.body for answer in again] == [first.body] * 2
        assert [answer.headers for answer in again] == [first.headers] * 2
        assert served == []


async def test_who_does_not_ask_on_is_closed_on_the_short_way_too(origin, served):
    await followed(origin, served)
    for _ in range(3):
        client = await origin.client()
        assert (await client.get(f"{SOURCE}/index.m3u8", Connection="close")).status == 200
        assert await asyncio.wait_for(client.reader.read(), 5) == b""
    assert len(served) == 1


async def test_nothing_old_is_answered(origin, served):
    client = await origin.client()
    for _ in range(3):
        before = await client.get(f"{SOURCE}/index.m3u8")
        assert (await client.get(f"{SOURCE}/index.m3u8")).body == before.body
        origin.add_part()
        answer = await client.get(f"{SOURCE}/index.m3u8?_HLS_msn=3&_HLS_part={origin.video.part - 1}")
        assert answer.status == 200
        assert (await client.get(f"{SOURCE}/index.m3u8")).body != before.body


async def test_viewers_on_the_short_way_are_counted(origin, served):
    clients = [await origin.client() for _ in range(5)]
    await clients[0].get(f"{SOURCE}/index.m3u8")
    served.clear()
    for client in clients:
        await client.get(f"{SOURCE}/index.m3u8")
    assert len(served) == 1
    origin.catalogue.tick()
    document = (await clients[0].get("/live/alice/status.json")).body
    assert json.loads(document)["viewers"] == 5


async def test_other_words_go_the_long_way(origin, served):
    client = await origin.client()
    path = f"{SOURCE}/p1.m4s"
    await client.get(path)
    await client.get(path)
    served.clear()
    assert (await client.get(path, Range="bytes=0-1")).status == 206
    assert (await client.get(path, Range="bytes=0-1")).status == 206
    head = await client.get(path, "HEAD")
    assert (head.status, head.raw) == (200, b"")
    for _ in range(2):
        await client.get(path, X_Forwarded_For="192.0.2.1")
        await client.get(path, CMCD_Session='sid="a"')
    assert served == [path] * 7


async def test_a_channel_that_closes_itself_has_no_shortcuts(origin, served):
    client = await origin.client()
    for _ in range(2):
        assert (await client.get(f"{SOURCE}/p1.m4s")).status == 200
    record = ChannelRecord(channel_id="id-alice", channel="alice", user_id="u", access=Access.FOLLOWERS)
    origin.directory_changed(channel_key("id-alice"), record)
    origin.catalogue.tick()
    assert (await client.get(f"{SOURCE}/p1.m4s")).status == 401


async def test_shortcuts_over_http2(origin, served):
    client = await Http2Client.connect(origin.server.port)
    try:
        first = await client.get(f"{SOURCE}/p1.m4s")
        second = await client.get(f"{SOURCE}/p1.m4s")
        await client.get(f"{SOURCE}/p1.m4s")
        assert first.body == second.body == b"<0.1.0>"
        assert len(served) < 3
    finally:
        await client.close()


async def followed(origin, served):
    """Returns when the process has caught up with the broadcast."""
    client = await origin.client()
    await client.get(f"{SOURCE}/index.m3u8")
    await client.close()
    served.clear()


@pytest.mark.parametrize("path", [f"{SOURCE}/index.m3u8?_HLS_msn=3&_HLS_part=2", f"{SOURCE}/p14.m4s"])
async def test_who_asks_in_the_same_words_waits_with_the_others(origin, served, path):
    await followed(origin, served)
    clients = [await origin.client() for _ in range(4)]
    for number, client in enumerate(clients):
        client.send(path)
        await settled(lambda wanted=number + 1: len(origin.server.held) == wanted)
    assert len(served) == 1
    origin.add_part()
    answers = [await client.receive() for client in clients]
    assert [answer.status for answer in answers] == [200] * 4
    assert len({answer.body for answer in answers}) == 1
    assert not origin.server.held


async def test_a_group_that_all_left_takes_others_in(origin, served):
    path = f"{SOURCE}/index.m3u8?_HLS_msn=3&_HLS_part=2"
    await followed(origin, served)
    for _ in range(2):
        client = await origin.client()
        client.send(path)
        await settled(lambda: origin.server.held)
        client.writer.transport.abort()
        await settled(lambda: not origin.server.held)
    assert len(served) == 1
    last = await origin.client()
    last.send(path)
    await settled(lambda: origin.server.held)
    origin.add_part()
    assert (await last.receive()).status == 200
    await last.close()


async def test_no_more_wait_on_the_short_way_than_on_the_long(make_origin):
    origin = await make_origin(waiters=2)
    origin.go_live()
    origin.add_segments(3)
    await settled(lambda: origin.catalogue.feed(BROADCAST).caught_up)
    path = f"{SOURCE}/index.m3u8?_HLS_msn=3&_HLS_part=0"
    clients = [await origin.client() for _ in range(3)]
    for client in clients:
        client.send(path)
        await asyncio.sleep(0.02)
    assert (await clients[2].receive()).status == 503
    for waiting in list(origin.server.held):
        waiting.held_until = 0.0
    assert (await clients[0].receive()).status == 503


async def test_waiting_together_over_http2(origin, served):
    client = await Http2Client.connect(origin.server.port)
    try:
        asked = [client.ask(f"{SOURCE}/p14.m4s") for _ in range(3)]
        await settled(lambda: len(origin.server.held) == 3)
        assert len(served) < 3
        origin.add_part()
        answers = [await client.ended(number) for number in asked]
        assert [answer.status for answer in answers] == [200] * 3
    finally:
        await client.close()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.sampled_from(["add", "leave", "keep", "take"]))))
def test_nobody_is_forgotten_or_answered_twice(steps):
    held, waiting, groups = HeldRequests(), {}, {}
    for key, who, act in steps:
        if act == "add" and (key, who) not in waiting:
            group = groups.get(key)
            waiter = (key, who)
            waiting[waiter] = held.add(key, waiter) if group is None else group.add(waiter)
        elif act == "leave" and (key, who) in waiting:
            waiting.pop((key, who))((key, who))
        elif act == "keep" and (group := held.keep(key)) is not None:
            groups[key] = group
        elif act == "take":
            groups.clear()
            for taken, waiters in held.take(key.__eq__):
                assert taken == key
                assert set(waiters) == {waiter for waiter in waiting if waiter[0] == key}
                for waiter in waiters:
                    del waiting[waiter]
            assert not any(waiter[0] == key for waiter in waiting)
    assert len(held) == len(waiting)


@pytest.mark.parametrize("each", [True, False])
def test_that_somebody_asked_is_told_once(each):
    told, shortcuts, memo = [], Shortcuts(), HeadMemo()
    head = memo.parse(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    shortcut = Shortcut(Response("playlist", 200, ()), Count(told.append, each=each))
    shortcuts.add(head, shortcut)
    shortcuts.flush()
    assert told == []
    for _ in range(2):
        shortcut.asked = True
        assert (shortcut.askers is not None) == each
        if shortcut.askers is not None:
            shortcut.askers.add(("192.0.2.1", 7))
        shortcuts.flush()
        shortcuts.flush()
    assert [set(askers) for askers in told] == [{("192.0.2.1", 7)} if each else set()] * 2


async def test_who_waits_for_the_middle_of_a_segment_keeps_the_broadcast_followed(origin, served):
    await followed(origin, served)
    clients = [await origin.client() for _ in range(3)]
    for number, client in enumerate(clients):
        client.send(f"{SOURCE}/index.m3u8?_HLS_msn=3&_HLS_part=2")
        await settled(lambda wanted=number + 1: len(origin.server.held) == wanted)
        if number == 0:  # who goes the long way
            feed = origin.catalogue.feed(BROADCAST)
            before = feed.last_request = feed.last_request - 1.0
    origin.add_part()
    for client in clients:
        await client.receive()
    assert feed.last_request > before


def test_shortcuts_are_bounded():
    shortcuts, memo = Shortcuts(), HeadMemo()
    response = Response("part", 200, ())
    heads = [memo.parse(f"GET /{number} HTTP/1.1\r\nHost: t\r\n\r\n".encode()) for number in range(5000)]
    for head in heads:
        shortcuts.add(head, Shortcut(response, None))
    assert sum(head.note.value is not None for head in heads) <= 4096
    shortcuts.clear()
    assert all(head.note.value is None for head in heads)
