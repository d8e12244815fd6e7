"""Moderation through whole gateways and a real server: who hears what, what comes back, what is gone."""

import asyncio

import aiohttp
import msgspec
import pytest
import uvloop
import websockets
from chat_site import CHANNEL_ID, EDGE, Chatter, site
from websockets.exceptions import ConnectionClosed

from appliance.contracts.errors import UnavailableError
from appliance.contracts.moderation import EVERY_ROOM, ModerationAnswer, ModerationRequest, RoomRecord
from appliance.contracts.subjects import chat_moderate, room_key


def on_site(tmp_path, scenario):
    async def run():
        async with asyncio.timeout(60), site(tmp_path) as made:
            await scenario(made)

    uvloop.run(run())


async def call(gateway, path, token="", body=None, status=200):
    headers = {"Authorization": f"Bearer token-{token}"} if token else {}
    method = "GET" if body is None else "POST"
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{gateway.port}/chat/alice/{path}"
        async with session.request(method, url, json=body, headers=headers) as answer:
            found = await answer.json()
            assert answer.status == status, found
            return found


async def act(gateway, token, status=201, **body):
    return await call(gateway, "moderate", token, body, status)


async def event(client, name):
    while True:
        found = await client.until("event")
        if found["event"] == name:
            return found


def test_an_action_holds_on_every_gateway_and_after_a_restart(tmp_path):
    async def scenario(made):
        gateways = [await made.gateway() for _ in range(2)]
        async with (
            websockets.connect(gateways[0].ws("?token=token-bob")) as one,
            websockets.connect(gateways[1].ws()) as two,
            websockets.connect(gateways[1].ws("?token=token-alice")) as three,
        ):
            bob, anonymous, alice = Chatter(one), Chatter(two), Chatter(three)
            for client in (bob, anonymous, alice):
                await client.until("hello")
            start = anonymous.position
            await bob.say("hello", "b1")
            said = (await bob.until("ack"))["message_id"]
            await bob.say("more", "b2")
            await bob.until("ack")
            await anonymous.until_seen(2)
            await act(gateways[0], "alice", action="delete", message_id=said)
            assert (await event(anonymous, "delete"))["message_id"] == said
            await alice.say("/slow 30", "a1")
            assert (await alice.until("ack"))["notice"] == "done"
            assert (await event(bob, "mode"))["modes"] == {"slow": 30}
            await alice.say("/slowoff", "a2")
            await event(bob, "mode")
            await alice.say("/ban bob rude", "a3")
            assert (await event(anonymous, "ban"))["username"] == "bob"
            with pytest.raises(ConnectionClosed) as closed:
                await event(bob, "nothing")
            assert closed.value.rcvd.code == 4003
        for gateway in (gateways[0], await made.gateway()):
            with pytest.raises(ConnectionClosed) as closed:
                async with websockets.connect(gateway.ws("?token=token-bob")) as again:
                    await Chatter(again).frame()
            assert closed.value.rcvd.code == 4003
            assert (await call(gateway, "chat", "", None))["messages"] == []
            async with websockets.connect(gateway.ws(f"?since={start}")) as resumed:
                late = Chatter(resumed)
                await event(late, "ban")
                assert late.seen == []
                assert [one["event"] for one in late.other[1:]] == ["delete", "mode", "mode", "ban"]
        await act(gateways[1], "alice", action="unban", target="bob")
        async with websockets.connect(gateways[1].ws("?token=token-bob")) as one:
            await Chatter(one).until("hello")

    on_site(tmp_path, scenario)


