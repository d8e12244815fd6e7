"""What is Cassandra's own: times to live, the schema, a cluster that is away, the coordinator on top of it."""

import asyncio
import dataclasses
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.contracts import subjects
from appliance.contracts.chat import ChatMessage
from appliance.contracts.errors import BadInputError, ConfigError, UnavailableError
from appliance.contracts.ids import uuid7
from appliance.contracts.moderation import EventKind, RoomEvent
from appliance.doctor.history import chat_history
from appliance.runtime.clock import now_ms
from appliance.runtime.ids import new_id
from appliance.runtime.settings import CASSANDRA, Settings
from appliance.runtime.tls import client_tls
from coordinator.chat_history.cassandra import CassandraChatStore, schema
from coordinator.chat_history.cassandra.session import Session
from coordinator.config import CassandraCluster, CoordinatorConfig
from coordinator.db import Database
from tests.integration.coordinator.chat_history.conftest import answers, cluster_of
from tests.integration.coordinator.chat_history.test_chat_stores import DAY, HOUR, Room
from tests.support.cassandra import CassandraNode
from tests.support.certificates import make_certificate

DAY_S = 86_400


async def test_rows_end_ninety_days_after_they_were_said(cassandra_store: CassandraChatStore) -> None:
    room = Room(cassandra_store)
    fresh, old = room.said(room.now, "fresh"), room.said(room.now - 10 * DAY, "old")
    gone = room.said(room.now - 91 * DAY, "gone")
    await cassandra_store.add([gone, old, fresh])
    await cassandra_store.remove([room.removed(room.now - HOUR, message_id=old.message_id)])
    assert await room.bodies() == ["fresh"]
    session = cassandra_store._session
    lives: dict[str, list[Any]] = {}
    for row in (old, fresh):
        bucket = int(row.sent_at.timestamp()) // 600
        query = "select ttl(body), ttl(removed_by), ttl(reply_to) from nearcast.chat_messages"
        where = f" where channel_id = {room.channel_id} and bucket = {bucket}"
        lives[row.body] = list((await session.execute(query + where))[0])
    assert 90 * DAY_S - 60 < lives["fresh"][0] <= 90 * DAY_S
    assert 80 * DAY_S - 60 < lives["old"][0] <= 80 * DAY_S
    assert lives["old"][1] > lives["old"][0]
    assert lives["fresh"][1:] == [None, None]
    [[table]] = await session.execute(
        "select default_time_to_live from system_schema.tables"
        " where keyspace_name = 'nearcast' and table_name = 'chat_messages'"
    )
    assert table == 90 * DAY_S


async def test_another_process_finds_the_schema_and_the_messages(
    cassandra_store: CassandraChatStore, cassandra_node: CassandraNode, lock_database: Database
) -> None:
    room = Room(cassandra_store)
    await cassandra_store.add([room.said(room.now, "hello")])
    assert await schema.migrate(cassandra_store._session, cluster_of(cassandra_node)) == []
    other = CassandraChatStore(cluster_of(cassandra_node), lock_database)
    await other.open()
    try:
        await answers(other)
        page = await other.before(room.channel_id, room.stream_id, "", 10)
        assert [row.body for row in page.rows] == ["hello"]
    finally:
        await other.close()


async def test_a_value_that_no_column_holds_is_refused(cassandra_store: CassandraChatStore) -> None:
    room = Room(cassandra_store)
    with pytest.raises(BadInputError):
        await cassandra_store.add([room.said(room.now, "lone \ud800 surrogate")])
    await cassandra_store.add([room.said(room.now, "good")])
    assert await room.bodies() == ["good"]


async def test_a_cluster_that_is_away_is_waited_for(lock_database: Database) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        cluster = CassandraCluster(contact_points=("127.0.0.1",), port=nobody.getsockname()[1])
        store = CassandraChatStore(cluster, lock_database)
        room = Room(store)
        await store.open()
        try:
            for attempt in (
                store.add([room.said(room.now, "x")]),
                store.remove([room.removed(room.now)]),
                room.before(),
                store.ping(),
            ):
                with pytest.raises(UnavailableError):
                    await attempt
        finally:
            await store.close()


async def test_nodes_of_another_data_centre_are_not_asked(cassandra_node: CassandraNode) -> None:
    session = Session(dataclasses.replace(cluster_of(cassandra_node), data_centre="elsewhere"))
    with pytest.raises(UnavailableError):
        await session.connect()
    await session.close()


