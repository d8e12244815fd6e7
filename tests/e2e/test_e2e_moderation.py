"""Moderation through the whole node: at the edge, at the centre, and while the centre is away."""

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from tests.e2e.e2e_node import Channel, Node
from tests.e2e.test_e2e_api import announce, call
from tests.e2e.test_e2e_chat import Chatter, chatter, in_history, joined

pytestmark = pytest.mark.e2e


async def event(client: Chatter, name: str) -> dict[str, Any]:
    while True:
        found = await client.until("event")
        if found["event"] == name:
            return found


async def act(node: Node, channel: Channel, **body: Any) -> dict[str, Any]:
    """An action of the owner, at the edge."""
    headers = {"Authorization": f"Bearer {channel.token}"}
    async with aiohttp.ClientSession() as session:
        url = f"{node.web}/chat/{channel.name}/moderate"
        async with session.post(url, json=body, headers=headers) as answer:
            found: dict[str, Any] = await answer.json()
            assert answer.status == 201, found
            return found


async def said_at_last(client: Chatter, text: str) -> None:
    """Says it until it is taken: what the centre knows reaches the edge a moment later."""
    until = time.monotonic() + 10
    while (answer := await client.say(text, "again"))["type"] != "ack":
        assert answer["code"] == "followers_only"
        assert time.monotonic() < until
        await asyncio.sleep(0.1)


async def audited(node: Node, channel: Channel, count: int) -> list[dict[str, Any]]:
    """The centre's audit trail, once there are `count` events."""
    until = time.monotonic() + 20
    while True:
        status, body = await call(node, "GET", f"/moderation/{channel.name}/events", token=channel.token)
        if status == 200 and len(body["events"]) >= count:
            return list(body["events"])
        assert time.monotonic() < until, body
        await asyncio.sleep(0.1)


async def test_what_a_moderator_does_holds_everywhere(node: Node) -> None:
    owner = await asyncio.to_thread(node.channel, "mods")
    guest = await asyncio.to_thread(node.channel, "guest")
    path = f"/streams/{(await announce(node, owner))['stream_id']}/chat"
    async with (
        chatter(node, path, guest.token) as writer,
        chatter(node, path) as reader,
        chatter(node, path, owner.token) as moderator,
    ):
        for client in (writer, reader, moderator):
            await joined(client)
        said = await writer.say("first", "n1")
        await writer.say("second", "n2")
        assert await in_history(node, path, 2) == ["first", "second"]
        assert (await moderator.say(f"/delete {said['message_id']}", "m1"))["notice"] == "done"
        assert (await event(reader, "delete"))["message_id"] == said["message_id"]
        assert (await moderator.say("/followers", "m2"))["type"] == "ack"
        assert (await event(reader, "mode"))["modes"] == {"followers": 0}
        assert (await writer.say("let me in", "n3"))["code"] == "followers_only"
        follow = f"/users/me/follows/{owner.name}"
        assert (await call(node, "PUT", follow, token=guest.token))[0] == 204
        assert (await event(reader, "follow"))["username"] == guest.name
        await said_at_last(writer, "now I follow")
        body = {"action": "timeout", "target": guest.name, "seconds": 600, "reason": "loud"}
        actions = f"/moderation/{owner.name}/actions"
        status, done = await call(node, "POST", actions, token=owner.token, body=body)
        assert status == 201, done
        assert (await event(reader, "timeout"))["username"] == guest.name
        refused = await writer.say("but", "n5")
        assert refused["code"] == "timed_out"
        assert 0 < refused["retry_after"] <= 600
        status, answer = await call(node, "POST", actions, token=guest.token, body=body)
        assert (status, answer["code"]) == (403, "not_allowed")
    events = await audited(node, owner, 3)
    assert [one["event"] for one in events] == ["timeout", "mode", "delete"]
    assert (events[0]["reason"], events[0]["actor"], events[0]["event_id"]) == (
        "loud",
        owner.name,
        done["event_id"],
    )
    assert await in_history(node, path, 0) == []
    async with chatter(node, path) as late:
        assert (await joined(late)).hello["modes"] == {"followers": 0}


@pytest.mark.slow
async def test_moderation_goes_on_without_the_centre(victim: Node) -> None:
    owner = await asyncio.to_thread(victim.channel, "alone")
    guest = await asyncio.to_thread(victim.channel, "guest")
    path = f"/chat/{owner.name}"
    async with chatter(victim, path, guest.token) as writer:
        await joined(writer)
        for role in ("nats-hub", "coordinator"):
            await asyncio.to_thread(victim.kill, role)
        await act(victim, owner, action="slow", value=30)
        assert (await event(writer, "mode"))["modes"] == {"slow": 30}
        await act(victim, owner, action="ban", target=guest.name, reason="rude")
        assert await writer.close_code() == 4003
    await asyncio.to_thread(victim.kill, "chat")
    await asyncio.to_thread(victim.wait_ready, 15, "chat")
    async with chatter(victim, path, guest.token) as writer:
        assert await writer.close_code() == 4003
    for role in ("nats-hub", "coordinator"):
        await asyncio.to_thread(victim.wait_ready, 20, role)
    events = await audited(victim, owner, 2)
    assert [(one["event"], one.get("reason", "")) for one in events] == [("ban", "rude"), ("mode", "")]
