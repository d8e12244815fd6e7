"""WebRTC viewers as the site counts them: told like an origin tells those who watch there."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from appliance.contracts.audience import ASKS, AudienceRecord, BroadcastAudience, pack_sessions
from appliance.contracts.errors import UnavailableError
from appliance.contracts.subjects import LEASE_BUCKET, viewers_key
from appliance.runtime.bus import Bus
from appliance.runtime.ids import new_id
from appliance.runtime.tasks import Tasks
from edge.access.hashes import Hashes

_ALIVE_S = 0.8


class Watching(NamedTuple):
    """One viewer. `name` is the id that their player reports under, or anything that nobody else has."""

    broadcast_id: str
    name: str
    address: str


class AudienceTeller:
    """`read` gives who watches here now."""

    def __init__(
        self,
        local: Bus,
        read: Callable[[], Iterable[Watching]],
        on_failure: Callable[[BaseException], None] | None,
    ) -> None:
        self._bucket = local.bucket(LEASE_BUCKET)
        self._read = read
        self._name = f"whep-{new_id()}"  # behind every origin's: it is them who add up
        self._tasks = Tasks(on_failure)

    def start(self, hashes: Hashes) -> None:
        """Begins."""
        self._tasks.start(self._run(hashes), "tell-viewers")

    async def close(self) -> None:
        """Ends: what was told is forgotten by itself."""
        await self._tasks.close()

    def record(self, hashes: Hashes) -> AudienceRecord:
        """What the site is told."""
        found: dict[str, list[tuple[int, int, int]]] = {}
        for one in self._read():
            entry = hashes.session(one.name), hashes.place(one.address), ASKS
            found.setdefault(one.broadcast_id, []).append(entry)
        return AudienceRecord(
            self._name, {name: BroadcastAudience(pack_sessions(entries)) for name, entries in found.items()}
        )

    async def _run(self, hashes: Hashes) -> None:
        told = False
        while True:
            await asyncio.sleep(_ALIVE_S)
            record = self.record(hashes)
            if record.broadcasts or told:
                with contextlib.suppress(UnavailableError):  # the next round tells it
                    await self._bucket.put(viewers_key(self._name), msgspec.msgpack.encode(record))
                    told = bool(record.broadcasts)
