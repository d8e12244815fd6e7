"""The hub over a real NATS server: directory, requests, and an outbox drained into a real database."""

import asyncio
import dataclasses
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import msgspec
import psycopg
import pytest

from appliance.contracts import subjects
from appliance.contracts.chat import ChatMessage, ChatPosted
from appliance.contracts.directory import KeyRecord, secret_hash
from appliance.contracts.errors import UnavailableError
from appliance.contracts.grants import GrantAnswer, GrantRequest
from appliance.contracts.ids import uuid7
from appliance.runtime.bus import Bus, BusMessage, Endpoint
from appliance.runtime.streams import StreamSpec
from coordinator.hub import BusHub
from coordinator.service import CoordinatorService

EDGE = "lyon"


@pytest.fixture(scope="module")
def nats_url(tmp_path_factory) -> Iterator[str]:
    """A server whose JetStream domain is the edge's: hub and edge in one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tmp_path_factory.mktemp("nats")
    settings = home / "nats.conf"
    settings.write_text(f'listen: "127.0.0.1:{port}"\njetstream {{ domain: {EDGE}, store_dir: "{home}/store" }}\n')
    program = Path(sys.executable).parent / "nats-server"
    server = subprocess.Popen([program, "-c", settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.02)
    yield f"nats://127.0.0.1:{port}"
    server.terminate()
    server.wait(10)


@pytest.fixture
async def bus(nats_url) -> AsyncIterator[Bus]:
    connected = await Bus.connect(Endpoint(nats_url), name="coordinator")
    yield connected
    await connected.close()


@pytest.fixture
async def service(bus, config) -> AsyncIterator[CoordinatorService]:
    await bus.ensure_stream(StreamSpec(subjects.outbox(EDGE), subjects=subjects.outbox_filters(EDGE)))
    one_edge = dataclasses.replace(config, edges=config.edges[:1])
    running = CoordinatorService(one_edge, BusHub(bus))
    await running.start()
    yield running
    await running.stop()


async def test_directory_is_written_and_outbox_is_drained(bus, service, config):
    token = await service.ensure_operator()
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{service.port}", headers=headers) as client:
        assert (await client.get("/readyz")).status == 200
        made = await (await client.post("/v1/channels", json={"name": "ada"})).json()
    entry = await bus.bucket(subjects.DIRECTORY_BUCKET).get(
        subjects.stream_key_key(secret_hash(made["stream_key"]))
    )
    assert msgspec.json.decode(entry.value, type=KeyRecord).channel == "ada"
    message = ChatMessage(
        message_id=uuid7(1, b"0123456789"),
        stream_id="",
        timestamp=1,
        user_id=made["user_id"],
        username="ada",
        message="hello",
    )
    await bus.append(subjects.chat(made["channel_id"], EDGE), msgspec.json.encode([message]), message_id="entry-1")
    async with asyncio.timeout(5), await psycopg.AsyncConnection.connect(config.dsn) as connection:
        while True:
            rows = await (await connection.execute("select body from chat_messages")).fetchall()
            await connection.commit()
            if rows == [("hello",)]:
                break
            await asyncio.sleep(0.02)


async def test_request_is_answered_or_unavailable(bus):
    hub = BusHub(bus)
    with pytest.raises(UnavailableError):
        await hub.request(subjects.chat_post("nowhere"), b"{}", timeout_s=0.1)

    async def answer(message: BusMessage) -> None:
        await message.reply(msgspec.json.encode(ChatPosted(message_id="m", timestamp=1)))

    await bus.subscribe(subjects.chat_post(EDGE), answer)
    posted = await hub.request(subjects.chat_post(EDGE), b"{}", timeout_s=1.0)
    assert msgspec.json.decode(posted, type=ChatPosted).message_id == "m"


async def test_an_edge_asks_for_a_grant_over_the_bus(bus, service):
    operator = await service.ensure_operator()
    headers = {"Authorization": f"Bearer {operator}"}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{service.port}", headers=headers) as client:
        made = await (await client.post("/v1/channels", json={"name": "grace"})).json()
        await client.patch("/v1/channels/grace", json={"access": "subscribers"})
    for token, status in ((made["token"], 200), ("nct_wrong", 401)):
        asked = GrantRequest(token=secret_hash(token), channel="grace")
        data = await bus.request(subjects.grant_request(EDGE), msgspec.json.encode(asked), 5.0)
        answer = msgspec.json.decode(data, type=GrantAnswer)
        assert answer.status == status
        assert bool(answer.grant) == (status == 200)
