"""Now and then the sums go to the outbox, as events that are durable once they are appended."""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import msgspec

from appliance.contracts.errors import NearcastError
from appliance.contracts.quality import QUALITY, QualityBatch, ViewersSample
from appliance.contracts.subjects import event
from appliance.runtime.backoff import Backoff
from appliance.runtime.ids import new_id
from appliance.runtime.logs import get_logger
from appliance.runtime.tasks import Tasks
from edge.origin.quality.metrics import DROPPED
from edge.origin.quality.sums import Sums

MOST_BATCHES = 1000  # nearly three hours of a process that needs one every ten seconds
_CELLS, _SESSIONS, _VIEWERS = 50, 500, 1000  # of one batch: some hundred kilobytes at most
_LAST_WORD_S = 2.0

T = TypeVar("T")


class Outbox(Protocol):
    """The part of a bus that writing needs."""

    async def append(self, subject: str, data: bytes, *, message_id: str) -> int:
        """Durable when it returns. UnavailableError."""


class QualityTeller:
    """`viewers` gives how many watch at the whole site by broadcast, or nothing when another process says so."""

    def __init__(
        self,
        outbox: Outbox,
        edge_id: str,
        *,
        sums: Sums,
        viewers: Callable[[], dict[str, int]],
        now_ms: Callable[[], int],
        on_failure: Callable[[BaseException], None] | None = None,
        period_s: float,
    ) -> None:
        self._outbox = outbox
        self._edge_id = edge_id
        self._sums = sums
        self._viewers = viewers
        self._now_ms = now_ms
        self._period_s = period_s
        self._batches: deque[QualityBatch] = deque()
        self._work = asyncio.Event()
        self._tasks = Tasks(on_failure)
        self._log = get_logger("origin.quality")

    def start(self) -> None:
        """Begins."""
        self._tasks.start(self._collect(), "quality-collect")
        self._tasks.start(self._write(), "quality-write")

    async def close(self) -> None:
        """Tells what is left, within a bounded time, and ends."""
        self.collect(last=True)
        try:
            async with asyncio.timeout(_LAST_WORD_S):
                while self._batches:  # noqa: ASYNC110 - bounded, and only when leaving
                    await asyncio.sleep(0.02)
        except TimeoutError:
            self._log.warning("quality_lost", batches=len(self._batches))
        await self._tasks.close()

    def collect(self, *, last: bool = False) -> None:
        """Queues what there is to tell; the oldest batch goes when the log has been away for too long."""
        at_ms = self._now_ms()
        cells, sessions = self._sums.take(at_ms, last=last)
        viewers = [ViewersSample(name, count) for name, count in self._viewers().items()]
        pieces = itertools.zip_longest(
            _split(cells, _CELLS), _split(sessions, _SESSIONS), _split(viewers, _VIEWERS), fillvalue=None
        )
        for some_cells, some_sessions, some_viewers in pieces:
            if len(self._batches) >= MOST_BATCHES:
                self._batches.popleft()
                DROPPED.inc()
            self._batches.append(
                QualityBatch(
                    event_id=new_id(),
                    edge_id=self._edge_id,
                    at_ms=at_ms,
                    cells=some_cells or [],
                    sessions=some_sessions or [],
                    viewers=some_viewers or [],
                )
            )
        self._work.set()

    async def _collect(self) -> None:
        while True:
            await asyncio.sleep(self._period_s)
            self.collect()

    async def _write(self) -> None:
        backoff = Backoff(0.2, 10.0)
        while True:
            await self._work.wait()
            self._work.clear()
            try:
                await self._write_all()
                backoff.reset()
            except NearcastError as error:
                self._log.warning("quality_waits", error=error.detail, batches=len(self._batches))
                self._work.set()
                await asyncio.sleep(backoff.next_delay())

    async def _write_all(self) -> None:
        while self._batches:
            batch = self._batches[0]
            data = msgspec.json.encode(batch)
            await self._outbox.append(event(self._edge_id, QUALITY), data, message_id=batch.event_id)
            if self._batches and self._batches[0] is batch:
                self._batches.popleft()


def _split(items: Sequence[T], size: int) -> list[list[T]]:
    return [list(items[at : at + size]) for at in range(0, len(items), size)]
