"""Whatever is killed under a busy room, each message is acknowledged at last, in the history once, and seen by all.

Once with the history in PostgreSQL, once in a Cassandra that is killed as well. `NEARCAST_CLIENTS` is how many
clients there are (100).
"""

import asyncio
import contextlib
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.e2e_node import Node
from tests.e2e.test_e2e_api import announce, call
from tests.fault.chat_clients import Numbered
from tests.support.cassandra import DATA_CENTRE, CassandraNode

CLIENTS = int(os.environ.get("NEARCAST_CLIENTS", "100"))
VICTIMS = ("chat", "chat-2", "nats-edge", "valkey", "postgres", "nats-hub", "coordinator")
_EVERY_S = CLIENTS / 25  # so that the room has 25 messages a second
_RUDE = 5  # each fifth client loses its connection again and again before it is acknowledged
_BETWEEN_S = 3.0
_READY_S = 40.0
_SETTLE_S = 60.0

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]


async def history(node: Node, path: str) -> list[str]:
    """All texts of the centre's history, oldest first."""
    found: list[str] = []
    before = ""
    while True:
        status, page = await call(node, "GET", f"{path}?limit=100" + (f"&before={before}" if before else ""))
        assert status == 200, page
        found[:0] = [one["message"] for one in page["messages"]]
        if not page["more"]:
            return found
        before = page["messages"][0]["message_id"]


async def until_in_history(node: Node, path: str, wanted: set[str]) -> list[str]:
    """The history, once it has all that are wanted or nothing comes any more."""
    until = time.monotonic() + _SETTLE_S
    while True:
        found = await history(node, path)
        if wanted <= set(found) or time.monotonic() > until:
            return found
        await asyncio.sleep(0.5)


@contextlib.asynccontextmanager
async def busy_room(node: Node, path: str, token: str) -> AsyncIterator[list[Numbered]]:
    """Clients that talk; on leaving they have been silent for a while and then leave."""
    url = f"{node.web}{path}/subscribe"
    clients = [Numbered(f"c{number}", url, token, _EVERY_S, rude=number % _RUDE == 0) for number in range(CLIENTS)]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        readers = [asyncio.ensure_future(client.read(session)) for client in clients]
        await asyncio.wait_for(asyncio.gather(*(client.joined.wait() for client in clients)), 60)
        speakers = [asyncio.ensure_future(client.speak()) for client in clients]
        try:
            yield clients
            for client in clients:
                client.hush()
            await asyncio.gather(*speakers)
            await until_acknowledged(clients)
            await until_level(clients)
        finally:
            for task in (*readers, *speakers):
                task.cancel()
            await asyncio.gather(*readers, *speakers, return_exceptions=True)


async def until_acknowledged(clients: list[Numbered]) -> None:
    """Until nobody waits for an acknowledgement, or it has taken too long."""
    until = time.monotonic() + _SETTLE_S
    while time.monotonic() < until and any(client.waiting for client in clients):
        for client in clients:
            await client.again()
        await asyncio.sleep(2.0)


async def until_level(clients: list[Numbered]) -> None:
    """Until all clients have the same last position and nothing new came for a moment."""
    until = time.monotonic() + _SETTLE_S
    last: set[str] = set()
    while time.monotonic() < until:
        await asyncio.sleep(2.0)
        now = {client.position for client in clients}
        if len(now) == 1 and now == last:
            return
        last = now


@pytest.fixture
def cassandra() -> Iterator[CassandraNode]:
    """A Cassandra outside the node, as an operator has it."""
    home = Path(tempfile.mkdtemp(prefix="nearcast-cassandra-"))
    server = CassandraNode(home)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(home, ignore_errors=True)


def settings_for(cassandra: CassandraNode) -> dict[str, str]:
    return {
        "NEARCAST__COORDINATOR__CHAT_STORE": "cassandra",
        "NEARCAST__CASSANDRA__CONTACT_POINTS": cassandra.address,
        "NEARCAST__CASSANDRA__PORT": str(cassandra.port),
        "NEARCAST__CASSANDRA__DATA_CENTRE": DATA_CENTRE,
    }


