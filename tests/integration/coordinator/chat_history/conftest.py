"""A real Cassandra for the session, and each store of the history in turn."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from appliance.contracts.errors import UnavailableError
from coordinator.chat_history.cassandra import CassandraChatStore
from coordinator.chat_history.ports import ChatStore
from coordinator.chat_history.postgresql import PostgresChatStore
from coordinator.config import CassandraCluster
from coordinator.db import Database
from tests.support.cassandra import DATA_CENTRE, CassandraNode

_ANSWERS_S = 60.0


@pytest.fixture(scope="session")
def cassandra_node() -> Iterator[CassandraNode]:
    """The node that tests share; nobody stops it."""
    home = Path(tempfile.mkdtemp(prefix="nearcast-cassandra-"))
    node = CassandraNode(home)
    try:
        node.start()
        yield node
    finally:
        node.kill()
        shutil.rmtree(home, ignore_errors=True)


def cluster_of(node: CassandraNode, keyspace: str = "nearcast") -> CassandraCluster:
    return CassandraCluster(
        contact_points=(node.address,),
        port=node.port,
        data_centre=DATA_CENTRE,
        keyspace=keyspace,
        tls=node.tls(),
    )


async def answers(store: ChatStore, within_s: float = _ANSWERS_S) -> None:
    """Returns when the store answers."""
    async with asyncio.timeout(within_s):
        while True:
            with contextlib.suppress(UnavailableError):
                return await store.ping()
            await asyncio.sleep(0.02)


@pytest.fixture
async def lock_database(postgres: str) -> AsyncIterator[Database]:
    """A database that lends its locks."""
    database = Database(f"{postgres} dbname=postgres", size=2)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def cassandra_store(
    cassandra_node: CassandraNode, lock_database: Database
) -> AsyncIterator[CassandraChatStore]:
    store = CassandraChatStore(cluster_of(cassandra_node), lock_database)
    await store.open()
    await answers(store)
    yield store
    await store.close()


@pytest.fixture
async def postgresql_store(dsn: str) -> AsyncIterator[PostgresChatStore]:
    database = Database(dsn)
    await database.open()
    yield PostgresChatStore(database)
    await database.close()


@pytest.fixture(params=["postgresql", "cassandra"])
def store(request: pytest.FixtureRequest) -> ChatStore:
    """Each store of the product."""
    found: ChatStore = request.getfixturevalue(f"{request.param}_store")
    return found
