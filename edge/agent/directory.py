"""The edge's own copy of the directory, so that keys and tokens are checked with the WAN cut.

The agent copies rather than letting the server mirror: a server-side mirror that found no leaf link at its
start tries again only after half a minute.
"""

import asyncio

from appliance.contracts.directory import FORGET_S
from appliance.contracts.errors import UnavailableError
from appliance.contracts.subjects import DIRECTORY_BUCKET, DIRECTORY_WHOLE, HUB_DOMAIN, happened_key
from appliance.runtime.backoff import Backoff
from appliance.runtime.bus import Bus
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import gauge
from appliance.runtime.replica import Replica

_EVENTS = happened_key("", "").partition(".")[0] + "."
_FACTS = gauge("nearcast_agent_directory_facts", "Facts in the edge's copy of the directory.")


class DirectoryCopy:
    """Follows the hub's bucket and writes what changes into the bucket of the same name on the edge.

    Nothing is removed here while the centre fills a bucket that it lost: those who publish and chat stay.
    """

    def __init__(self, fed: Bus) -> None:
        self._bucket = fed.bucket(DIRECTORY_BUCKET)
        self._centre = Replica(fed, DIRECTORY_BUCKET, self._on_change, domain=HUB_DOMAIN)
        self._fed = fed
        self._changed: dict[str, bytes | None] = {}  # bounded by the directory itself: one entry a key
        self._wake = asyncio.Event()
        self._log = get_logger("directory")

    async def run(self) -> None:
        """Copies for ever; waits as long as the centre is away."""
        await self._centre.start(None)
        await self._forget_removed()
        self._fed.add_reconnected(self._compare)
        backoff = Backoff(0.1, 2.0)
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._write()
                backoff.reset()
            except UnavailableError as error:
                self._log.debug("copy_waits", error=error.detail)
                self._wake.set()
                await asyncio.sleep(backoff.next_delay())

    async def close(self) -> None:
        """Stops following."""
        self._fed.remove_reconnected(self._compare)
        await self._centre.close()

    def _compare(self) -> None:
        """A server that was killed may have lost the last records written here: each is looked at again."""
        held: dict[str, bytes | None] = dict(self._centre.items(""))
        held.pop(DIRECTORY_WHOLE, None)
        self._changed = held | self._changed
        self._wake.set()

    def _on_change(self, key: str, value: bytes | None) -> None:
        if key != DIRECTORY_WHOLE:
            self._changed[key] = value
        self._wake.set()

    async def _write(self) -> None:
        is_whole = self._centre.get(DIRECTORY_WHOLE) is not None
        for key in list(self._changed):
            value = self._changed[key]
            if value is None and not is_whole:
                continue
            there = await self._bucket.get(key)
            if value is None and there is not None:
                await self._bucket.delete(key, forget_s=FORGET_S if key.startswith(_EVENTS) else 0)
            elif value is not None and (there is None or there.value != value):
                await self._bucket.put(key, value)
            if self._changed.get(key) == value:
                del self._changed[key]
        _FACTS.set(len(self._centre.items("")))

    async def _forget_removed(self) -> None:
        """Removes what the centre no longer has, seen once its whole directory is here."""
        try:
            for key, _ in await self._bucket.items():
                if self._centre.get(key) is None:
                    self._on_change(key, None)
        except UnavailableError as error:
            self._log.debug("comparison_skipped", error=error.detail)
