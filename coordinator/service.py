"""The coordinator's life in a process that runs an asyncio loop already."""

import asyncio
from collections.abc import Callable

from appliance.contracts.errors import NearcastError
from appliance.runtime.logs import get_logger
from appliance.runtime.tasks import Tasks
from coordinator import bootstrap
from coordinator.api.listener import Listener
from coordinator.app import Parts, build
from coordinator.bridge import store as bookkeeping
from coordinator.config import CoordinatorConfig
from coordinator.db import Database
from coordinator.db.migrate import migrate
from coordinator.grants import store as granted
from coordinator.moderation import store as moderated
from coordinator.ports import Hub
from coordinator.quality import store as qualities

_log = get_logger("coordinator")
_HOUSEKEEPING_S = 3600.0


class CoordinatorService:
    """Migrations, API, directory and one bridge per edge, in this process and loop.

    `on_failure` hears of a background task that failed.
    """

    def __init__(
        self,
        config: CoordinatorConfig,
        hub: Hub,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._config = config
        self._hub = hub
        self._tasks = Tasks(on_failure)
        self._database = Database(config.dsn, size=config.pool_size)
        self._parts: Parts | None = None
        self._listener: Listener | None = None
        self._draining = False

    @property
    def port(self) -> int:
        """The TCP port that is listened on."""
        return 0 if self._listener is None else self._listener.port

    async def start(self) -> None:
        """Returns when the API listens. ConfigError, UnavailableError: the database cannot be used."""
        applied = await migrate(self._config.dsn)
        await self._database.open()
        parts = build(self._config, self._database, self._hub, lambda: self._draining)
        self._parts = parts
        await parts.chat_store.open()
        self._tasks.start(parts.directory.run(), "directory")
        for edge, bridge in zip(self._config.edges, parts.bridges, strict=True):
            self._tasks.start(bridge.run(), f"bridge-{edge.edge_id}")
        self._tasks.start(self._housekeeping(), "housekeeping")
        await parts.desk.start()
        self._listener = Listener(parts.app)
        await self._listener.start(self._config.host, self._config.port)
        _log.info("coordinator_listening", port=self.port, migrations=applied)

    async def ensure_operator(self, kept: str | None = None) -> str | None:
        """As `coordinator.bootstrap.ensure_operator`; after `start`."""
        if self._parts is None:
            raise RuntimeError("the coordinator is not started")
        return await bootstrap.ensure_operator(self._parts.units, self._parts.accounts, kept)

    async def drain(self) -> None:
        """Takes no new connections and waits for open requests, at most `drain_s`."""
        self._draining = True
        if self._listener is not None:
            await self._listener.drain(self._config.drain_s)

    async def stop(self) -> None:
        """Ends everything; a batch that is not committed is delivered again later."""
        await self.drain()
        if self._listener is not None:
            await self._listener.stop()
            self._listener = None
        if self._parts is not None:
            await self._parts.desk.close()
        await self._tasks.close()
        if self._parts is not None:
            await self._parts.chat_store.close()
        await self._database.close()

    async def _housekeeping(self) -> None:
        while True:
            try:
                async with self._database.transaction() as connection:
                    await bookkeeping.forget_old(connection)
                    await qualities.forget_old(connection)
                    await granted.forget_old(connection)
                    await moderated.forget_old(connection)
                if self._parts is not None:
                    async with self._parts.units.open() as unit:
                        await self._parts.grants.maintain(unit)
                    await self._parts.chat_store.forget_old()
            except NearcastError as error:
                _log.warning("housekeeping_skipped", code=str(error.code))
            await asyncio.sleep(_HOUSEKEEPING_S)
