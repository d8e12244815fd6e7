"""A message that is sent again with its nonce is stored once, whichever gateway hears it."""

import asyncio
import contextlib
import json

import aiohttp
import msgspec
import uvloop
import websockets
from chat_site import CHANNEL_ID, EDGE, STREAM_ID, Chatter, site
from irc_clients import irc, tags_of

from appliance.contracts.chat import ChatPost, ChatPosted
from appliance.contracts.moderation import ModerationAnswer, ModerationRequest
from appliance.contracts.subjects import chat, chat_moderate, chat_post, outbox, room_event


def on_site(tmp_path, scenario):
    async def run():
        async with asyncio.timeout(60), site(tmp_path) as made:
            await scenario(made)

    uvloop.run(run())


async def stored(made, subject=chat(CHANNEL_ID, EDGE)):  # noqa: B008 - a name
    """Every message of the room in the outbox, or every event, oldest first."""
    newest = await made.bus.last_message(outbox(EDGE), subject)
    found = []
    async for entry in made.bus.tail(outbox(EDGE), [subject]):
        found += msgspec.json.decode(entry.data)
        if newest is None or entry.seq >= newest.seq:
            break
    return found


async def level(made):
    """Returns when every gateway has read what is in the outbox."""
    newest = await made.bus.last_message(outbox(EDGE), chat(CHANNEL_ID, EDGE))
    for gateway in made.gateways:
        await gateway.service.feed.reached(newest.seq)


def test_a_connection_is_lost_before_the_acknowledgement(tmp_path):
    async def scenario(made):
        one, two = await made.gateway(), await made.gateway()
        async with websockets.connect(one.ws("?token=token-bob")) as socket:
            await Chatter(socket).frame()
            await Chatter(socket).say("hello", "n1")
            socket.transport.abort()
        async with (
            websockets.connect(one.ws()) as watching,
            websockets.connect(two.ws("?token=token-bob")) as socket,
        ):
            watcher, bob = Chatter(watching), Chatter(socket)
            await bob.until_seen(1)
            await bob.say("hello", "n1")
            ack = await bob.until("ack")
            await bob.say("hello", "n1")
            assert (await bob.until("ack"))["message_id"] == ack["message_id"]
            await bob.say("the end", "n2")
            await watcher.until_seen(2)
            assert watcher.seen == ["hello", "the end"]
        first, last = await stored(made)
        assert (first["message_id"], first["timestamp"]) == (ack["message_id"], ack["timestamp"])
        assert (first["message"], last["message"]) == ("hello", "the end")

    on_site(tmp_path, scenario)


@contextlib.asynccontextmanager
async def at_several_gateways(made, name):
    """One user, with a connection to each of three gateways."""
    gateways = [await made.gateway() for _ in range(3)]
    async with contextlib.AsyncExitStack() as stack:
        chatters = []
        for gateway in gateways:
            socket = await stack.enter_async_context(websockets.connect(gateway.ws(f"?token=token-{name}")))
            chatters.append(Chatter(socket))
            await chatters[-1].until("hello")
        yield chatters


def test_tries_at_several_gateways_at_once_are_one_message_with_one_id(tmp_path):
    async def scenario(made):
        async with at_several_gateways(made, "bob") as bobs:
            for number in range(20):
                await asyncio.gather(*(bob.say(f"hello {number}", f"n{number}") for bob in bobs))
                acks = [await bob.until("ack") for bob in bobs]
                assert len({(ack["message_id"], ack["timestamp"]) for ack in acks}) == 1
            kept = {}
            for one in await stored(made):
                kept.setdefault(one["message"], one)
            assert len(kept) == 20
            for bob in bobs:
                await bob.until_seen(20)
                assert bob.seen == [f"hello {number}" for number in range(20)]
            assert acks[0]["message_id"] == kept["hello 19"]["message_id"]

    on_site(tmp_path, scenario)


def test_posts_with_a_key(tmp_path):
    async def scenario(made):
        gateways = [await made.gateway(), await made.gateway()]
        body = {"user_id": "u-bob", "message": "hello"}
        ids = []
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer token-bob"}) as session:
            for gateway in gateways:
                for headers, sent in (({"Idempotency-Key": "k1"}, body), ({}, {**body, "nonce": "k1"})):
                    async with session.post(gateway.http(), data=json.dumps(sent), headers=headers) as answer:
                        assert answer.status == 201
                        ids.append((await answer.json())["message_id"])
                    await level(made)
            async with session.post(gateways[0].http(), data=json.dumps({**body, "nonce": "k" * 256})) as answer:
                assert (answer.status, (await answer.json())["code"]) == (400, "invalid_frame")
        post = ChatPost(user_id="u-bob", message="hello", stream_id=STREAM_ID, username="bob", nonce="k1")
        answer = await made.bus.request(chat_post(EDGE), msgspec.json.encode(post))
        ids.append(msgspec.json.decode(answer, type=ChatPosted).message_id)
        assert len(set(ids)) == 1
        assert [one["message_id"] for one in await stored(made)] == ids[:1]

    on_site(tmp_path, scenario)


def test_a_gateway_that_is_started_again_knows_what_was_said(tmp_path):
    async def scenario(made):
        one = await made.gateway()
        async with websockets.connect(one.ws("?token=token-bob")) as socket:
            bob = Chatter(socket)
            await bob.frame()
            await bob.say("hello", "n1")
            ack = await bob.until("ack")
        later = await made.gateway()
        async with websockets.connect(later.ws("?token=token-bob")) as socket:
            bob = Chatter(socket)
            await bob.frame()
            await bob.say("hello", "n1")
            assert (await bob.until("ack"))["message_id"] == ack["message_id"]
        assert len(await stored(made)) == 1

    on_site(tmp_path, scenario)


