"""A message that is sent again with its nonce is stored once, whichever gateway hears it."""

import asyncio
import contextlib
import json

import aiohttp
import msgspec
import uvloop
import websockets
from chat_site import CHANNEL_ID, EDGE, STREAM_ID, Chatter, site

from appliance.contracts.chat import ChatPost, ChatPosted
from appliance.contracts.subjects import chat, chat_post, outbox


def on_site(tmp_path, scenario):
    async def run():
        async with asyncio.timeout(60), site(tmp_path) as made:
            await scenario(made)

    uvloop.run(run())


async def stored(made):
    """Every message of the room in the outbox, oldest first."""
    newest = await made.bus.last_message(outbox(EDGE), chat(CHANNEL_ID, EDGE))
    found = []
    async for entry in made.bus.tail(outbox(EDGE), [chat(CHANNEL_ID, EDGE)]):
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


def test_tries_at_several_gateways_at_once_are_one_message_with_one_id(tmp_path):
    async def scenario(made):
        gateways = [await made.gateway() for _ in range(3)]
        async with contextlib.AsyncExitStack() as stack:
            bobs = []
            for gateway in gateways:
                socket = await stack.enter_async_context(websockets.connect(gateway.ws("?token=token-bob")))
                bobs.append(Chatter(socket))
                await bobs[-1].frame()
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
