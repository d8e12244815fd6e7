"""Whole gateways against a real server: what is acknowledged is kept, what was missed comes back."""

import asyncio
import contextlib
import json

import aiohttp
import msgspec
import pytest
import uvloop
import websockets
from chat_site import CHANNEL_ID, EDGE, STREAM_ID, Chatter, site
from websockets.exceptions import ConnectionClosed

from appliance.contracts.directory import ChannelRecord
from appliance.contracts.errors import UnavailableError
from appliance.contracts.media import BroadcastState
from appliance.contracts.subjects import channel_key, chat, outbox


def on_site(tmp_path, scenario):
    async def run():
        async with asyncio.timeout(60), site(tmp_path) as made:
            await scenario(made)

    uvloop.run(run())


def test_two_clients_chat(tmp_path):
    async def scenario(made):
        gateway = await made.gateway()
        async with (
            websockets.connect(gateway.ws("?token=token-alice")) as one,
            websockets.connect(gateway.ws(channel="alice")) as two,
        ):
            alice, anonymous = Chatter(one), Chatter(two)
            hello = await alice.frame()
            assert hello["type"] == "hello"
            assert hello["channel"] == "alice"
            assert hello["user"]["badges"] == ["broadcaster"]
            assert hello["ping_interval"] == 30
            assert (await anonymous.frame())["user"] is None
            await alice.say("hello", "n1")
            ack = await alice.until("ack")
            assert ack["nonce"] == "n1"
            message = (await anonymous.until("messages"))["messages"][0]
            assert message["message_id"] == ack["message_id"]
            assert message["timestamp"] == ack["timestamp"]
            assert message["username"] == "alice"
            await anonymous.say("me too", "n2")
            error = await anonymous.until("error")
            assert (error["code"], error["nonce"]) == ("not_authenticated", "n2")
            await anonymous.socket.send('{"type":"auth","token":"token-bob"}')
            assert (await anonymous.until("hello"))["user"]["username"] == "bob"
            await anonymous.say("me too", "n3")
            await anonymous.until("ack")
        async with websockets.connect(gateway.ws()) as three:
            late = Chatter(three)
            await late.until_seen(2)
            assert late.seen == ["hello", "me too"]

    on_site(tmp_path, scenario)


def test_acknowledged_survives_the_death_of_the_server(tmp_path):
    async def scenario(made):
        gateway = await made.gateway(append_s=2.0)
        acknowledged, refused = set(), set()
        async with websockets.connect(gateway.ws("?token=token-alice"), close_timeout=0.1) as one:
            alice = Chatter(one)
            await alice.frame()
            for number in range(60):
                await alice.say(f"m{number}", f"m{number}")
                if number == 30:
                    await made.nats.kill()
                await asyncio.sleep(0.005)
                if number == 45:
                    await made.nats.start()
            async with asyncio.timeout(20):
                while len(acknowledged) + len(refused) < 60:
                    frame = await alice.frame(15)
                    if frame["type"] in ("ack", "error"):
                        (acknowledged if frame["type"] == "ack" else refused).add(frame["nonce"])
            assert len(acknowledged) > 30
        second = await made.gateway()
        async with websockets.connect(second.ws("?since=0-0")) as two:
            reader = Chatter(two)
            await reader.frame()
            while not acknowledged <= set(reader.seen):
                await reader.frame()
        assert len(reader.seen) == len(set(reader.seen))
        numbers = [int(text[1:]) for text in reader.seen]
        assert numbers == sorted(numbers)
        await alice_sees_the_same(gateway, reader.seen)

    on_site(tmp_path, scenario)


async def alice_sees_the_same(gateway, seen):
    async with websockets.connect(gateway.ws("?since=0-0")) as again:
        reader = Chatter(again)
        await reader.until_seen(len(seen))
        assert reader.seen == seen


def test_resume_on_another_gateway_is_exact(tmp_path):
    async def scenario(made):
        first, second = await made.gateway(), await made.gateway(replay=5)
        async with websockets.connect(first.ws("?token=token-alice"), close_timeout=0.1) as writer:
            alice = Chatter(writer)
            await alice.frame()
            async with websockets.connect(second.ws()) as socket:
                reader = Chatter(socket)
                await reader.frame()
                for number in range(40):
                    await alice.say(f"m{number}")
                    if number % 7 == 0:
                        await asyncio.sleep(0.03)
                await reader.until_seen(10)
            third = await made.gateway(replay=3)  # has less in memory than was missed
            for number in range(40, 60):
                await alice.say(f"m{number}")
            for gateway in (third, first, second, third):
                async with websockets.connect(gateway.ws(f"?since={reader.position}")) as socket:
                    reader.socket = socket
                    count = len(reader.seen)
                    hello = await reader.frame()
                    assert hello["position"] == reader.position
                    await alice.say(f"x{count}")
                    await reader.until_seen(count + 1)
            await alice.say("last")
            async with websockets.connect(first.ws(f"?since={reader.position}")) as socket:
                reader.socket = socket
                while "last" not in reader.seen:
                    await reader.frame()
            async with websockets.connect(third.ws("?since=0-0")) as socket:
                everything = Chatter(socket)
                while "last" not in everything.seen:
                    await everything.frame()
        assert len(set(everything.seen)) == len(everything.seen)
        assert reader.seen == everything.seen
        assert len(reader.seen) >= 65
        assert not [frame for frame in reader.other if frame["type"] == "gap"]

    on_site(tmp_path, scenario)