def test_moderators_hear_of_what_waits_and_decide(tmp_path):
    async def scenario(made):
        gateway = await made.gateway()
        await act(gateway, "alice", action="mod", target="carol")
        await act(gateway, "carol", action="block", text="badword")
        await act(gateway, "carol", action="hold", value=True)
        async with (
            websockets.connect(gateway.ws("?token=token-bob")) as one,
            websockets.connect(gateway.ws("?token=token-carol")) as two,
        ):
            bob, carol = Chatter(one), Chatter(two)
            assert (await bob.until("hello"))["modes"] == {"hold": True}
            user = (await carol.until("hello"))["user"]
            assert (user["badges"], user["moderator"]) == (["moderator"], True)
            await bob.say("a badword", "b1")
            ack = await bob.until("ack")
            assert ack["held"] is True
            held = await event(carol, "held")
            assert held["message"]["message"] == "a badword"
            waiting = await call(gateway, "held", "carol")
            assert [one["message_id"] for one in waiting["held"]] == [ack["message_id"]]
            await carol.say(f"/approve {ack['message_id']}", "c1")
            await bob.until_seen(1)
            assert bob.seen == ["a badword"]
            async with asyncio.timeout(5):  # the message is in the log before the decision
                while (await call(gateway, "held", "carol"))["held"]:
                    await asyncio.sleep(0.02)
            assert all(one.get("event") not in ("held", "approve") for one in bob.other)
            chatters = await call(gateway, "chatters")
            assert chatters["count"] == 2
            assert {one["username"]: one["rank"] for one in chatters["chatters"]} == {
                "bob": "viewer",
                "carol": "moderator",
            }
            state = await call(gateway, "state", "carol")
            assert state["terms"] == [{"kind": "word", "text": "badword"}]
            names = [one["name"] for one in state["commands"]]
            assert (state["rank"], "ban" in names, "mod" in names) == ("moderator", True, False)
            await act(gateway, "carol", action="emote", text="ahoy")
            everybodys = await call(gateway, "state")
            assert everybodys["emotes"] == {"global": [], "channel": ["ahoy"]}
            assert everybodys.keys() == {"modes", "pin", "emotes"}
        await call(gateway, "held", "bob", None, 403)
        await call(gateway, "held", "", None, 401)
        assert (await act(gateway, "bob", 403, action="clear"))["code"] == "not_allowed"
        assert (await act(gateway, "carol", 404, action="ban", target="nobody"))["code"] == "unknown_user"
        assert (await act(gateway, "carol", 400, action="dance"))["code"] == "invalid_action"
        await call(gateway, "moderate", "carol", [1], 400)
        await call(gateway, "moderate", "carol", None, 405)

    on_site(tmp_path, scenario)


async def asked(bus, wanted):
    """The answer, once the server knows who gives it."""
    async with asyncio.timeout(5):
        while True:
            try:
                return await bus.request(chat_moderate(EDGE), wanted)
            except UnavailableError:
                await asyncio.sleep(0.02)


def test_what_the_centre_asks_for_and_hands_down(tmp_path):
    async def scenario(made):
        gateway = await made.gateway()

        async def ask(**fields):
            wanted = ModerationRequest(**{"channel_id": CHANNEL_ID, "actor_id": "u-op", "actor": "op"} | fields)
            return msgspec.json.decode(await asked(made.bus, msgspec.json.encode(wanted)), type=ModerationAnswer)

        async with websockets.connect(gateway.ws("?token=token-bob")) as one:
            bob = Chatter(one)
            await bob.until("hello")
            assert (await ask(action="slow", value=3, operator=True)).event_id
            assert (await event(bob, "mode"))["modes"] == {"slow": 3}
            assert (await ask(action="slow", value=3)).code == "not_allowed"
            assert (await ask(action="clear", channel_id="?", operator=True)).code == "unknown_room"
            assert (await ask(action="clear", channel_id=EVERY_ROOM, operator=True)).code == "invalid_action"
            assert (await ask(action="block", text="nowhere", channel_id=EVERY_ROOM, operator=True)).event_id
            await bob.say("nowhere", "b1")
            assert (await bob.until("error"))["code"] == "blocked_term"
            record = RoomRecord(channel_id=CHANNEL_ID, modes={"slow": (0, "f"), "subscribers": (True, "f")})
            await made.directory.put(room_key(CHANNEL_ID), msgspec.json.encode(record))
            assert (await event(bob, "mode"))["modes"] == {"subscribers": True}
            await bob.say("x", "b2")
            assert (await bob.until("error"))["code"] == "subscribers_only"
        answer = await made.bus.request(chat_moderate(EDGE), b"[]")
        assert msgspec.json.decode(answer, type=ModerationAnswer).code == "invalid_frame"

    on_site(tmp_path, scenario)
