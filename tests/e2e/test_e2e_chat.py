"""Chat through the whole node: viewer port, gateway, outbox, centre."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from tests.e2e.e2e_node import Channel, Node
from tests.e2e.test_e2e_api import announce, call

pytestmark = pytest.mark.e2e

_WAIT_S = 10.0


class Chatter:
    """A WebSocket client that keeps what it hears."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.hello: dict[str, Any] = {}
        self.heard: list[dict[str, Any]] = []
        self.position = ""

    async def frame(self) -> dict[str, Any]:
        """The next text frame. AssertionError when there is none."""
        message = await self.socket.receive(timeout=_WAIT_S)
        assert message.type is aiohttp.WSMsgType.TEXT, f"{message.type} {self.socket.close_code} {message.extra}"
        frame: dict[str, Any] = json.loads(message.data)
        if frame["type"] == "messages":
            self.heard += frame["messages"]
        self.position = frame.get("position", self.position)
        return frame

    async def until(self, kind: str, nonce: str = "") -> dict[str, Any]:
        """The next frame of a type (and nonce); others are kept."""
        while True:
            frame = await self.frame()
            if frame["type"] == kind and (not nonce or frame.get("nonce") == nonce):
                return frame

    async def until_heard(self, count: int) -> list[str]:
        """The first `count` texts."""
        while len(self.heard) < count:
            await self.frame()
        return [message["message"] for message in self.heard]

    async def say(self, text: str, nonce: str = "n") -> dict[str, Any]:
        """The acknowledgement, or the error, of a message."""
        await self.socket.send_json({"type": "message", "message": text, "nonce": nonce})
        while True:
            frame = await self.frame()
            if frame["type"] in ("ack", "error") and frame.get("nonce") == nonce:
                return frame

    async def close_code(self) -> int:
        """The code with which the server ends the connection."""
        while True:
            message = await self.socket.receive(timeout=_WAIT_S)
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING):
                assert self.socket.close_code is not None
                return self.socket.close_code


@asynccontextmanager
async def chatter(node: Node, path: str, token: str = "", since: str = "") -> AsyncIterator[Chatter]:
    """A client of a room by its path."""
    query = {name: value for name, value in (("token", token), ("since", since)) if value}
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{node.web}{path}/subscribe", params=query, max_msg_size=0) as socket,
    ):
        made = Chatter(socket)
        yield made


async def joined(client: Chatter) -> Chatter:
    client.hello = await client.until("hello")
    return client


@pytest.fixture
async def room(node: Node) -> tuple[Channel, str]:
    """A channel of its own and the path of its announced stream's chat."""
    channel = await asyncio.to_thread(node.channel, "chat")
    made = await announce(node, channel)
    return channel, f"/streams/{made['stream_id']}/chat"


async def test_two_clients_chat_and_the_centre_keeps_it(node: Node, room: tuple[Channel, str]) -> None:
    channel, path = room
    async with chatter(node, path, channel.token) as writer, chatter(node, path) as reader:
        await joined(writer)
        await joined(reader)
        assert writer.hello["user"]["user_id"] == channel.user_id
        assert reader.hello["user"] is None
        began = time.monotonic()
        ack = await writer.say("good evening", "n1")
        print(f"acknowledged after {(time.monotonic() - began) * 1000:.0f} ms")
        assert ack["type"] == "ack"
        assert await reader.until_heard(1) == ["good evening"]
        assert reader.heard[0]["message_id"] == ack["message_id"]
        assert reader.heard[0]["username"] == channel.name
        refused = await reader.say("may I?")
        assert refused["code"] == "not_authenticated"
    assert await in_history(node, path, 1) == ["good evening"]


async def in_history(node: Node, path: str, count: int, seconds: float = _WAIT_S) -> list[str]:
    """Texts of the centre's history, once there are `count`."""
    until = time.monotonic() + seconds
    while True:
        status, body = await call(node, "GET", path)
        assert status == 200, body
        texts = [message["message"] for message in body["messages"]]
        if len(texts) >= count:
            return texts
        assert time.monotonic() < until, f"history has only {texts}"
        await asyncio.sleep(0.1)


async def test_room_by_channel_is_the_same(node: Node, room: tuple[Channel, str]) -> None:
    channel, path = room
    async with chatter(node, path, channel.token) as writer, chatter(node, f"/chat/{channel.name}") as reader:
        await joined(writer)
        await joined(reader)
        await writer.say("same room")
        assert await reader.until_heard(1) == ["same room"]


async def test_bad_frames_cost_only_themselves(node: Node, room: tuple[Channel, str]) -> None:
    channel, path = room
    async with chatter(node, path, channel.token) as client:
        await joined(client)
        assert (await client.say("x" * 501))["code"] == "too_long"
        assert (await client.say("   "))["code"] == "empty"
        assert (await client.say("\N{PILE OF POO}" * 500))["type"] == "ack"
        await client.socket.send_str("{not json")
        assert (await client.until("error"))["code"] == "invalid_frame"
        await client.socket.send_json({"type": "dance"})
        assert (await client.until("error"))["code"] == "unknown_type"
        assert (await client.say("still here"))["type"] == "ack"


async def test_binary_and_giant_frames_end_the_connection(node: Node, room: tuple[Channel, str]) -> None:
    channel, path = room
    async with chatter(node, path, channel.token) as client:
        await joined(client)
        await client.socket.send_bytes(b"\0\1\2")
        assert await client.close_code() == 1003
    async with chatter(node, path, channel.token) as client:
        await joined(client)
        try:
            await client.socket.send_str("x" * 10_000_000)
        except OSError:
            return  # cut while it was still talking
        assert await client.close_code() in (1006, 1008, 1009)


