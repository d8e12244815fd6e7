import asyncio
import dataclasses
import itertools

import pytest
from edge.origin.catalogue import Catalogue
from edge.origin.config import OriginConfig
from edge.origin.events import EventStream
from edge.origin.metrics import Tally
from edge.origin.part_store import PartStore
from edge.origin.routes import Routes
from edge.origin.server import OriginServer, deliverer
from edge.origin.static import Pages
from origin_fakes import Chunks, Client, FakeDirectory, FakeLog, broadcast, put_broadcast, put_rendition, rendition


class Origin:
    """A whole origin over a fake log, on a real loopback port."""

    def __init__(self, config, handoffs=None):
        loop = asyncio.get_running_loop()
        self.log = FakeLog()
        self.tally = Tally()
        self.directory = FakeDirectory("alice", "bob")
        self.store = PartStore(config.store_bytes, self.tally)
        self.skew = 0.0
        clock = loop.time
        self.catalogue = Catalogue(
            config=config, log=self.log, directory=self.directory, store=self.store, tally=self.tally,
            deliver=deliverer(loop), clock=lambda: clock() + self.skew,
        )  # fmt: skip
        self.events = EventStream(self.catalogue.channels_document, config.event_clients)
        self.ready = True
        routes = Routes(
            catalogue=self.catalogue, pages=Pages(config.pages), events=self.events, tally=self.tally,
            clock=clock, is_ready=lambda: self.ready, handoffs=handoffs or {},
        )  # fmt: skip
        self.server = OriginServer(config=config, routes=routes, tally=self.tally, on_tick=self._tick)
        self.video, self.audio = Chunks(), Chunks()
        self._clients = []

    def _tick(self):
        self.catalogue.tick()
        self.events.tick(asyncio.get_running_loop().time())

    def go_live(self, **changes):
        put_broadcast(self.catalogue, broadcast(**changes))
        put_rendition(self.catalogue, rendition("source"))
        put_rendition(self.catalogue, rendition("audio"))

    def add(self, name, chunks):
        for header, data in chunks:
            self.log.add(name, header, data)

    def add_segments(self, count):
        for _ in range(count):
            self.add("source", self.video.segment())
            self.add("audio", self.audio.segment())

    def add_part(self):
        self.add("source", self.video.next_part())
        self.add("audio", self.audio.next_part())

    async def client(self):
        client = await Client.connect(self.server.port)
        self._clients.append(client)
        return client

    async def close(self):
        await self.catalogue.close()
        await self.server.stop()
        for client in self._clients:
            client.writer.close()
        await asyncio.sleep(0)


@pytest.fixture
async def make_origin():
    made = []

    async def make(handoffs=None, **changes):
        config = dataclasses.replace(OriginConfig(port=0, reuse_port=False, drain_s=0.2), **changes)
        origin = Origin(config, handoffs)
        await origin.server.start()
        made.append(origin)
        return origin

    yield make
    for origin in made:
        await origin.close()


@pytest.fixture
async def origin(make_origin):
    """A live channel with three segments and two parts of the fourth."""
    origin = await make_origin()
    origin.go_live()
    origin.add_segments(3)
    for _ in range(2):
        origin.add_part()
    return origin


@pytest.fixture
def counter():
    return itertools.count()
