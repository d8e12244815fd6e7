"""Cassandra is killed and frozen while the bridge writes: nothing is lost, nothing is there twice."""

import asyncio
import dataclasses
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.contracts import subjects
from appliance.contracts.chat import ChatMessage
from appliance.contracts.errors import UnavailableError
from appliance.contracts.ids import uuid7
from appliance.runtime.clock import now_ms
from coordinator.chat_history.cassandra.session import Session
from coordinator.config import CoordinatorConfig
from tests.integration.coordinator.chat_history.conftest import answers, cluster_of
from tests.support.cassandra import USER, CassandraNode

ROUNDS, EACH = 60, 20
_SETTLE_S = 60.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def own_node() -> Iterator[CassandraNode]:
    """A node for one test, which may do to it what it likes."""
    home = Path(tempfile.mkdtemp(prefix="nearcast-cassandra-"))
    node = CassandraNode(home, guarded=True)
    try:
        node.start()
        yield node
    finally:
        node.kill()
        shutil.rmtree(home, ignore_errors=True)


class Talk:
    """A stream whose edge puts numbered messages into its outbox."""

    def __init__(self, api: Any, channel_id: str, stream_id: str) -> None:
        self.api = api
        self.channel_id, self.stream_id = channel_id, stream_id
        self.outbox = api.hub.consumer("lyon")
        self.said: list[str] = []

    def says(self, count: int) -> None:
        messages = []
        for _ in range(count):
            text = f"m{len(self.said)}"
            self.said.append(text)
            at_ms = now_ms()
            message_id = uuid7(at_ms, len(self.said).to_bytes(10, "big"))
            messages.append(
                ChatMessage(
                    message_id=message_id,
                    stream_id=self.stream_id,
                    timestamp=at_ms,
                    user_id="bob",
                    username="bob",
                    message=text,
                )
            )
        self.outbox.add(subjects.chat(self.channel_id, "lyon"), msgspec.json.encode(messages))

    async def history(self) -> list[str]:
        found: list[str] = []
        before = ""
        while True:
            answer = await self.api.get(f"/v1/streams/{self.stream_id}/chat?limit=500&before={before}")
            assert answer.status == 200, answer.body
            found[:0] = [one["message"] for one in answer.body["messages"]]
            if not answer.body["more"]:
                return found
            before = answer.body["messages"][0]["message_id"]

    async def state(self) -> str:
        return str((await self.api.get("/readyz")).body["chat_history"])

    async def all_acked(self) -> None:
        async with asyncio.timeout(_SETTLE_S):
            while not all(message.acked for message in self.outbox.messages):
                await asyncio.sleep(0.05)


@pytest.fixture
async def talk(
    config: CoordinatorConfig,
    own_node: CassandraNode,
    start_api: Callable[[CoordinatorConfig], Awaitable[Any]],
) -> Talk:
    cluster = dataclasses.replace(cluster_of(own_node), user=USER, password=USER)
    api = await start_api(dataclasses.replace(config, cassandra=cluster))
    await answers(api.service._parts.chat_store)
    channel = await api.channel("ada")
    body = {"title": "t", "user_id": channel["user_id"]}
    stream = (await api.post("/streams", body, token=channel["token"])).body
    return Talk(api, channel["channel_id"], stream["stream_id"])


async def test_kill_in_the_middle_of_writing(talk: Talk, own_node: CassandraNode) -> None:
    kills = {15, 40}
    for number in range(ROUNDS):
        talk.says(EACH)
        await asyncio.sleep(0.02)
        if number in kills:
            await asyncio.to_thread(own_node.kill)
            talk.says(EACH)
            await asyncio.sleep(0.5)
            assert await talk.state() == "away"
            assert not talk.outbox.messages[-1].acked
            answer = await talk.api.get(f"/v1/streams/{talk.stream_id}/chat")
            assert (answer.status, answer.body["code"]) == (503, "chat_history_away")
            await asyncio.to_thread(own_node.start)
    await talk.all_acked()
    found = await talk.history()
    assert sorted(found) == sorted(talk.said), "lost or doubled"
    assert found == talk.said
    assert await talk.state() == "answers"
    await asyncio.to_thread(own_node.stop)
    await asyncio.to_thread(own_node.start)
    await answers(talk.api.service._parts.chat_store)
    assert await talk.history() == talk.said


async def test_a_wrong_password_is_waited_for_like_a_node_that_is_away(talk: Talk, own_node: CassandraNode) -> None:
    for user, password in ((USER, "wrong"), ("", "")):
        session = Session(dataclasses.replace(cluster_of(own_node), user=user, password=password))
        with pytest.raises(UnavailableError) as refused:
            await session.connect()
        assert refused.value.code == "chat_history_refuses"
        await session.close()


async def test_a_node_that_hangs_holds_nobody_up(talk: Talk, own_node: CassandraNode) -> None:
    talk.says(EACH)
    await talk.all_acked()
    own_node.freeze()
    try:
        talk.says(EACH)
        async with asyncio.timeout(12.0):
            answer = await talk.api.get(f"/v1/streams/{talk.stream_id}/chat")
        assert answer.status == 503
        assert await talk.state() == "away"
        assert not talk.outbox.messages[-1].acked
    finally:
        own_node.thaw()
    await answers(talk.api.service._parts.chat_store)
    await talk.all_acked()
    assert await talk.history() == talk.said
