"""The viewer HTTP server of one process: listening, delivery in slices, time limits, counters."""

import asyncio
import email.utils
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from appliance.runtime.listening import inherited
from appliance.runtime.tasks import Tasks
from appliance.runtime.tls import ServerTls
from edge.origin.config import SLACK, OriginConfig
from edge.origin.connection import ViewerConnection
from edge.origin.held import Waiter
from edge.origin.http2 import Http2Connection
from edge.origin.metrics import CONNECTIONS, WAITERS, Tally
from edge.origin.responses import Response, error
from edge.origin.routes import Routes
from edge.origin.secure import SecureListener
from edge.protocols.http.request import HeadMemo
from edge.protocols.http2.requests import BlockMemo

_SLICE = 1024  # connections looked at in one turn of the loop
TICK_S = 0.25
_BACKLOG = 4096
_HELD_TOO_LONG = error("held", 503, "What was asked for did not come in time.")
_FULL = error("request", 503, "This server has as many viewers as it can take.", close=True)


class Held(Waiter, Protocol):
    """A request that waits, and until when."""

    held_until: float


class Connected(Protocol):
    """A connection of whatever kind."""

    transport: asyncio.Transport

    def check(self, now: float) -> str:
        """The reason for which it must be cut, or nothing."""


class Arriving(Connected, Protocol):
    """One that has just been accepted."""

    def refuse(self, response: Response) -> None:
        """Answers whatever is asked with this, and ends."""


class OriginServer:
    """Owns the listening sockets and every connection. `on_tick` runs several times a second."""

    def __init__(
        self,
        *,
        config: OriginConfig,
        routes: Routes,
        tally: Tally,
        on_tick: Callable[[], None],
        on_failure: Callable[[BaseException], None] | None = None,
        tls: ServerTls | None = None,
    ) -> None:
        """`tls`: the certificate of a second port, on which the same is said over TLS."""
        self.config = config
        self.routes = routes
        self.tally = tally
        self.memo = HeadMemo()
        self.blocks = BlockMemo()
        self.date = b""
        self.ticked = 0.0  # monotonic seconds of the last tick
        self.idle_until = 0.0  # for a connection that begins to wait now; exact to a tick
        self.held: set[Held] = set()
        self._on_tick = on_tick
        self._connections: set[Connected] = set()
        self._tasks = Tasks(on_failure)
        self._listener: asyncio.Server | None = None
        self._secure = SecureListener(self, tls) if tls is not None else None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._second = -1.0

    def now(self) -> float:
        """Monotonic seconds."""
        assert self._loop is not None
        return self._loop.time()

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._listener is not None
        return int(self._listener.sockets[0].getsockname()[1])

    @property
    def secure_port(self) -> int:
        """The port for TLS."""
        assert self._secure is not None
        return self._secure.port

    async def start(self) -> None:
        """Returns when listening. OSError when the address cannot be had."""
        self._loop = asyncio.get_running_loop()
        self._stamp()
        self._begin_tick(self.now())
        held = inherited("http")
        if held is not None:
            self._listener = await self._loop.create_server(
                lambda: ViewerConnection(self), sock=held, backlog=_BACKLOG
            )
        else:
            self._listener = await self._loop.create_server(
                lambda: ViewerConnection(self),
                self.config.host,
                self.config.port,
                backlog=_BACKLOG,
                reuse_port=self.config.reuse_port or None,
            )
        if self._secure is not None:
            await self._secure.start()
        self._tasks.start(self._tick(), "origin-tick")

    async def drain(self) -> None:
        """Takes no new connections; gives those who hold a request or read an answer a bounded time."""
        self._close_listeners()
        for connection in list(self._connections):
            if isinstance(connection, Http2Connection):
                connection.drain()
        limit = self.now() + self.config.drain_s
        while self.held and self.now() < limit:  # noqa: ASYNC110 - bounded, and only when leaving
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Closes everything."""
        self._close_listeners()
        if self._secure is not None:
            await self._secure.close()
        await self._tasks.close()
        for connection in list(self._connections):
            connection.transport.abort()
        await asyncio.sleep(0)
        self.tally.flush()

    def _close_listeners(self) -> None:
        if self._listener is not None:
            self._listener.close()
        if self._secure is not None:
            self._secure.close_listener()

    # -- the connections' calls

    @property
    def count(self) -> int:
        """Open connections."""
        return len(self._connections)

    def start_task(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """A child of the server."""
        self._tasks.start(work, name)

    def opened(self, connection: Arriving) -> None:
        """A connection was accepted: kept, or refused when there are too many."""
        self._connections.add(connection)
        over = len(self._connections) - self.config.connections
        if over > 0:
            self.tally.event("over_connections")
            if over > SLACK:
                connection.transport.abort()
            else:
                connection.refuse(_FULL)

    def lost(self, connection: Connected) -> None:
        self._connections.discard(connection)

    def replace(self, connection: Connected, other: Connected) -> None:
        """A connection goes on as another kind."""
        self._connections.discard(connection)
        self._connections.add(other)

    def has_room(self) -> bool:
        """Whether one more request may be held."""
        if len(self.held) < self.config.waiters:
            return True
        self.tally.event("over_waiters")
        return False

    def answered(self, connections: Sequence[ViewerConnection], response: Response) -> None:
        """The same answer has gone out to all of these, who were held for it."""
        self.held.difference_update(connections)
        self.tally.answered(response.key, response.size, len(connections))
        for connection in connections:
            connection.answered()

    # -- time

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            self._on_tick()
            now = self.now()
            self._begin_tick(now)
            for connection in [one for one in self.held if now >= one.held_until]:
                connection.answer(_HELD_TOO_LONG)
            if now - self._second >= 1.0:
                self._stamp()
                await self._sweep(now)
                CONNECTIONS.set(len(self._connections))
                WAITERS.set(len(self.held))
                self.tally.flush()

    def _begin_tick(self, now: float) -> None:
        self.ticked = now
        self.idle_until = now + self.config.idle_connection_s

    def _stamp(self) -> None:
        self._second = self.now()
        self.date = f"Date: {email.utils.formatdate(usegmt=True)}\r\n".encode()

    async def _sweep(self, now: float) -> None:
        for index, connection in enumerate(list(self._connections)):
            reason = connection.check(now)
            if reason:
                self.tally.event(reason)
                connection.transport.abort()
            if index % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
