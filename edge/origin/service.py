"""The origin role: puts its pieces together and gives them one life."""

import asyncio
from collections.abc import Callable, Mapping

from appliance.contracts.subjects import (
    DIRECTORY_BUCKET,
    FIGURES_BUCKET,
    LIVE_BUCKET,
    PICTURES_BUCKET,
    SITE_GRANTS,
)
from appliance.runtime.bus import Bus
from appliance.runtime.clock import now_ms
from appliance.runtime.demand import DemandTeller
from appliance.runtime.replica import Replica
from appliance.runtime.signing import SigningKey
from appliance.runtime.tls import ServerTls
from appliance.runtime.uring import open_fan_out
from edge.access.grants import Grants
from edge.access.site_secrets import site_secret
from edge.origin.acme import Challenges
from edge.origin.archive import Archive
from edge.origin.catalogue import Catalogue
from edge.origin.channels import Channels
from edge.origin.config import OriginConfig
from edge.origin.crowding import Crowding
from edge.origin.delivery import deliverer
from edge.origin.events import EventStream
from edge.origin.grant_desk import GrantDesk
from edge.origin.guard import Guard
from edge.origin.health_stream import HealthStream
from edge.origin.metrics import Tally
from edge.origin.part_store import PartStore
from edge.origin.routes import Handoff, Routes
from edge.origin.server import TICK_S, OriginServer
from edge.origin.static import Pages
from edge.origin.thumbs import Thumbs
from edge.origin.viewing import Viewing


class OriginService:
    """Built, started and stopped by `edge.app` in the loop it is to run in.

    `local`: the site's own account (part log, live bucket). `fed`: the account with the directory.
    `handoffs`: who takes requests below a path prefix, such as {"/chat/": sender, "/streams/": sender}.
    `tls`: the certificate of the port for TLS, which is not opened without.
    """

    def __init__(
        self,
        config: OriginConfig,
        *,
        local: Bus,
        fed: Bus,
        handoffs: Mapping[str, Handoff],
        on_failure: Callable[[BaseException], None] | None = None,
        tls: ServerTls | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._ready = False
        self._fan_out = open_fan_out()
        self._deliver = deliverer(loop, self._fan_out)
        self.tally = Tally()
        store = PartStore(config.store_bytes, self.tally)
        self._channels = Channels(self.tally)
        self._grants = Grants(self.tally.event)
        self._viewing = Viewing(config, self.tally, local=local, fed=fed, on_failure=on_failure)
        self._ticked = loop.time()
        self._crowding = Crowding()
        self._archive = self._open_archive(config, on_failure)
        self.catalogue = Catalogue(
            config=config,
            log=local,
            channels=self._channels,
            store=store,
            audience=self._viewing.site,
            tally=self.tally,
            deliver=self._deliver,
            clock=loop.time,
            archive=self._archive,
            crowding=self._crowding,
            on_failure=on_failure,
        )
        self._directory = Replica(fed, DIRECTORY_BUCKET, self._directory_changed)
        self._events = EventStream(self.catalogue.channels_document, config.event_clients)
        self._health = HealthStream(
            self.catalogue.health_document, self.catalogue.channel, self._directory, config.health_clients, now_ms
        )
        self._live = Replica(local, LIVE_BUCKET, self.catalogue.live_changed)
        self._figures = Replica(local, FIGURES_BUCKET, self.catalogue.live_changed)
        self._demand = DemandTeller(local, self._viewing.site.origin, self.catalogue.watchers)
        self._thumbs = Thumbs(
            channels=self.catalogue,
            shelf=local.bucket(PICTURES_BUCKET),
            tally=self.tally,
            deliver=self._deliver,
            clock=loop.time,
            most_bytes=config.picture_bytes,
            on_failure=on_failure,
        )
        self._guard = Guard(self._grants, self.catalogue, now_ms)
        self._desk = GrantDesk(fed, config.edge_id, self.tally, loop.time, on_failure)
        self._secrets = local.bucket(LIVE_BUCKET)
        routes = self._routes(config, handoffs)
        self.server = OriginServer(
            config=config, routes=routes, tally=self.tally, on_tick=self._tick, on_failure=on_failure, tls=tls
        )

    def _routes(self, config: OriginConfig, handoffs: Mapping[str, Handoff]) -> Routes:
        return Routes(
            catalogue=self.catalogue,
            pages=Pages(config.pages, config.connect_sources),
            events=self._events,
            health=self._health,
            thumbs=self._thumbs,
            audience=self._viewing.audience,
            beacons=self._viewing.beacons(self.catalogue.broadcast),
            guard=self._guard,
            desk=self._desk,
            archive=self._archive,
            crowding=self._crowding,
            tally=self.tally,
            clock=asyncio.get_running_loop().time,
            is_ready=lambda: self._ready,
            handoffs=handoffs,
            rtmp_port=config.rtmp_port,
            challenges=Challenges(config.acme_dir),
        )

    def _directory_changed(self, key: str, value: bytes | None) -> None:
        self._channels.directory_changed(key, value)
        self._grants.directory_changed(key, value)

    def _open_archive(
        self, config: OriginConfig, on_failure: Callable[[BaseException], None] | None
    ) -> Archive | None:
        if config.spool is None:
            return None
        return Archive(
            config.spool,
            tally=self.tally,
            deliver=self._deliver,
            most_bytes=config.archive_bytes,
            on_failure=on_failure,
        )

    def _tick(self) -> None:
        self.catalogue.tick()
        now = asyncio.get_running_loop().time()
        self._viewing.late(now - self._ticked - TICK_S)
        self._ticked = now
        self._crowding.tick(now)
        self._events.tick(now)
        self._health.tick(now)
        self._guard.tick()

    async def start(self) -> None:
        """Returns when listening with directory and live state known. UnavailableError, OSError."""
        await self._directory.start()
        await self._live.start()
        await self._figures.start()
        await self._viewing.start()
        self._grants.sign_with(SigningKey(await site_secret(self._secrets, SITE_GRANTS)))
        await self.server.start()
        self._demand.start()
        self._ready = True

    async def drain(self) -> None:
        """Says that it is not ready, takes no new connections, answers what is held as far as time allows."""
        self._ready = False
        await self.server.drain()

    async def stop(self) -> None:
        """Ends everything."""
        self._ready = False
        await self._demand.close()
        await self._viewing.close()
        await self._desk.close()
        await self.catalogue.close()
        await self._thumbs.close()
        if self._archive is not None:
            await self._archive.close()
        await self.server.stop()
        self._fan_out.close()
        await self._live.close()
        await self._figures.close()
        await self._directory.close()
