"""The connection pool. A transaction is the only way to a connection."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from psycopg.rows import TupleRow
from psycopg.types.string import TextLoader
from psycopg_pool import AsyncConnectionPool

from appliance.contracts.errors import UnavailableError
from coordinator.db.errors import mapping

Connection = psycopg.AsyncConnection[TupleRow]


async def configure(connection: Connection) -> None:
    """UUIDs are strings everywhere in this program, as they are on the wire."""
    connection.adapters.register_loader("uuid", TextLoader)


class Database:
    """A pool of at most `size` connections to `dsn`. Open and close it in the running loop."""

    def __init__(self, dsn: str, *, size: int = 4, wait_s: float = 2.0, statement_ms: int = 5000) -> None:
        self.dsn = dsn
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            dsn,
            min_size=1,
            max_size=size,
            open=False,
            timeout=wait_s,
            max_waiting=256,
            configure=configure,
            kwargs={
                "autocommit": True,
                "connect_timeout": 2,
                "application_name": "nearcast",
                "options": f"-c statement_timeout={statement_ms} -c timezone=UTC",
            },
            name="coordinator",
        )

    async def open(self, wait_s: float = 30.0) -> None:
        """Opens the pool. UnavailableError when the database does not answer within `wait_s`."""
        with mapping():
            await self._pool.open(wait=True, timeout=wait_s)

    async def close(self) -> None:
        """Closes every connection."""
        await self._pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection in a transaction that commits at the end and rolls back on any error.

        UnavailableError when no connection is free in time; driver errors leave as ours.
        """
        with mapping():
            async with self._pool.connection() as connection, connection.transaction():
                yield connection

    @asynccontextmanager
    async def alone(self, number: int) -> AsyncIterator[None]:
        """Of all processes with this database one at a time is within. UnavailableError: another one is."""
        async with self.transaction() as connection:
            row = await (await connection.execute("select pg_try_advisory_xact_lock(%s)", (number,))).fetchone()
            if row is None or not row[0]:
                raise UnavailableError("another process holds the lock", retry_after_s=1)
            yield

    async def ping(self) -> None:
        """UnavailableError unless the database answers."""
        async with self.transaction() as connection:
            await connection.execute("select 1")
