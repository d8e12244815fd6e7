"""Which renditions are watched, told to the transcoders of the site: they need not make what nobody asks for.

A record at `demand.<process>` of the lease bucket: written when a rendition is asked for that was not, and
kept alive while anybody watches. It ends by itself with its process.
"""

import asyncio
import contextlib
from collections.abc import Callable

import msgspec

from appliance.contracts.errors import UnavailableError
from appliance.contracts.subjects import LEASE_BUCKET, demand_key
from appliance.contracts.transcode import DemandRecord
from appliance.runtime.bus import Bus
from appliance.runtime.tasks import Tasks

_LOOK_S = 0.2
_ALIVE_S = 0.8  # the bucket forgets after two seconds

Watchers = dict[str, dict[str, int]]


class DemandTeller:
    """Tells this process's demand. `read` gives it, by broadcast and rendition."""

    def __init__(self, local: Bus, origin: str, read: Callable[[], Watchers], *, near: bool = False) -> None:
        """`origin` is the name of this process, unique at its site; `near` as in DemandRecord."""
        self._bucket = local.bucket(LEASE_BUCKET)
        self._origin = origin
        self._read = read
        self._near = near
        self._told: set[tuple[str, str]] = set()
        self._told_at = float("-inf")
        self._tasks = Tasks()

    def start(self) -> None:
        """Begins."""
        self._tasks.start(self._run(), "tell-demand")

    async def close(self) -> None:
        """Ends: what was told is forgotten by itself."""
        await self._tasks.close()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK_S)
            watchers = self._read()
            asked = {(broadcast, name) for broadcast, found in watchers.items() for name in found}
            if asked - self._told or (asked | self._told and loop.time() - self._told_at >= _ALIVE_S):
                with contextlib.suppress(UnavailableError):  # the next look tells it
                    await self._tell(watchers)
                    self._told, self._told_at = asked, loop.time()

    async def _tell(self, watchers: Watchers) -> None:
        record = DemandRecord(origin=self._origin, near=self._near, watchers=watchers)
        await self._bucket.put(demand_key(self._origin), msgspec.json.encode(record))