async def until_shown(http, url, text):
    """The page once it ends with `text`: a message is shown a moment after it is durable."""
    while True:
        async with http.get(url) as answer:
            page = await answer.json()
        if page["messages"] and page["messages"][-1]["message"] == text:
            return page
        await asyncio.sleep(0.01)


def test_plain_http(tmp_path):
    async def scenario(made):
        gateway = await made.gateway(user_per_minute=3)
        headers = {"Authorization": "Bearer token-bob"}
        async with aiohttp.ClientSession() as http:
            poll = asyncio.ensure_future(http.get(gateway.http("/poll?since=0-99999")))
            for number in range(3):
                body = {"user_id": "u-bob", "message": f"m{number}"}
                async with http.post(gateway.http(), json=body, headers=headers) as answer:
                    assert answer.status == 201
                    assert set(await answer.json()) == {"message_id", "timestamp"}
            async with http.post(gateway.http(), json=body, headers=headers) as answer:
                assert answer.status == 429
                assert int(answer.headers["Retry-After"]) >= 1
                assert answer.headers["Content-Type"] == "application/problem+json"
                assert (await answer.json())["code"] == "rate_limited"
            async with await poll as answer:
                polled = await answer.json()
                assert polled["messages"][0]["message"] == "m0"
            page = await until_shown(http, gateway.http("?limit=2"), "m2")
            assert [one["message"] for one in page["messages"]] == ["m1", "m2"]
            async with http.get(gateway.http(f"?before={page['before']}")) as answer:
                assert [one["message"] for one in (await answer.json())["messages"]] == ["m0"]
            async with http.get(gateway.http(f"?after={polled['position']}&limit=1")) as answer:
                assert [one["message"] for one in (await answer.json())["messages"]] == ["m1"]
            async with http.post(gateway.http(), json=body) as answer:
                assert answer.status == 401
            body["user_id"] = "u-alice"
            async with http.post(gateway.http(), json=body, headers=headers) as answer:
                assert answer.status == 403
            async with http.post(gateway.http(channel="nobody"), json=body, headers=headers) as answer:
                assert answer.status == 404
            long = {"user_id": "u-carol", "message": "x" * 501}
            async with http.post(
                gateway.http(), json=long, headers={"Authorization": "Bearer token-carol"}
            ) as answer:
                assert answer.status == 400
                assert (await answer.json())["code"] == "too_long"
            async with http.options(gateway.http()) as answer:
                assert answer.status == 204
                assert answer.headers["Access-Control-Allow-Origin"] == "*"
            async with http.get(gateway.http("/subscribe")) as answer:
                assert answer.status == 426
        older = await made.gateway(replay=1)
        async with aiohttp.ClientSession() as http, http.get(older.http()) as answer:
            assert [one["message"] for one in (await answer.json())["messages"]] == ["m0", "m1", "m2"]

    on_site(tmp_path, scenario)


async def close_code(url, *frames):
    async with websockets.connect(url, max_size=None) as socket:
        for frame in frames:
            await socket.send(frame)
        with pytest.raises(ConnectionClosed):
            async with asyncio.timeout(3):
                while True:
                    await socket.recv()
        return socket.close_code


def test_a_room_made_a_moment_ago_is_waited_for(tmp_path):
    """Its owner heard of it before this edge did."""

    async def scenario(made):
        gateway = await made.gateway()

        async def say_hello():
            async with websockets.connect(gateway.ws(channel="newborn")) as socket:
                return json.loads(await socket.recv())["type"]

        async def read_history():
            async with aiohttp.ClientSession() as session, session.get(gateway.http(channel="newborn")) as answer:
                return answer.status

        hello, history = asyncio.ensure_future(say_hello()), asyncio.ensure_future(read_history())
        while gateway.service.server.count < 2:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
        assert not hello.done()
        assert not history.done()
        record = ChannelRecord(
            channel_id="0193aaaa-0000-7000-8000-00000000c002", channel="newborn", user_id="u-new"
        )
        await made.directory.put(channel_key(record.channel_id), msgspec.json.encode(record))
        assert await hello == "hello"
        assert await history == 200

    on_site(tmp_path, scenario)


