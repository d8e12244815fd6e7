"""The WHEP role: puts its pieces together and gives them one life."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from appliance.contracts.media import Broadcast
from appliance.contracts.subjects import DIRECTORY_BUCKET, LIVE_BUCKET, SITE_GRANTS, VIEWER_HASHES
from appliance.runtime.bus import Bus
from appliance.runtime.clock import now_ms
from appliance.runtime.demand import DemandTeller
from appliance.runtime.ids import new_id
from appliance.runtime.replica import Replica
from appliance.runtime.signing import SigningKey
from appliance.runtime.tasks import Tasks
from edge.access.grants import Grants
from edge.access.hashes import Hashes
from edge.access.site_secrets import site_secret
from edge.whep import metrics
from edge.whep.admission import Admission
from edge.whep.audience import AudienceTeller
from edge.whep.config import WhepConfig
from edge.whep.relay import Relay
from edge.whep.server import WhepServer
from edge.whep.site import LiveSite

_TICK_S = 0.5


class WhepService:
    """Built, started and stopped by `edge.app` in the loop it is to run in.

    `local`: the site's own account (part log, live bucket). `fed`: the account with the directory.
    `socket_path`: where connections are handed over.
    """

    def __init__(
        self,
        config: WhepConfig,
        *,
        local: Bus,
        fed: Bus,
        socket_path: Path,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._local = local
        self._on_failure = on_failure
        self._tasks = Tasks(on_failure)
        self._site = LiveSite()
        self._relays: dict[str, Relay] = {}
        self._live = Replica(local, LIVE_BUCKET, self._site.live_changed, kinds=("broadcast", "rendition", "rungs"))
        self._grants = Grants(lambda kind: metrics.DROPPED.labels(kind).inc())
        self._directory = Replica(fed, DIRECTORY_BUCKET, self._directory_changed)
        self._demand = DemandTeller(local, f"whep-{new_id()}", self._watchers, near=True)
        admission = Admission(self._site.channel, self._grants, now_ms)
        self.server = WhepServer(config, self._site, admission, self._relay, socket_path, self._tasks)
        self._audience = AudienceTeller(local, self.server.watching, on_failure)

    async def start(self) -> None:
        """Returns when viewers are taken, with directory and live state known. UnavailableError, ConfigError."""
        await self._directory.start()
        await self._live.start()
        secrets = self._local.bucket(LIVE_BUCKET)
        self._grants.sign_with(SigningKey(await site_secret(secrets, SITE_GRANTS)))
        await self.server.start()
        self._audience.start(Hashes(await site_secret(secrets, VIEWER_HASHES)))
        self._demand.start()
        self._tasks.start(self._tick(), "whep-relays")

    async def drain(self) -> None:
        """Takes no new viewers."""
        self.server.drain()

    async def stop(self) -> None:
        """Ends every viewer and closes everything."""
        await self.server.stop()
        await self._audience.close()
        await self._demand.close()
        await self._tasks.close()
        for relay in self._relays.values():
            await relay.close()
        await self._live.close()
        await self._directory.close()

    def _directory_changed(self, key: str, value: bytes | None) -> None:
        self._site.directory_changed(key, value)
        self._grants.directory_changed(key, value)

    def _relay(self, record: Broadcast) -> Relay:
        relay = self._relays.get(record.broadcast_id)
        if relay is None:
            relay = Relay(record.broadcast_id, self._site, self._local, self._failed)
            self._relays[record.broadcast_id] = relay
        relay.idle_since = asyncio.get_running_loop().time()
        return relay

    def _failed(self, error: BaseException) -> None:
        if self._on_failure is not None:
            self._on_failure(error)

    def _watchers(self) -> dict[str, dict[str, int]]:
        found = {name: relay.watchers() for name, relay in self._relays.items()}
        return {name: watchers for name, watchers in found.items() if watchers}

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_TICK_S)
            self.server.sweep()
            for broadcast_id, relay in list(self._relays.items()):
                relay.tick(loop.time())
                if relay.is_over or relay.is_idle(loop.time()):
                    del self._relays[broadcast_id]
                    await relay.close()
            metrics.BROADCASTS.set(len(self._relays))