def test_names_that_cannot_stand_in_a_statement() -> None:
    good = CassandraCluster(contact_points=("c1",), keyspace="chat_2")
    schema.check(good)
    for change in ({"keyspace": "a; drop"}, {"keyspace": ""}, {"data_centre": "dc'1"}, {"data_centre": ""}):
        with pytest.raises(ConfigError):
            schema.check(dataclasses.replace(good, **change))


async def test_the_coordinator_with_its_history_in_cassandra(
    config: CoordinatorConfig,
    cassandra_node: CassandraNode,
    start_api: Callable[[CoordinatorConfig], Awaitable[Any]],
) -> None:
    api = await start_api(dataclasses.replace(config, cassandra=cluster_of(cassandra_node)))
    await answers(api.service._parts.chat_store)
    assert (await api.get("/readyz")).body == {
        "status": "ready",
        "chat_store": "cassandra",
        "chat_history": "answers",
    }
    channel = await api.channel("ada")
    room = channel["channel_id"]
    stream_id = (
        await api.post("/streams", {"title": "t", "user_id": channel["user_id"]}, token=channel["token"])
    ).body["stream_id"]
    outboxes = [api.hub.consumer(edge) for edge in ("lyon", "oslo")]
    first = now_ms() - 60_000
    ban = RoomEvent(
        event=EventKind.BAN,
        event_id=uuid7(first + 25, b"0123456789"),
        room=room,
        edge_id="lyon",
        timestamp=first + 25,
        target_id="bob",
    )
    outboxes[0].add(subjects.room_event(room, "lyon"), msgspec.json.encode([ban]))
    await outboxes[0].all_acked()
    said = [
        ChatMessage(
            message_id=uuid7(first + n * 10, n.to_bytes(10, "big")),
            stream_id=stream_id,
            timestamp=first + n * 10,
            user_id="bob" if n % 2 else "mona",
            username="x",
            message=f"m{n}",
        )
        for n in range(6)
    ]
    outboxes[1].add(subjects.chat(room, "oslo"), msgspec.json.encode(said))
    outboxes[1].add(subjects.chat(room, "oslo"), b"[{}]")
    await outboxes[1].all_acked()
    await asyncio.gather(*(outbox.all_acked() for outbox in outboxes))

    async def page(query: str) -> list[str]:
        answer = await api.get(f"/v1/streams/{stream_id}/chat?{query}")
        return [one["message"] for one in answer.body["messages"]]

    assert await page("limit=10") == ["m0", "m2", "m3", "m4", "m5"]
    assert await page(f"before={first + 30}") == ["m0", "m2"]
    assert await page(f"after={first + 20}&before={said[5].message_id}") == ["m3", "m4"]
    assert await api.sql("select count(*) from chat_messages") == [(0,)]
    assert await api.sql("select count(*) from dead_letters") == [(1,)]
    assert (await api.get(f"/v1/streams/{new_id()}/chat")).status == 404


async def test_in_tls(cassandra_node: CassandraNode, lock_database: Database) -> None:
    clear = cluster_of(cassandra_node)
    tls = client_tls(str(cassandra_node.authority), "", "")
    store = CassandraChatStore(dataclasses.replace(clear, tls=tls), lock_database)
    await store.open()
    try:
        await answers(store)
        room = Room(store)
        await store.add([room.said(room.now, "sealed")])
        assert await room.bodies() == ["sealed"]
        clients = await store._session.execute("select ssl_enabled from system_views.clients")
        assert [True] in [list(row) for row in clients]
    finally:
        await store.close()


async def test_a_node_nobody_vouches_for_is_not_spoken_to(cassandra_node: CassandraNode, tmp_path: Path) -> None:
    stranger = make_certificate(tmp_path / "stranger.pem", cassandra_node.address)
    tls = client_tls(str(stranger), "", "")
    session = Session(dataclasses.replace(cluster_of(cassandra_node), tls=tls))
    with pytest.raises(UnavailableError):
        await session.connect()
    await session.close()


def test_the_doctor_asks_in_tls(cassandra_node: CassandraNode, tmp_path: Path) -> None:
    def seen(authority: Path) -> str:
        coordinator = dataclasses.replace(Settings().coordinator, chat_store=CASSANDRA)
        told = dataclasses.replace(
            Settings().cassandra,
            contact_points=(cassandra_node.address,),
            port=cassandra_node.port,
            tls=True,
            authority=str(authority),
        )
        settings = dataclasses.replace(Settings(), coordinator=coordinator, cassandra=told)
        [finding] = chat_history(settings)
        return finding.seen

    assert seen(cassandra_node.authority) == f"port {cassandra_node.port} speaks CQL"
    assert "its certificate is refused" in seen(make_certificate(tmp_path / "stranger.pem", "127.0.0.1"))
    assert "TLS files" in seen(tmp_path / "missing.pem")
