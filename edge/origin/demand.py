"""Which renditions are watched, told to the transcoders of the site: they need not make what nobody asks for.

A record at `demand.<origin>` of the lease bucket: written when a rendition is asked for that was not, and
kept alive while anybody watches. It ends by itself with its process.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping

import msgspec

from appliance.contracts.errors import UnavailableError
from appliance.contracts.subjects import LEASE_BUCKET, demand_key
from appliance.contracts.transcode import DemandRecord
from appliance.runtime.bus import Bus
from appliance.runtime.tasks import Tasks
from edge.origin.viewers import Group, ViewerCount

LATELY_S = 10.0  # as long as viewers count
_LOOK_S = 0.2
_ALIVE_S = 0.8  # the bucket forgets after two seconds

Watchers = dict[str, dict[str, int]]


class RenditionDemand:
    """Of one broadcast: viewers of each rendition. `now` in monotonic seconds."""

    def __init__(self) -> None:
        self._asked: dict[str, float] = {}
        self._viewers: dict[str, ViewerCount] = {}

    def asked(self, rendition: str, now: float) -> None:
        """Its playlist was asked for."""
        self._asked[rendition] = now

    def note(self, rendition: str, group: Group, port: int, question: int, now: float) -> None:
        """A request without a session's id, by which viewers are counted as in `ViewerCount`."""
        count = self._viewers.get(rendition)
        if count is None:
            count = self._viewers[rendition] = ViewerCount()
        count.note(group, port, question, now)

    def watchers(self, now: float, sessions: Mapping[str, int]) -> dict[str, int]:
        """Viewers of each rendition that was asked for lately, one at least. `sessions` are those with an id."""
        self._asked = {name: at for name, at in self._asked.items() if now - at < LATELY_S}
        self._viewers = {name: count for name, count in self._viewers.items() if name in self._asked}
        counted = {name: count.count(now) for name, count in self._viewers.items()}
        return {name: max(1, counted.get(name, 0) + sessions.get(name, 0)) for name in self._asked}


class DemandTeller:
    """Tells this process's demand. `read` gives it, by broadcast and rendition."""

    def __init__(self, local: Bus, origin: str, read: Callable[[], Watchers]) -> None:
        """`origin` is the name of this process, unique at its site."""
        self._bucket = local.bucket(LEASE_BUCKET)
        self._origin = origin
        self._read = read
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
        record = DemandRecord(origin=self._origin, watchers=watchers)
        await self._bucket.put(demand_key(self._origin), msgspec.json.encode(record))
