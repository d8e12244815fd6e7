"""A centre and two edges, as in production but for the processes: each NATS server is one, the roles share a loop.

The hub with its coordinator over a real PostgreSQL; at each edge a leaf node, an agent and a gateway of the chat.
The leaf links pass a relay, so that a link can be cut.
"""

import asyncio
import contextlib
import dataclasses
import shutil
import signal
from collections.abc import AsyncIterator

import msgspec

from appliance.contracts import subjects
from appliance.contracts.events import BROADCAST, BroadcastEvent
from appliance.engines.nats import NatsEngine
from appliance.runtime.bus import Bus, Endpoint
from appliance.runtime.settings import BusSettings, NodeSettings, PortSettings, Settings
from appliance.supervisor.bootstrap import prepare_edge, prepare_hub
from coordinator.config import CoordinatorConfig, EdgeEndpoint
from coordinator.hub import BusHub
from coordinator.service import CoordinatorService
from edge.agent.service import AgentService
from edge.chat.config import ChatConfig
from edge.chat.service import ChatService
from tests.integration.chat.chat_site import Gateway, free_port

_DIRECTORY_INFO = f"STREAM.INFO.KV_{subjects.DIRECTORY_BUCKET}"
SHARED = ("operator.nk", "system.nk", "fed.nk", "scope.nk")


class Link:
    """A TCP relay that can be cut: what is connected is reset, and nobody gets through until it is mended."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            there, onward = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers.add(onward)
        for source, sink in ((reader, onward), (there, writer)):
            task = asyncio.get_running_loop().create_task(self._copy(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _copy(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                sink.write(data)
                await sink.drain()
        sink.transport.abort()


class Edge:
    """One site. `gateway` as in the tests of one edge."""

    def __init__(self, edge_id: str, home, hub_leaf: int, failures: list[BaseException]) -> None:
        self.edge_id = edge_id
        self.home = home
        self.link = Link(hub_leaf)
        self._failures = failures
        self._gateways = 0

    async def start(self, keys) -> None:
        await self.link.mend()
        shared = self.home / "nats" / "keys"
        shared.mkdir(parents=True)
        for name in SHARED:
            shutil.copy(keys / name, shared / name)
        settings = Settings(
            node=NodeSettings(edge_id=self.edge_id),
            ports=PortSettings(nats=free_port(), nats_leaf=self.link.port),
        )
        engine = NatsEngine(settings, self.home / "nats", None)
        facts = engine.prepare()
        self.settings = dataclasses.replace(
            settings, bus=BusSettings(local_url=facts.local_url, fed_url=facts.fed_url)
        )
        self.server = await started(engine, "nats-edge")
        await prepare_edge(self.settings)
        self._fed = await Bus.connect(Endpoint(facts.fed_url), name=f"{self.edge_id}.agent")
        self._agent = AgentService(self._fed, self.edge_id, self._failures.append)
        await self._agent.start()
        self.gateway = await self.start_gateway()

    async def tell(self, event: BroadcastEvent) -> None:
        """What the ingest of this edge would put into the outbox."""
        subject = subjects.event(self.edge_id, BROADCAST)
        await self._fed.append(subject, msgspec.json.encode(event), message_id=event.event_id, deadline_s=5)

    async def changes(self) -> int:
        """How often something was written into this edge's copy of the directory, or removed from it."""
        return await self._fed.last_sequence(f"KV_{subjects.DIRECTORY_BUCKET}")

    async def start_gateway(self) -> Gateway:
        self._gateways += 1
        bus = self.settings.bus
        fed = await Bus.connect(Endpoint(bus.fed_url), name=f"{self.edge_id}.chat")
        local = await Bus.connect(Endpoint(bus.local_url), name=f"{self.edge_id}.chat")
        config = ChatConfig(edge_id=self.edge_id, user_per_minute=6000, drain_s=0.1, irc_port=0)
        path = self.home / f"chat{self._gateways}.sock"
        service = ChatService(config, fed=fed, local=local, socket_path=path, on_failure=self._failures.append)
        await service.start()
        return Gateway(service, path, fed, local)

    async def close(self) -> None:
        await self.gateway.close()
        await self._agent.stop()
        await self._fed.close()
        await ended(self.server)
        await self.link.cut()


