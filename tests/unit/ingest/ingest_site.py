"""An ingest role over real sockets, with our runtime's interfaces faked, and its clients."""

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable, Iterable

import msgspec
from flv_source import Body
from ingest_fakes import KEY, FakeAppender, FakeBus, FakeLog, FakeReplica, directory_with
from rtmp_bytes import Encoder

from appliance.contracts.events import BroadcastEvent, PublisherReport
from appliance.contracts.media import BroadcastState
from appliance.runtime.settings import IngestSettings, PortSettings, Settings
from appliance.runtime.tasks import Tasks
from edge.ingest.service import IngestService


class Site:
    """One log, and as many ingest processes on it as a test starts."""

    def __init__(self) -> None:
        self.log = FakeLog()
        self.directory = directory_with(KEY, "other-key")
        self.failures: list[BaseException] = []
        self._running: list[tuple[IngestService, Tasks]] = []
        self._clients: list[Client] = []

    async def ingest(self, **options: object) -> IngestService:
        tasks = Tasks(self.failures.append)
        settings = dataclasses.replace(
            Settings(),
            ports=dataclasses.replace(PortSettings(), rtmp=0),
            ingest=dataclasses.replace(IngestSettings(), **options),  # type: ignore[arg-type]
        )
        bus = FakeBus(self.log)
        service = IngestService(
            settings,
            local=bus,  # type: ignore[arg-type]
            fed=bus,  # type: ignore[arg-type]
            appender=FakeAppender(self.log),  # type: ignore[arg-type]
            directory=self.directory,  # type: ignore[arg-type]
            live=FakeReplica(self.log.live),  # type: ignore[arg-type]
            figures=FakeReplica(self.log.live),  # type: ignore[arg-type]
            tasks=tasks,
        )
        await service.start()
        self._running.append((service, tasks))
        return service

    async def kill(self, service: IngestService) -> None:
        """As kill -9 does: nothing is finished."""
        for running, tasks in list(self._running):
            if running is service:
                service._listener.stop_accepting()
                self.log.handlers.clear()
                await tasks.close()

    async def client(self, service: IngestService, key: str = KEY) -> "Client":
        client = Client(*await asyncio.open_connection("127.0.0.1", service.port))
        client.writer.write(client.encoder.opening(key) + client.encoder.chunk_size(65536))
        self._clients.append(client)
        return client

    async def close(self) -> None:
        for client in self._clients:
            await client.close()
        for service, tasks in self._running:
            await service.stop()
            await tasks.close()
        assert self.failures == []

    def state(self) -> BroadcastState | None:
        broadcasts = self.log.broadcasts()
        return broadcasts[-1].state if broadcasts else None

    def events(self) -> list[str]:
        told = [data for subject, data in self.log.events if subject.endswith(".broadcast")]
        return [msgspec.json.decode(data, type=BroadcastEvent).kind.value for data in told]

    def reports(self) -> list[PublisherReport]:
        told = [data for subject, data in self.log.events if subject.endswith(".publisher")]
        return [msgspec.json.decode(data, type=PublisherReport) for data in told]


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer, self.encoder = reader, writer, Encoder()

    def send(self, bodies: Iterable[Body]) -> None:
        for body in bodies:
            write = self.encoder.video if body.is_video else self.encoder.audio
            self.writer.write(write(body.stamp, body.body))

    async def read_all(self) -> bytes:
        async with asyncio.timeout(2):
            return await self.reader.read()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(3):
        while not condition():
            await asyncio.sleep(0.005)
