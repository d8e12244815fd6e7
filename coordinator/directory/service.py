"""The task that writes the directory."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from appliance.contracts.directory import FORGET_S
from appliance.contracts.errors import NearcastError
from appliance.contracts.subjects import DIRECTORY_WHOLE
from appliance.runtime.backoff import Backoff
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter
from coordinator.db import Database
from coordinator.directory.records import READERS, Record
from coordinator.directory.store import FIRST
from coordinator.ports import Bucket
from coordinator.unit import Kind, Ref

_log = get_logger("coordinator.directory")
_writes = counter("nearcast_coordinator_directory_writes_total", "Records written or removed.", ["kind"])
_failures = counter("nearcast_coordinator_directory_failures_total", "Rounds that the bus or database ended.")
_MAX_NOTICES = 1000
_PAGE = 500


@dataclass(frozen=True, slots=True)
class _Notice:
    refs: frozenset[Ref]
    done: asyncio.Future[None]


class Directory:
    """Publishes records. `ensure` makes the bucket when it is not there; times in seconds."""

    def __init__(
        self,
        database: Database,
        bucket: Bucket,
        ensure: Callable[[], Awaitable[None]],
        *,
        interval_s: float = 60.0,
        wait_s: float = 2.0,
    ) -> None:
        self._database = database
        self._bucket = bucket
        self._ensure = ensure
        self._interval_s = interval_s
        self._wait_s = wait_s
        self._notices: list[_Notice] = []
        self._wake = asyncio.Event()
        self._backoff = Backoff(0.2, 10.0)

    async def announce(self, refs: Collection[Ref]) -> None:
        """Has these records written, and waits at most `wait_s`. Never fails: a comparison will do it."""
        done = self._note(refs)
        await asyncio.wait([done], timeout=self._wait_s)

    async def announce_later(self, refs: Collection[Ref]) -> None:
        """Has these records written, without waiting."""
        self._note(refs)

    def _note(self, refs: Collection[Ref]) -> asyncio.Future[None]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if len(self._notices) >= _MAX_NOTICES:
            # The next comparison covers it; who waits is not held up by a bus that is away.
            done.set_result(None)
            return done
        self._notices.append(_Notice(frozenset(refs), done))
        self._wake.set()
        return done

    async def probe(self) -> None:
        """UnavailableError unless the bucket can be read."""
        await self._bucket.get("probe")

    async def run(self) -> None:
        """Compares at start and every interval, and writes what is announced in between. Until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            try:
                if loop.time() >= due:
                    await self.reconcile()
                    due = loop.time() + self._interval_s * random.uniform(0.9, 1.1)  # noqa: S311 - jitter
                await self._publish_notices()
                self._backoff.reset()
            except NearcastError as error:
                _failures.inc()
                delay = self._backoff.next_delay()
                _log.warning("directory_behind", code=str(error.code), detail=error.detail, retry_s=delay)
                due = loop.time() + delay
            await self._sleep(due - loop.time())

    async def _sleep(self, seconds: float) -> None:
        if not self._notices:
            self._wake.clear()
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _publish_notices(self) -> None:
        notices, self._notices = self._notices, []
        self._wake.clear()
        try:
            await self._publish({ref for notice in notices for ref in notice.refs})
        finally:
            for notice in notices:
                if not notice.done.done():
                    notice.done.set_result(None)

    async def _publish(self, refs: set[Ref]) -> None:
        for kind, read in READERS.items():
            ids = sorted(ref.id for ref in refs if ref.kind is kind)
            for first in range(0, len(ids), _PAGE):
                chosen = ids[first : first + _PAGE]
                async with self._database.transaction() as connection:
                    records = await read(connection, FIRST, chosen, _PAGE)
                for record in records:
                    await self._put(kind, record)

    async def reconcile(self) -> None:
        """Makes the bucket equal to the database. UnavailableError: one of them is away; try again.

        The bucket is read before the database, so that a key found there and missing here is really to
        be removed. Announcements are served between pages. Until all is there once, edges remove nothing.
        """
        await self._ensure()
        present = dict(await self._bucket.items())
        for kind, read in READERS.items():
            after = FIRST
            while True:
                async with self._database.transaction() as connection:
                    records = await read(connection, after, None, _PAGE)
                for record in records:
                    if present.pop(record.key, None) != record.data:
                        await self._put(kind, record)
                if len(records) < _PAGE:
                    break
                after = records[-1].id
                await self._publish_notices()
        await self._remove(present)
        if DIRECTORY_WHOLE not in present:
            await self._bucket.put(DIRECTORY_WHOLE, b"{}")

    async def _put(self, kind: Kind, record: Record) -> None:
        await self._bucket.put(record.key, record.data)
        _writes.labels(kind).inc()

    async def _remove(self, keys: Collection[str]) -> None:
        for key in sorted(keys):
            kind = key.partition(".")[0]
            if kind in READERS:
                await self._bucket.delete(key, forget_s=FORGET_S if kind == Kind.HAPPENING else 0)
                _writes.labels("removed").inc()
