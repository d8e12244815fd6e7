"""Everything about viewers in one life: who they are counted as, what they get, and who is told."""

import asyncio
import os
from collections.abc import Callable

from appliance.contracts.media import Broadcast
from appliance.contracts.subjects import LEASE_BUCKET, LIVE_BUCKET, VIEWER_HASHES
from appliance.runtime.bus import Bus
from appliance.runtime.clock import now_ms
from appliance.runtime.ids import new_id
from appliance.runtime.replica import Replica
from edge.access.hashes import Hashes
from edge.access.site_secrets import BYTES, site_secret
from edge.origin.audience import Audience
from edge.origin.config import OriginConfig
from edge.origin.metrics import Tally
from edge.origin.quality.limits import AddressLimit, Shedding
from edge.origin.quality.receiver import Beacons
from edge.origin.quality.sums import Sums
from edge.origin.quality.teller import QualityTeller
from edge.origin.site_audience import AudienceTeller, SiteAudience


class Viewing:
    """Of one process; the site knows it by the name that `site.origin` is."""

    def __init__(
        self,
        config: OriginConfig,
        tally: Tally,
        *,
        local: Bus,
        fed: Bus,
        on_failure: Callable[[BaseException], None] | None,
    ) -> None:
        clock = asyncio.get_running_loop().time
        self._tally = tally
        self._clock = clock
        self._bucket = local.bucket(LIVE_BUCKET)
        self.audience = Audience(Hashes(os.urandom(BYTES)), tally)
        self.site = SiteAudience(self.audience, new_id(), tally, clock)
        self._leases = Replica(local, LEASE_BUCKET, self.site.heard)
        self._viewers = AudienceTeller(local, self.site, on_failure)
        self._sums = Sums(tally)
        self._limit = AddressLimit(config.beacons_per_address)
        self._shedding = Shedding(config.beacons_per_s)
        self._quality = QualityTeller(
            fed,
            config.edge_id,
            sums=self._sums,
            viewers=self._told,
            now_ms=now_ms,
            on_failure=on_failure,
            period_s=max(config.quality_s, 0.1),
        )

    def beacons(self, broadcast: Callable[[str], Broadcast | None]) -> Beacons:
        """What takes reports. `broadcast` looks one up by its id."""
        return Beacons(
            broadcast=broadcast,
            audience=self.audience,
            sums=self._sums,
            limit=self._limit,
            shedding=self._shedding,
            tally=self._tally,
            clock=self._clock,
            now_ms=now_ms,
        )

    def late(self, by_s: float) -> None:
        """The loop's turn came `by_s` after its time."""
        self._shedding.late(by_s)

    async def start(self) -> None:
        """Returns when viewers are known here as at the site's other origins. UnavailableError."""
        await self._leases.start()
        self.audience.hashes = Hashes(await site_secret(self._bucket, VIEWER_HASHES))
        self._viewers.start()
        self._quality.start()

    async def close(self) -> None:
        """Ends, with a last word about what viewers got."""
        await self._viewers.close()
        await self._quality.close()
        await self._leases.close()

    def _told(self) -> dict[str, int]:
        return self.site.count_all() if self.site.leads(self._clock()) else {}
