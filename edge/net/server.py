"""What every server of WebRTC sessions has: the port, the HTTP connections, the sessions by name and their time."""

import asyncio
import secrets
import socket
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from appliance.runtime.handoff import HandoffReceiver
from appliance.runtime.logs import get_logger
from appliance.runtime.tasks import Tasks
from edge.net.answers import Answer
from edge.net.certificate import RENEW_S, Identity
from edge.net.connection import ConnectionTimes, HandedConnection
from edge.net.resource import Addressed, Over
from edge.net.udp import MediaPort, Peer
from edge.protocols.http.request import HeadMemo, RequestHead
from edge.protocols.webrtc.answer import LocalDescription, candidates, write_restart
from edge.protocols.webrtc.ice import IceAgent
from edge.protocols.webrtc.sdp import Fragment

TICK_S = 0.02
_SECOND = 50  # ticks
_ENDED = 2_000  # names of sessions that are over, so that a late DELETE is no error
_MEMO = 256


class ServerConfig(ConnectionTimes, Protocol):
    """Where it listens and how much it takes."""

    @property
    def host(self) -> str:
        """Address of the media port."""

    @property
    def port(self) -> int:
        """The media port, 0 for any."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Addresses that peers reach."""

    @property
    def connections(self) -> int:
        """Most connections of HTTP, and as many for media over TCP."""


class Session(Peer, Protocol):
    """A session as its server sees it."""

    address: str  # where its offer came from
    mid: str
    offer_fragment: str
    is_over: bool

    @property
    def is_connecting(self) -> bool:
        """Whether the other side waits for what we answer."""

    def tick(self, now: float) -> None:
        """Every 20 ms."""

    def end(self, reason: str, code: str, *, clean: bool) -> None:
        """It is over. `clean`: the peer said so itself."""


S = TypeVar("S", bound=Session)