def test_close_codes(tmp_path):
    async def scenario(made):
        gateway = await made.gateway(connections_per_address=3)
        assert await close_code(gateway.ws("?token=wrong")) == 4001
        assert await close_code(gateway.ws(channel="nobody")) == 4004
        assert await close_code(gateway.ws(), b"binary") == 1003
        assert await close_code(gateway.ws(), "x" * 20_000) == 1009
        assert await close_code(gateway.ws(), *["not json"] * 10) == 1002
        assert await close_code(gateway.ws(), '{"type":"auth","token":"wrong"}') == 4001
        while gateway.service.server.count:
            await asyncio.sleep(0.02)
        async with (
            websockets.connect(gateway.ws()) as one,
            websockets.connect(gateway.ws()),
            websockets.connect(gateway.ws()),
        ):
            assert await close_code(gateway.ws()) == 4029
            reader = Chatter(one)
            await reader.frame()
            await gateway.service.drain()
            with pytest.raises(ConnectionClosed):
                await reader.frame()
            assert one.close_code == 4009
            assert one.close_reason.startswith("retry_after=")

    on_site(tmp_path, scenario)


def test_the_broadcast_changes_its_state(tmp_path):
    async def scenario(made):
        gateway = await made.gateway()
        url = f"ws://127.0.0.1:{gateway.port}/streams/{STREAM_ID}/chat/subscribe"
        async with websockets.connect(url) as socket:
            reader = Chatter(socket)
            assert (await reader.frame())["stream_id"] == STREAM_ID
            await made.set_state(BroadcastState.LIVE)
            event = await reader.frame()
            assert event == {"type": "event", "event": "stream", "state": "live", "stream_id": STREAM_ID}
            await made.set_state(BroadcastState.ENDED)
            assert (await reader.frame())["state"] == "ended"

    on_site(tmp_path, scenario)


def test_posting_for_somebody_else(tmp_path):
    async def scenario(made):
        await made.gateway()
        request = b'{"user_id":"u-dave","username":"dave","stream_id":"%b","message":"hi"}' % STREAM_ID.encode()
        for _ in range(50):  # the subscription may still be on its way to the server
            with contextlib.suppress(UnavailableError):
                answer = await made.bus.request("ctl.edge1.chat.post", request)
                break
            await asyncio.sleep(0.02)
        assert b'"status":201' in answer
        answer = await made.bus.request("ctl.edge1.chat.post", request.replace(b"hi", b""))
        assert b'"code":"empty"' in answer
        assert b'"status":400' in answer
        answer = await made.bus.request("ctl.edge1.chat.post", b"?")
        assert b'"status":400' in answer

    on_site(tmp_path, scenario)


def test_a_poll_tells_a_gap_at_once(tmp_path):
    """Of a log that was trimmed, and of a log that is no more."""

    async def scenario(made):
        for number in range(10):
            await made.bus.append(chat(CHANNEL_ID, EDGE), b'[{"n":%d}]' % number, message_id=f"m{number}")
        await made.bus.api(f"STREAM.PURGE.{outbox(EDGE)}", {"seq": 7})
        gateway = await made.gateway()
        async with aiohttp.ClientSession() as http:
            async with http.get(gateway.http("/poll?since=2-0")) as answer:
                page = await answer.json()
            assert [one["n"] for one in page["messages"]] == [6, 7, 8, 9]
            assert page["gap"]["after"].startswith("2-0-")
            assert page["position"].startswith("10-0-")
            async with http.get(gateway.http("/poll?since=8-0")) as answer:
                page = await answer.json()
            assert [one["n"] for one in page["messages"]] == [8, 9]
            assert "gap" not in page
            async with http.get(gateway.http("/poll?since=5000-0")) as answer:
                page = await answer.json()
            assert page["messages"] == []
            assert page["gap"]["after"].startswith("5000-0-")
            assert page["position"].startswith("10-0-")

    on_site(tmp_path, scenario)


def test_compressed_frames_are_for_those_who_agreed(tmp_path):
    async def scenario(made):
        gateway = await made.gateway()
        async with (
            websockets.connect(gateway.ws()) as one,
            websockets.connect(gateway.ws(), compression=None) as two,
        ):
            assert one.protocol.extensions
            assert not two.protocol.extensions
            readers = [Chatter(one), Chatter(two)]
            for reader in readers:
                await reader.frame()
            batch = msgspec.json.encode([{"message": f"the same words again {number}"} for number in range(50)])
            await made.bus.append(chat(CHANNEL_ID, EDGE), batch, message_id="batch")
            for reader in readers:
                await reader.until_seen(50)
            assert readers[0].seen == readers[1].seen
            long = "x" * 15_000  # compressed on its way in, and still too long to say
            await readers[0].socket.send('{"type":"auth","token":"token-bob"}')
            await readers[0].until("hello")
            await readers[0].say(long)
            assert (await readers[0].until("error"))["code"] == "too_long"

    on_site(tmp_path, scenario)