async def test_unknown_room_and_wrong_token(node: Node, room: tuple[Channel, str]) -> None:
    async with chatter(node, "/streams/01a204cc-d629-7bd4-a669-c4d3b9f465db/chat") as client:
        assert await client.close_code() == 4004
    async with chatter(node, room[1], "nct_wrong") as client:
        assert await client.close_code() == 4001


async def test_twenty_messages_a_minute(node: Node, room: tuple[Channel, str]) -> None:
    channel, path = room
    guest = await asyncio.to_thread(node.channel, "guest")
    async with chatter(node, path, guest.token) as client, chatter(node, path, channel.token) as owner:
        await joined(client)
        await joined(owner)
        for number in range(20):
            assert (await client.say(f"m{number}", f"n{number}"))["type"] == "ack"
            assert (await owner.say(f"o{number}", f"o{number}"))["type"] == "ack"
        refused = await client.say("one too many", "n20")
        assert (await owner.say("as many as it takes", "o20"))["type"] == "ack"
    assert refused["code"] == "rate_limited"
    assert 0 < refused["retry_after"] <= 60
    body = {"user_id": guest.user_id, "message": "by the other door"}
    status, answer = await call(node, "POST", path, token=guest.token, body=body)
    assert status == 429, answer


async def test_posting_over_http(node: Node, room: tuple[Channel, str]) -> None:
    channel, path = room
    body = {"user_id": channel.user_id, "message": "from the centre"}
    headers = {"Authorization": f"Bearer {channel.token}"}
    async with chatter(node, path) as reader, aiohttp.ClientSession() as session:
        await joined(reader)
        status, posted = await call(node, "POST", path, token=channel.token, body=body)
        assert status == 201, posted
        edge = {**body, "message": "from the edge"}
        async with session.post(f"{node.web}{path}", json=edge, headers=headers) as answer:
            assert answer.status == 201, await answer.text()
        assert await reader.until_heard(2) == ["from the centre", "from the edge"]
        assert reader.heard[0]["message_id"] == posted["message_id"]
        async with session.get(f"{node.web}{path}") as answer:
            page = await answer.json()
        assert [message["message"] for message in page["messages"]] == ["from the centre", "from the edge"]
    long = {**body, "message": "x" * 501}
    assert (await call(node, "POST", path, token=channel.token, body=long))[0] == 400
    assert await in_history(node, path, 2) == ["from the centre", "from the edge"]


async def test_killed_gateway_loses_nothing(victim: Node) -> None:
    channel = await asyncio.to_thread(victim.channel, "resume")
    made = await announce(victim, channel)
    path = f"/streams/{made['stream_id']}/chat"
    async with chatter(victim, path, channel.token) as writer, chatter(victim, path) as reader:
        await joined(writer)
        await joined(reader)
        for number in range(5):
            assert (await writer.say(f"before {number}", f"b{number}"))["type"] == "ack"
        await reader.until_heard(3)
        seen, position = len(reader.heard), reader.position
        await asyncio.to_thread(victim.kill, "chat")
        assert await writer.close_code() == 1006
    await asyncio.to_thread(victim.wait_ready, 15, "chat")
    async with chatter(victim, path, channel.token) as writer:
        await joined(writer)
        assert [message["message"] for message in writer.heard] == []
        for number in range(3):
            assert (await writer.say(f"after {number}", f"a{number}"))["type"] == "ack"
    async with chatter(victim, path, since=position) as reader:
        await joined(reader)
        expected = [*(f"before {number}" for number in range(seen, 5)), *(f"after {number}" for number in range(3))]
        assert await reader.until_heard(len(expected)) == expected
    assert len(await in_history(victim, path, 8)) == 8


async def _without(victim: Node, roles: list[str], seconds: float) -> None:
    """Kills roles of the centre while somebody writes; everything reaches history in the end, in order."""
    channel = await asyncio.to_thread(victim.channel, "alone")
    made = await announce(victim, channel)
    path = f"/streams/{made['stream_id']}/chat"
    async with chatter(victim, path, channel.token) as writer:
        await joined(writer)
        for role in roles:
            await asyncio.to_thread(victim.kill, role)
            assert (await writer.say(f"without {role}", role))["type"] == "ack"
    for role in roles:
        await asyncio.to_thread(victim.wait_ready, 15, role)
    assert await in_history(victim, path, len(roles), seconds) == [f"without {role}" for role in roles]


async def test_chat_goes_on_without_counters(victim: Node) -> None:
    await _without(victim, ["valkey"], 15)


@pytest.mark.slow
async def test_chat_goes_on_without_the_centre(victim: Node) -> None:
    await _without(victim, ["postgres", "nats-hub", "coordinator", "valkey"], 15)


async def test_acknowledged_chat_survives_the_bus(victim: Node) -> None:
    channel = await asyncio.to_thread(victim.channel, "durable")
    made = await announce(victim, channel)
    path = f"/streams/{made['stream_id']}/chat"
    acknowledged = []
    async with chatter(victim, path, channel.token) as writer:
        await joined(writer)
        for number in range(8):
            if number == 4:
                await asyncio.to_thread(victim.kill, "nats-edge")
            answer = await writer.say(f"m{number}", f"n{number}")
            if answer["type"] == "ack":
                acknowledged.append(f"m{number}")
    assert len(acknowledged) >= 4
    await asyncio.to_thread(victim.wait_ready, 15, "nats-edge")
    kept = await in_history(victim, path, len(acknowledged))
    assert [text for text in kept if text in acknowledged] == acknowledged
    assert len(kept) == len(set(kept))