def test_a_command_whose_answer_was_lost_is_done_once(tmp_path):
    """The gateway that did it is gone when its moderator asks again, and again there, and over HTTP."""

    async def scenario(made):
        one, other = await made.gateway(), await made.gateway()
        async with websockets.connect(other.ws()) as watching:
            watcher = Chatter(watching)
            await watcher.until("hello")
            async with websockets.connect(one.ws("?token=token-alice")) as socket:
                await Chatter(socket).frame()
                await Chatter(socket).say("/ban bob rude", "n1")
                socket.transport.abort()
            banned = await watcher.until("event")
            await made.gateway()
            ids = []
            for gateway in made.gateways[1:]:
                async with websockets.connect(gateway.ws("?token=token-alice")) as socket:
                    alice = Chatter(socket)
                    await alice.until("hello")
                    await alice.say("/unban bob", "n2")
                    await alice.until("ack")
                    await alice.say("/ban bob rude", "n1")
                    ids.append(await alice.until("ack"))
            body = {"user_id": "u-alice", "message": "/ban bob rude"}
            headers = {"Authorization": "Bearer token-alice", "Idempotency-Key": "n1"}
            async with (
                aiohttp.ClientSession(headers=headers) as session,
                session.post(made.gateways[2].http(), data=json.dumps(body)) as answer,
            ):
                assert answer.status == 201
                ids.append(await answer.json())
            assert {one["message_id"] for one in ids} == {banned["event_id"]}
            assert len({one["timestamp"] for one in ids}) == 1
            async with websockets.connect(other.ws("?token=token-bob")) as socket:
                bob = Chatter(socket)
                await bob.until("hello")
                await bob.say("here again")
                await watcher.until_seen(1)
            assert [one["event"] for one in watcher.other[1:]] == ["ban", "unban"]
        assert [one["event"] for one in await stored(made, room_event(CHANNEL_ID, EDGE))] == ["ban", "unban"]

    on_site(tmp_path, scenario)


def test_a_command_at_several_gateways_at_once_is_done_once(tmp_path):
    async def scenario(made):
        async with at_several_gateways(made, "alice") as alices:
            for number in range(1, 11):
                await asyncio.gather(*(alice.say(f"/slow {number}", f"n{number}") for alice in alices))
                acks = [await alice.until("ack") for alice in alices]
                assert len({(ack["message_id"], ack["timestamp"], ack["notice"]) for ack in acks}) == 1
            for alice in alices:
                await alice.say("that is all")
                await alice.until_seen(1)
                modes = [one["modes"]["slow"] for one in alice.other if one["type"] == "event"]
                assert modes == list(range(1, 11))

    on_site(tmp_path, scenario)


def test_actions_with_a_key(tmp_path):
    async def scenario(made):
        gateways = [await made.gateway(), await made.gateway()]
        wanted = {"action": "slow", "value": 3}
        answers = []
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer token-alice"}) as session:
            for gateway in gateways:
                url = f"http://127.0.0.1:{gateway.port}/chat/alice/moderate"
                for headers, sent in (({"Idempotency-Key": "k1"}, wanted), ({}, wanted | {"nonce": "k1"})):
                    async with session.post(url, data=json.dumps(sent), headers=headers) as answer:
                        assert answer.status == 201
                        answers.append(await answer.json())
            async with session.post(url, data=json.dumps(wanted | {"nonce": "k" * 256})) as answer:
                assert (answer.status, (await answer.json())["code"]) == (400, "invalid_frame")
            async with session.post(url, data=json.dumps(wanted | {"nonce": "k2"})) as answer:
                other = await answer.json()
        request = ModerationRequest(
            action="slow", value=3, nonce="k1", channel_id=CHANNEL_ID, actor_id="u-alice", actor="alice"
        )
        answer = await made.bus.request(chat_moderate(EDGE), msgspec.json.encode(request))
        found = msgspec.json.decode(answer, type=ModerationAnswer)
        answers.append({"event_id": found.event_id, "timestamp": found.timestamp})
        assert all(one == answers[0] for one in answers)
        events = await stored(made, room_event(CHANNEL_ID, EDGE))
        assert [one["event_id"] for one in events] == [answers[0]["event_id"], other["event_id"]]

    on_site(tmp_path, scenario)


def test_a_line_of_irc_that_comes_again_with_its_nonce(tmp_path):
    async def scenario(made):
        gateways = [await made.gateway(irc_port=0) for _ in range(2)]
        ids = []
        async with irc(gateways[0]) as reader:
            await reader.log_in("carol", "alice")
            for gateway in gateways:
                async with irc(gateway) as bob:
                    await bob.log_in("bob", "alice")
                    for _ in range(2):
                        await bob.send("@client-nonce=n1;reply-parent-msg-id= PRIVMSG #alice :hello")
                        tags, line = tags_of(await bob.line())
                        assert (tags["client-nonce"], line) == ("n1", ":tmi.twitch.tv USERSTATE #alice")
                        ids.append(tags["id"])
                    await bob.send("PRIVMSG #alice :hello")
                    assert "client-nonce" not in await bob.until("USERSTATE")
            async with irc(gateways[1]) as alice:
                await alice.log_in("alice", "alice")
                for _ in range(2):
                    await alice.send("@client-nonce=n1 PRIVMSG #alice :/slow 5")
                    assert "slow_on" in await alice.until("NOTICE")
            heard = [tags_of(await reader.until("PRIVMSG"))[0]["id"] for _ in range(3)]
            assert ids == [heard[0]] * 4
            assert "slow=5" in await reader.until("ROOMSTATE")
            assert not any("ROOMSTATE" in line for line in await reader.idle())

    on_site(tmp_path, scenario)
