"""Clients that do what nobody expects, over every way into a room."""

import asyncio
import json

import aiohttp
import msgspec
import pytest
import uvloop
import websockets
from chat_site import CHANNEL_ID, EDGE, Chatter, site
from irc_clients import irc
from websockets.exceptions import ConnectionClosed

from appliance.contracts.chat import ChatMessage
from appliance.contracts.ids import uuid7
from appliance.contracts.subjects import chat
from edge.chat import rooms


def on_site(tmp_path, scenario):
    async def run():
        async with asyncio.timeout(60), site(tmp_path) as made:
            await scenario(made)

    uvloop.run(run())


async def say(gateway, texts):
    async with websockets.connect(gateway.ws("?token=token-alice"), close_timeout=0.1) as socket:
        alice = Chatter(socket)
        await alice.frame()
        for text in texts:
            await alice.say(text)
        await alice.until_seen(len(texts))


def test_who_logs_in_while_it_is_told_what_it_missed_is_greeted_behind_that(tmp_path):
    async def scenario(made):
        missed = [f"m{number}" for number in range(30)]
        await say(await made.gateway(), missed)
        later = await made.gateway(replay=1)  # reads what was missed from the log
        async with websockets.connect(later.ws("?since=0-0")) as socket:
            reader = Chatter(socket)
            for name in ("bob", "carol"):
                await socket.send(json.dumps({"type": "auth", "token": f"token-{name}"}))
            while (hello := await reader.until("hello"))["user"] is None:
                pass
            assert reader.seen == missed
            assert hello["user"]["username"] == "carol"
            end = hello["position"]
            await reader.say("hello", "n1")
            await reader.until("ack")
        async with websockets.connect(later.ws(f"?since={end}")) as socket:
            again = Chatter(socket)
            await again.until_seen(1)
            assert again.seen == ["hello"]

    on_site(tmp_path, scenario)


def test_a_ban_of_somebody_who_is_there_three_times(tmp_path):
    async def scenario(made):
        gateway = await made.gateway(irc_port=0)
        async with (
            websockets.connect(gateway.ws("?token=token-alice")) as one,
            websockets.connect(gateway.ws("?token=token-bob")) as two,
            irc(gateway) as bob,
            irc(gateway, "ws") as other,
        ):
            alice, at_web = Chatter(one), Chatter(two)
            await alice.until("hello")
            await at_web.until("hello")
            await bob.log_in("bob", "alice")
            await other.log_in("bob", "alice")
            await alice.say("/ban bob", "b")
            await alice.until("ack")
            for client in (bob, other):
                assert "msg-id=msg_banned" in await client.until("NOTICE")
                await client.until("PART")
                await client.send("PRIVMSG #alice :still here?")
                assert "msg-id=msg_banned" in await client.until("NOTICE")
                await client.send("PING :x")  # it may be in other rooms
                await client.until("PONG")
            with pytest.raises(ConnectionClosed) as closed:
                await at_web.until("never")
            assert closed.value.rcvd.code == 4003
            async with aiohttp.ClientSession(headers={"Authorization": "Bearer token-bob"}) as session:
                body = json.dumps({"user_id": "u-bob", "message": "still here?"})
                async with session.post(gateway.http(), data=body) as answer:
                    assert (answer.status, (await answer.json())["code"]) == (403, "banned")
            await alice.say("the end")
            await alice.until_seen(1)
            assert alice.seen == ["the end"]

    on_site(tmp_path, scenario)


def test_history_one_by_one_to_its_beginning_and_back(tmp_path):
    async def scenario(made):
        texts = [f"m{number}" for number in range(12)]
        await say(await made.gateway(), texts)
        later = await made.gateway(replay=1)

        async def page(session, query):
            async with session.get(later.http(f"?limit=1{query}")) as answer:
                assert answer.status == 200
                return await answer.json()

        async with aiohttp.ClientSession() as session:
            back, query = [], ""
            while (found := await page(session, query))["messages"]:
                back += [one["message"] for one in found["messages"]]
                query = f"&before={found['before']}"
            assert back == texts[::-1]
            forth, query = [], "&after=0-0"
            while (found := await page(session, query))["messages"]:
                forth += [one["message"] for one in found["messages"]]
                query = f"&after={found['position']}"
            assert forth == texts
            for edge in ("0-0", "0-99999", "999999999999999999-99999"):
                for way, most in (("before", 1), ("after", 1)):
                    assert len((await page(session, f"&{way}={edge}"))["messages"]) <= most

    on_site(tmp_path, scenario)


def test_history_of_a_room_in_which_much_is_said_to_its_beginning(tmp_path):
    """Entries of the log with many messages each, and the room's first ones behind all that others said."""

    async def scenario(made):
        names = iter(range(10_000))

        async def append(room_id, count):
            messages = []
            for _ in range(count):
                number = next(names)
                message_id = uuid7(1_700_000_000_000 + number, number.to_bytes(10, "big"))
                messages.append(
                    ChatMessage(
                        message_id=message_id, stream_id="", timestamp=1_700_000_000_000 + number, user_id="u-bob",
                        username="bob", message=f"m{number}",
                    )
                )  # fmt: skip
            data = msgspec.json.encode(messages)
            await made.bus.append(chat(room_id, EDGE), data, message_id=messages[0].message_id)
            return [one.message for one in messages]

        said = await append(CHANNEL_ID, 3)
        for _ in range(150):
            await append("0193aaaa-0000-7000-8000-00000000c009", 1)
        for _ in range(24):
            said += await append(CHANNEL_ID, 100)
        gateway = await made.gateway(replay=1)
        async with aiohttp.ClientSession() as session:
            back, query = [], ""
            while True:
                async with session.get(gateway.http(f"?limit=100{query}")) as answer:
                    found = await answer.json()
                if not found["messages"]:
                    break
                back = [one["message"] for one in found["messages"]] + back
                query = f"&before={found['before']}"
            assert back == said
            assert query == f"&before={found['before']}", "who asks on from an empty page does not begin anew"
            async with session.get(gateway.http("?before=1-0").replace("/alice/", "/Alice/")) as answer:
                assert (answer.status, (await answer.json())["messages"]) == (200, [])

    on_site(tmp_path, scenario)


def test_what_a_gap_says_can_be_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(rooms, "_AHEAD_S", 0.05)

    async def scenario(made):
        gateway = await made.gateway()  # in whose log is nothing yet
        async with websockets.connect(gateway.ws("?since=7-0")) as socket, aiohttp.ClientSession() as session:
            gap = await Chatter(socket).until("gap")
            async with session.get(gateway.http(f"?after={gap['after']}&before={gap['before']}")) as answer:
                assert (answer.status, (await answer.json())["messages"]) == (200, [])

    on_site(tmp_path, scenario)