class SessionServer(ABC, Generic[S]):
    """A base: a subclass makes sessions, `add`s them, and answers requests in `serve`.

    `start`, then `drain`, then `stop`; `tasks` are the owner's. HTTP connections come over the unix socket
    `socket_path` from the role that owns the viewer port.
    """

    def __init__(
        self, config: ServerConfig, socket_path: Path, tasks: Tasks, *, prefix: str, name: str, rests: bool = False
    ) -> None:
        """`rests`: what live sessions send may wait for the next tick."""
        self.prefix = prefix
        self.memo = HeadMemo(_MEMO)
        self.draining = False
        self._name = name
        self._rests = rests
        self._server_config = config
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._port = MediaPort(config.connections)
        self._receiver = HandoffReceiver(socket_path, self.adopt)
        self._identity = Identity(self.now())
        self._sessions: dict[str, S] = {}
        self._secrets: dict[S, str] = {}
        self._ended: dict[str, None] = {}
        self._busy = asyncio.Event()
        self._connections: set[HandedConnection] = set()
        self._log = get_logger(name)

    @property
    def times(self) -> ConnectionTimes:
        """See connection.Owner."""
        return self._server_config

    def now(self) -> float:
        """Monotonic seconds."""
        return self._loop.time()

    @property
    def port(self) -> int:
        """The port of media."""
        return self._port.port

    async def start(self) -> None:
        """Returns when peers are taken. ConfigError when the port cannot be had."""
        await self._port.open(self._server_config.host, self._server_config.port)
        await self._receiver.start()
        self.start_task(self._tick(), f"{self._name}-tick")
        self._log.info("webrtc_ready", port=self.port, hosts=list(self._server_config.hosts))

    def drain(self) -> None:
        """Takes no new sessions."""
        self.draining = True

    async def stop(self) -> None:
        """Ends every session and closes everything."""
        self.draining = True
        for session in list(self._secrets):
            session.end("this server restarts; connect again", "stopping", clean=False)
        await self._receiver.close()
        for connection in list(self._connections):
            connection.abort()
        self._port.close()

    def start_task(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """A child of the server."""
        self._tasks.start(work, name)

    # --- HTTP connections

    def adopt(self, taken: socket.socket, head: bytes, peer: str) -> None:
        """Takes over an accepted connection whose first bytes were read by somebody else."""
        if len(self._connections) >= self._server_config.connections:
            taken.close()
            return
        self.start_task(self._adopt(taken, HandedConnection(self, head, peer)), "adopt")

    async def _adopt(self, taken: socket.socket, connection: HandedConnection) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, taken)
        except OSError:
            taken.close()

    def opened(self, connection: HandedConnection) -> None:
        """A connection is ours now."""
        self._connections.add(connection)

    def closed(self, connection: HandedConnection) -> None:
        """A connection is gone."""
        self._connections.discard(connection)

    def answered(self, status: int) -> None:
        """A request was answered."""

    @abstractmethod
    async def serve(self, request: RequestHead, body: bytes, address: str) -> Answer:
        """See connection.Owner."""

    # --- sessions

    @property
    def count(self) -> int:
        """Sessions, connecting ones included."""
        return len(self._sessions)

    def changed(self) -> None:
        """A session began or ended."""

    def make_agent(self) -> IceAgent:
        """For another session."""
        return IceAgent(_fragment(), _password(), self.now())

    def add(self, session: S) -> str:
        """A session begins; its secret name."""
        secret = secrets.token_urlsafe(24)
        self._sessions[secret] = session
        self._secrets[session] = secret
        self._busy.set()
        self._port.register(session)
        self._port.rest(False)
        self.changed()
        return secret

    def over(self, session: S) -> None:
        """A session says that it has ended."""
        secret = self._secrets.pop(session)
        del self._sessions[secret]
        self._port.unregister(session)
        self._ended[secret] = None
        while len(self._ended) > _ENDED:
            del self._ended[next(iter(self._ended))]
        self.changed()

    def find(self, secret: str) -> Addressed | None:
        """A session by its secret name, over ones included for a while."""
        session = self._sessions.get(secret)
        if session is not None:
            return _Found(session, self)
        return Over() if secret in self._ended else None

    def restart(self, session: S) -> str:
        """Gives a session new ICE credentials; the fragment that says so."""
        self._port.unregister_fragments(session)
        session.agent.restart(_fragment(), _password())
        self._port.register(session)
        return write_restart(self.description(session), session.mid)

    def description(self, session: S) -> LocalDescription:
        """Our side of a session."""
        return LocalDescription(
            session.agent.fragment,
            session.agent.password,
            self._identity.fingerprint,
            secrets.randbits(62),
            candidates(self._server_config.hosts, self.port),
        )

    # --- time

    async def _tick(self) -> None:
        ticks = 0
        while True:
            if not self._secrets:  # nobody to keep time for
                await self._wait_for_session()
                self._each_second(self.now())
                continue
            await asyncio.sleep(TICK_S)
            ticks += 1
            self._port.look()
            now = self.now()
            for session in list(self._secrets):
                session.tick(now)
            self._port.rest(self._rests and not any(session.is_connecting for session in self._secrets))
            if ticks % _SECOND == 0:
                self._each_second(now)

    async def _wait_for_session(self) -> None:
        self._busy.clear()
        try:
            async with asyncio.timeout(1.0):
                await self._busy.wait()
        except TimeoutError:
            return

    def _each_second(self, now: float) -> None:
        for connection in list(self._connections):
            connection.check(now)
        self._port.sweep(now)
        if now - self._identity.made_at > RENEW_S:
            self._identity = Identity(now)


class _Found(Generic[S]):
    """A session behind its secret name."""

    is_over = False

    def __init__(self, session: S, server: SessionServer[S]) -> None:
        self._session = session
        self._server = server
        self.offer_fragment = session.offer_fragment

    @property
    def etag(self) -> str:
        """See resource.Addressed."""
        return etag_of(self._session.agent)

    def restart(self, fragment: Fragment) -> str:
        """See resource.Addressed."""
        self._session.offer_fragment = fragment.fragment
        return self._server.restart(self._session)

    def end(self, reason: str, code: str, *, clean: bool) -> None:
        """See resource.Addressed."""
        self._session.end(reason, code, clean=clean)


def etag_of(agent: IceAgent) -> str:
    """The entity tag that names the ICE session that runs."""
    return f'"{agent.fragment}"'


def _fragment() -> str:
    return secrets.token_hex(8)


def _password() -> str:
    return secrets.token_hex(16)