class Federation:
    """`edges`, and the centre's API at `api`; `operator` is a token for it."""

    def __init__(self, home, dsn: str) -> None:
        self._home = home
        self._dsn = dsn
        self.failures: list[BaseException] = []
        self.edges: list[Edge] = []

    async def start(self) -> None:
        ports = PortSettings(nats_hub=free_port(), nats_leaf=free_port())
        settings = Settings(node=NodeSettings(edge_id="hub"), ports=ports)
        (self._home / "hub").mkdir()
        self._engine = NatsEngine(settings, self._home / "hub", None)
        facts = self._engine.prepare()
        self._hub = Endpoint(facts.hub_url, facts.hub_credentials)
        self._server = await started(self._engine, "nats-hub")
        bus = BusSettings(hub_url=facts.hub_url, hub_credentials=facts.hub_credentials)
        self._settings = dataclasses.replace(settings, bus=bus)
        await prepare_hub(self._settings)
        for edge_id in ("lyon", "oslo"):
            (self._home / edge_id).mkdir()
            self.edges.append(Edge(edge_id, self._home / edge_id, ports.nats_leaf, self.failures))
        await asyncio.gather(*(edge.start(self._home / "hub" / "keys") for edge in self.edges))
        await self.start_centre()
        self.operator = await self._centre.ensure_operator() or ""

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self._centre.port}/v1"

    async def start_centre(self) -> None:
        """The coordinator; its hub runs."""
        ends = [
            EdgeEndpoint(
                edge_id=edge.edge_id,
                http_base=f"http://{edge.edge_id}.example",
                rtmp_base=f"rtmp://{edge.edge_id}.example",
                ws_base=f"ws://{edge.edge_id}.example",
            )
            for edge in self.edges
        ]
        config = CoordinatorConfig(dsn=self._dsn, port=0, edges=ends, drain_s=0.2)
        self._bus = await Bus.connect(self._hub, name="hub.coordinator")
        self._centre = CoordinatorService(config, BusHub(self._bus), self.failures.append)
        await self._centre.start()

    async def stop_centre(self) -> None:
        """The coordinator goes; its hub stays."""
        await self._centre.stop()
        await self._bus.close()

    async def lose_hub(self) -> None:
        """The hub is killed, loses its disk and comes back with nothing; returns when both edges follow it again.

        The coordinator is to be started again.
        """
        await self.stop_centre()
        await ended(self._server)
        shutil.rmtree(self._home / "hub" / "hub" / "jetstream")
        self._server = await started(self._engine, "nats-hub")
        await prepare_hub(self._settings)
        bus = await Bus.connect(self._hub, name="hub.look")
        async with asyncio.timeout(20):
            while (await bus.api(_DIRECTORY_INFO))["state"]["consumer_count"] < len(self.edges):
                await asyncio.sleep(0.05)
        await bus.close()

    async def close(self) -> None:
        await self.stop_centre()
        await asyncio.gather(*(edge.close() for edge in self.edges))
        await ended(self._server)
        assert self.failures == []


async def started(engine: NatsEngine, name: str) -> asyncio.subprocess.Process:
    """The server of that name, once it greets."""
    child = next(one for one in engine.children() if one.name == name)
    process = await asyncio.create_subprocess_exec(
        *child.argv, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    assert child.ready is not None
    async with asyncio.timeout(20):
        while not await child.ready():
            await asyncio.sleep(0.02)
    return process


async def ended(process: asyncio.subprocess.Process) -> None:
    """Killed, and gone."""
    if process.returncode is None:
        process.send_signal(signal.SIGKILL)
    await process.wait()


@contextlib.asynccontextmanager
async def federation(home, dsn: str) -> AsyncIterator[Federation]:
    """Started, and closed at the end."""
    made = Federation(home, dsn)
    await made.start()
    try:
        yield made
    finally:
        await made.close()
