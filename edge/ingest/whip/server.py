"""All WebRTC publishers of one process: the port, the HTTP connections, the sessions and their time."""

import asyncio
import collections
import secrets
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from appliance.runtime.handoff import HandoffReceiver
from appliance.runtime.logs import get_logger
from appliance.runtime.tasks import Tasks
from edge.ingest.keys import Refusal
from edge.ingest.publisher import Gate
from edge.ingest.whip import metrics
from edge.ingest.whip.access import Access
from edge.ingest.whip.answers import WhipError
from edge.ingest.whip.certificate import RENEW_S, Identity
from edge.ingest.whip.config import WhipConfig
from edge.ingest.whip.connection import WhipConnection
from edge.ingest.whip.resource import Created, WhipResource
from edge.ingest.whip.session import WhipSession
from edge.ingest.whip.udp import MediaPort
from edge.protocols.http.request import HeadMemo
from edge.protocols.webrtc.answer import LocalDescription, candidates, negotiate, write_answer, write_restart
from edge.protocols.webrtc.ice import IceAgent
from edge.protocols.webrtc.sdp import Fragment, Offer

_TICK_S = 0.02
_SECOND = 50  # ticks
_ENDED = 2_000  # names of sessions that are over, so that a late DELETE is no error
_RETRY_S = 10.0
_MEMO = 256


class Resource:
    """A session behind its secret name."""

    def __init__(self, session: WhipSession, server: "WhipServer") -> None:
        self._session = session
        self._server = server
        self.offer_fragment = session.offer_fragment

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._session.is_over

    @property
    def etag(self) -> str:
        """See resource.Session."""
        return f'"{self._session.agent.fragment}"'

    def restart(self, fragment: Fragment) -> str:
        """See resource.Session."""
        self._session.offer_fragment = fragment.fragment
        return self._server.restart(self._session)

    def end(self, reason: str, code: str, *, clean: bool) -> None:
        """See resource.Session."""
        self._session.end(reason, code, clean=clean)


class _Over:
    """What is left of a session."""

    is_over = True
    offer_fragment = etag = ""

    def restart(self, fragment: Fragment) -> str:
        """Never asked for."""
        return fragment.fragment

    def end(self, reason: str, code: str, *, clean: bool) -> None:
        """It has ended."""


class WhipServer:
    """`start`, then `drain`, then `stop`. The gate admits publishers; `tasks` are the owner's."""

    def __init__(self, config: WhipConfig, gate: Gate, access: Access, socket_path: Path, tasks: Tasks) -> None:
        """HTTP connections come over the unix socket `socket_path` from the role that owns the viewer port."""
        self.config = config
        self.memo = HeadMemo(_MEMO)
        self.resource = WhipResource(self, config.ice_servers)
        self._gate = gate
        self._access = access
        self._draining = False
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()
        self._port = MediaPort(config.connections)
        self._receiver = HandoffReceiver(socket_path, self.adopt)
        self._identity = Identity(self.now())
        self._sessions: dict[str, WhipSession] = {}
        self._secrets: dict[WhipSession, str] = {}
        self._ended: dict[str, None] = {}
        self._busy = asyncio.Event()
        self._addresses: collections.Counter[str] = collections.Counter()
        self._connections: set[WhipConnection] = set()
        self._log = get_logger("ingest.whip")

    def now(self) -> float:
        """Monotonic seconds."""
        return self._loop.time()

    @property
    def port(self) -> int:
        """The port of media."""
        return self._port.port

    async def start(self) -> None:
        """Returns when publishers are taken. ConfigError when the port cannot be had."""
        await self._port.open(self.config.host, self.config.port)
        await self._receiver.start()
        self.start_task(self._tick(), "whip-tick")
        self._log.info("whip_ready", port=self.port, hosts=list(self.config.hosts))

    def drain(self) -> None:
        """Takes no new publishers."""
        self._draining = True

    async def stop(self) -> None:
        """Ends every session and closes everything."""
        self._draining = True
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
        if len(self._connections) >= self.config.connections:
            taken.close()
            return
        self.start_task(self._adopt(taken, WhipConnection(self, head, peer)), "whip-adopt")

    async def _adopt(self, taken: socket.socket, connection: WhipConnection) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection, taken)
        except OSError:
            taken.close()

    def opened(self, connection: WhipConnection) -> None:
        """A connection is ours now."""
        self._connections.add(connection)

    def closed(self, connection: WhipConnection) -> None:
        """A connection is gone."""
        self._connections.discard(connection)

    # --- sessions, as the resource asks for them

    async def check(self, key: str) -> Refusal | None:
        """See resource.Sessions."""
        if self._draining:
            return Refusal("draining", "This server is about to restart.")
        return await self._access.check(key)

    def create(self, offer: Offer, key: str, encoder: str, address: str) -> Created:
        """See resource.Sessions."""
        negotiated = negotiate(offer)
        over = len(self._sessions) >= self.config.sessions
        if over or self._addresses[address] >= self.config.sessions_per_address:
            raise WhipError(
                503, "too_many", "This server has no room for another publisher.", retry_after_s=_RETRY_S
            )
        now = self.now()
        session = WhipSession(
            offer,
            negotiated,
            agent=IceAgent(_fragment(), _password(), now),
            identity=self._identity,
            config=self.config,
            gate=self._gate,
            access=self._access,
            port=self._port,
            on_over=self._over,
            key=key,
            encoder=encoder,
            address=address,
            ssrc=secrets.randbits(32),
            now=now,
        )
        secret = secrets.token_urlsafe(24)
        self._sessions[secret] = session
        self._secrets[session] = secret
        self._busy.set()
        self._addresses[address] += 1
        self._port.register(session)
        metrics.SESSIONS.set(len(self._sessions))
        answer = write_answer(offer, negotiated, self._description(session))
        return Created(secret, answer, f'"{session.agent.fragment}"')

    def find(self, secret: str) -> Resource | _Over | None:
        """See resource.Sessions."""
        session = self._sessions.get(secret)
        if session is not None:
            return Resource(session, self)
        return _Over() if secret in self._ended else None

    def restart(self, session: WhipSession) -> str:
        """Gives a session new ICE credentials; the fragment that says so."""
        self._port.unregister_fragments(session)
        session.agent.restart(_fragment(), _password())
        self._port.register(session)
        return write_restart(self._description(session), session.mid)

    def _description(self, session: WhipSession) -> LocalDescription:
        return LocalDescription(
            session.agent.fragment,
            session.agent.password,
            self._identity.fingerprint,
            secrets.randbits(62),
            candidates(self.config.hosts, self.port),
            self.config.start_kbps,
        )

    def _over(self, session: WhipSession) -> None:
        secret = self._secrets.pop(session)
        del self._sessions[secret]
        self._port.unregister(session)
        self._addresses[session.address] -= 1
        if self._addresses[session.address] <= 0:
            del self._addresses[session.address]
        self._ended[secret] = None
        while len(self._ended) > _ENDED:
            del self._ended[next(iter(self._ended))]
        metrics.SESSIONS.set(len(self._sessions))

    # --- time

    async def _tick(self) -> None:
        ticks = 0
        while True:
            if not self._secrets:  # nobody to keep time for
                await self._wait_for_session()
                self._each_second(self.now())
                continue
            await asyncio.sleep(_TICK_S)
            ticks += 1
            now = self.now()
            for session in list(self._secrets):
                session.tick(now)
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


def _fragment() -> str:
    return secrets.token_hex(8)


def _password() -> str:
    return secrets.token_hex(16)
