"""The driver behind asyncio: requests go out from the loop, answers come back to it from the driver's own thread.

Nothing here waits in the loop's thread: what blocks (connecting, preparing, closing) runs in an executor.
"""

import asyncio
import logging
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Any

from cassandra import AuthenticationFailed, ConsistencyLevel, DriverException, InvalidRequest, Unauthorized
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
from cassandra.cluster import Session as DriverSession
from cassandra.connection import ConnectionException
from cassandra.policies import (
    ConstantReconnectionPolicy,
    ConstantSpeculativeExecutionPolicy,
    DCAwareRoundRobinPolicy,
    RetryPolicy,
    TokenAwarePolicy,
)
from cassandra.protocol import ErrorMessage
from cassandra.query import BatchStatement, BatchType, PreparedStatement, tuple_factory

from appliance.contracts.errors import BadInputError, UnavailableError
from coordinator.config import CassandraCluster

logging.getLogger("cassandra").setLevel(logging.ERROR)  # it tells of each try to reach a node that is away
Values = Sequence[object]
_IN_FLIGHT = 256  # requests of this process; beyond them callers wait for their turn
_CONNECT_S = 5.0
_HEARTBEAT_S = 5.0
_RECONNECT_S = 1.0
_ANOTHER_S = 0.5  # a node that has not answered by then is not waited for alone
_REFUSED = (ValueError, TypeError, OverflowError, struct.error)  # of a value that its column can't hold


class Session:
    """Connections to a cluster. Requests raise UnavailableError until `connect` was successful.

    `request_s`: how long a request may take; the driver reconnects by itself to nodes that come back.
    """

    def __init__(self, cluster: CassandraCluster, request_s: float = 5.0) -> None:
        self._wanted = cluster
        self._request_s = request_s
        self._turn = asyncio.Semaphore(_IN_FLIGHT)
        self._guard = threading.Lock()
        self._cluster: Cluster | None = None
        self._driver: DriverSession | None = None
        self._closed = False

    async def connect(self) -> None:
        """UnavailableError: no node answers, none is in the data centre, or they refuse the user."""
        await self._blocking(self._connect)

    def _connect(self) -> None:
        cluster = self._make()
        try:
            driver = cluster.connect()
        except BaseException:
            cluster.shutdown()
            raise
        with self._guard:
            if not self._closed:
                self._cluster, self._driver = cluster, driver
                return
        cluster.shutdown()

    def _make(self) -> Cluster:
        wanted = self._wanted
        profile = ExecutionProfile(
            load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(wanted.data_centre)),
            retry_policy=RetryPolicy(),
            speculative_execution_policy=ConstantSpeculativeExecutionPolicy(_ANOTHER_S, 1),
            consistency_level=ConsistencyLevel.LOCAL_QUORUM,
            serial_consistency_level=ConsistencyLevel.LOCAL_SERIAL,
            request_timeout=self._request_s,
            row_factory=tuple_factory,
        )
        return Cluster(
            list(wanted.contact_points),
            port=wanted.port,
            ssl_context=wanted.tls,
            auth_provider=PlainTextAuthProvider(wanted.user, wanted.password) if wanted.user else None,
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
            reconnection_policy=ConstantReconnectionPolicy(_RECONNECT_S, None),
            connect_timeout=_CONNECT_S,
            control_connection_timeout=_CONNECT_S,
            idle_heartbeat_interval=_HEARTBEAT_S,
            idle_heartbeat_timeout=_HEARTBEAT_S,
        )

    def nodes(self) -> int:
        """How many nodes the data centre has, running or not."""
        assert self._cluster is not None
        return sum(host.datacenter == self._wanted.data_centre for host in self._cluster.metadata.all_hosts())

    async def close(self) -> None:
        """Ends every connection."""
        with self._guard:
            self._closed = True
            cluster, self._cluster, self._driver = self._cluster, None, None
        if cluster is not None:
            await self._blocking(cluster.shutdown)

    async def prepare(self, text: str) -> PreparedStatement:
        """A statement that is sent again without its text and may be tried again by the driver."""
        statement = await self._blocking(self._reached().prepare, text)
        statement.is_idempotent = True
        return statement

    async def execute(self, statement: str | PreparedStatement, values: Values | None = None) -> list[Any]:
        """The rows of one page, as tuples. BadInputError: a value that cannot be stored; UnavailableError."""
        return await self._send(lambda driver: driver.execute_async(statement, values))

    async def write(self, statement: PreparedStatement, rows: Sequence[Values]) -> None:
        """Writes rows of one partition at once. Errors as of `execute`."""

        def send(driver: DriverSession) -> Any:
            batch = BatchStatement(BatchType.UNLOGGED)
            for values in rows:
                batch.add(statement, values)
            batch.is_idempotent = True
            return driver.execute_async(batch)

        await self._send(send)

    async def _send(self, send: Callable[[DriverSession], Any]) -> list[Any]:
        loop = asyncio.get_running_loop()
        async with self._turn:
            answer: asyncio.Future[list[Any]] = loop.create_future()

            def deliver(settle: Callable[[Any], None], value: Any) -> None:
                if not answer.done():
                    settle(value)

            def post(settle: Callable[[Any], None], value: Any) -> None:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(deliver, settle, value)

            try:
                request = send(self._reached())
            except _REFUSED as error:
                raise BadInputError("a value is outside what can be stored", code="bad_value") from error
            request.add_callbacks(
                lambda rows: post(answer.set_result, rows or []),
                lambda error: post(answer.set_exception, _unavailable(error)),
            )
            return await answer

    async def _blocking(self, call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return await asyncio.to_thread(call, *arguments)
        except (DriverException, NoHostAvailable, ConnectionException, ErrorMessage, OSError) as error:
            raise _unavailable(error) from error

    def _reached(self) -> DriverSession:
        if self._driver is None:
            raise UnavailableError("the history of chat is away", code="chat_history_away", retry_after_s=2)
        return self._driver


def _unavailable(error: Exception) -> UnavailableError:
    """The error a caller sees, `error` chained as its cause; its detail never carries values.

    What the cluster refuses (a keyspace that is not there, a user without rights) is waited for as well: it is
    never the fault of what is stored.
    """
    by_node = getattr(error, "errors", None)  # of NoHostAvailable, sometimes only the nodes' addresses
    causes = [*by_node.values(), error] if isinstance(by_node, dict) else [error]
    refused = any(isinstance(cause, InvalidRequest | Unauthorized | AuthenticationFailed) for cause in causes)
    made = (
        UnavailableError("the store of the history refuses", code="chat_history_refuses")
        if refused
        else UnavailableError("the history of chat is away", code="chat_history_away", retry_after_s=2)
    )
    made.__cause__ = error
    return made