async def test_nothing_acknowledged_is_lost(fresh_node: Callable[..., Node]) -> None:
    await survives(fresh_node(NEARCAST__CHAT__WORKERS="2", NEARCAST__CHAT__USER_PER_MINUTE="100000"), None)


async def test_nothing_acknowledged_is_lost_with_cassandra(
    fresh_node: Callable[..., Node], cassandra: CassandraNode
) -> None:
    node = fresh_node(
        NEARCAST__CHAT__WORKERS="2", NEARCAST__CHAT__USER_PER_MINUTE="100000", **settings_for(cassandra)
    )
    await survives(node, cassandra)
    assert node.status()["chat_history"] == {"store": "cassandra", "state": "answers"}


async def survives(node: Node, cassandra: CassandraNode | None) -> None:
    """Kills each part in turn while clients talk, and demands that nothing is lost."""
    channel = await asyncio.to_thread(node.channel, "faults")
    path = f"/streams/{(await announce(node, channel))['stream_id']}/chat"
    async with busy_room(node, path, channel.token) as clients:
        for role in VICTIMS:
            await asyncio.sleep(_BETWEEN_S)
            before = sum(len(client.acknowledged) for client in clients)
            await asyncio.to_thread(node.kill, role)
            took = await asyncio.to_thread(node.wait_ready, _READY_S, role)
            after = sum(len(client.acknowledged) for client in clients)
            print(f"  {role}: ready again after {took:.1f} s, {after - before} acknowledged meanwhile")
        if cassandra is not None:
            await asyncio.sleep(_BETWEEN_S)
            before = sum(len(client.acknowledged) for client in clients)
            await asyncio.to_thread(cassandra.kill)
            took = await asyncio.to_thread(cassandra.start)
            after = sum(len(client.acknowledged) for client in clients)
            print(f"  cassandra: ready again after {took:.1f} s, {after - before} acknowledged meanwhile")
        await asyncio.sleep(_BETWEEN_S)
    acknowledged = set[str]().union(*(client.acknowledged for client in clients))
    kept = await until_in_history(node, path, acknowledged)
    report(clients, acknowledged, kept)


def report(clients: list[Numbered], acknowledged: set[str], kept: list[str]) -> None:
    """Says how it went, then demands that nothing was lost."""
    counts = Counter(kept)
    missing = acknowledged - set(counts)
    doubled = [text for text, count in counts.items() if count > 1]
    unseen = {client.name: acknowledged - set(client.seen) for client in clients if not client.gaps}
    repeated = {client.name: [text for text, count in client.seen.items() if count > 1] for client in clients}
    sent = sum(len(client.sent) for client in clients)
    print(
        f"clients {len(clients)}, {sum(client.lost for client in clients)} connections lost: "
        f"sent {sent}, said again {sum(client.repeated for client in clients)}, "
        f"acknowledged {len(acknowledged)}, in history {len(kept)}, "
        f"missing {len(missing)}, doubled {len(doubled)}; "
        f"clients with a gap notice {sum(client.gaps > 0 for client in clients)}, "
        f"unseen by others {sum(map(len, unseen.values()))}, seen twice {sum(map(len, repeated.values()))}"
    )
    assert len(acknowledged) == sent
    assert not missing
    assert not doubled
    assert not any(unseen.values()), {name: sorted(texts)[:5] for name, texts in unseen.items() if texts}
    assert not any(repeated.values()), {name: texts[:5] for name, texts in repeated.items() if texts}
    longest = max((client.order for client in clients), key=len)
    place = {text: number for number, text in enumerate(longest)}
    for client in clients:
        numbers = [place[text] for text in client.order if text in place]
        assert numbers == sorted(numbers), f"{client.name} saw them in another order"
