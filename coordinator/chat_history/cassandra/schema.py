"""The keyspace and its numbered CQL files, applied once and in order.

Two coordinators must not change a schema at the same time: the caller holds a lock. Each statement may run again,
so a file that was broken off is repeated.
"""

import re
from pathlib import Path

from appliance.contracts.errors import ConfigError
from appliance.runtime.logs import get_logger
from coordinator.chat_history.cassandra.session import Session
from coordinator.config import CassandraCluster
from coordinator.db.migrate import load, pending

MIGRATIONS = Path(__file__).parent / "migrations"
_MOST_COPIES = 3
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]{0,47}\Z")
_log = get_logger("coordinator.chat_history")


def check(cluster: CassandraCluster) -> None:
    """ConfigError: names that can't stand in a statement."""
    if not _NAME.match(cluster.keyspace):
        raise ConfigError("cassandra.keyspace: letters, digits and _, at most 48, a letter first")
    if not re.fullmatch(r"[\w.-]{1,100}", cluster.data_centre):
        raise ConfigError("cassandra.data_centre: letters, digits, _, - and .")


async def migrate(session: Session, cluster: CassandraCluster) -> list[str]:
    """Makes what is missing; returns the versions applied now. ConfigError as `load` and `pending`."""
    migrations = load(MIGRATIONS, "cql")
    copies = cluster.replication or min(_MOST_COPIES, max(1, session.nodes()))
    name = cluster.keyspace
    await session.execute(
        f"create keyspace if not exists {name} with replication ="
        f" {{'class': 'NetworkTopologyStrategy', '{cluster.data_centre}': {copies}}}"
    )
    await _judge(session, cluster)
    await session.execute(
        f"create table if not exists {name}.schema_migration"
        " (version text primary key, checksum text, applied_at timestamp)"
    )
    applied = dict(await session.execute(f"select version, checksum from {name}.schema_migration"))  # noqa: S608
    todo = pending(migrations, applied)
    for migration in todo:
        for statement in migration.statements():
            await session.execute(statement.replace("{keyspace}", name))
        await session.execute(
            f"insert into {name}.schema_migration (version, checksum, applied_at)"  # noqa: S608
            " values (%s, %s, toTimestamp(now()))",
            (migration.version, migration.checksum),
        )
    return [migration.version for migration in todo]


async def _judge(session: Session, cluster: CassandraCluster) -> None:
    """Says what an operator should change, for neither is ours to do.

    A keyspace's replication belongs to a repair. A node that syncs its commit log periodically acknowledges what it
    may lose when it is killed: with fewer than three copies nobody else has it.
    """
    rows = await session.execute(
        "select replication from system_schema.keyspaces where keyspace_name = %s", (cluster.keyspace.lower(),)
    )
    copies = int(rows[0][0].get(cluster.data_centre, 0)) if rows else 0
    if cluster.replication and copies != cluster.replication:
        _log.warning("cassandra_replication_differs", keyspace=cluster.keyspace, copies=copies)
    sync = await session.execute("select value from system_views.settings where name = 'commitlog_sync'")
    if copies < _MOST_COPIES and sync and sync[0][0] == "periodic":
        _log.warning("cassandra_may_lose_acknowledged", commitlog_sync="periodic", copies=copies)
