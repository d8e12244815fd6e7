"""Writes live records and events behind the media's back: nothing here ever delays a frame."""

import asyncio
from collections import deque

import msgspec

from appliance.contracts import subjects
from appliance.contracts.errors import NearcastError
from appliance.contracts.events import BROADCAST, PUBLISHER, BroadcastEvent, PublisherReport
from appliance.runtime.backoff import Backoff
from appliance.runtime.bus import Bus
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter
from appliance.runtime.tasks import Tasks
from edge.ingest.backlog import Backlog

MAX_EVENTS = 10_000
_FORGET_S = 3600  # every process of the site has heard of it by then
_LOST = counter("nearcast_ingest_events_lost_total", "Events that did not fit the queue.")


class Records:
    """Live bucket: the newest value of each key, in order of change. Outbox: every event, in order.

    Both are tried again until they are written.
    """

    def __init__(self, local: Bus, fed: Bus, edge_id: str, tasks: Tasks) -> None:
        self._bucket = local.bucket(subjects.LIVE_BUCKET)
        self._fed = fed
        self._edge_id = edge_id
        self._tasks = tasks
        self._values: dict[str, bytes | None] = {}
        self._events: deque[BroadcastEvent | PublisherReport] = deque()
        self._work = asyncio.Event()
        self.backlog = Backlog()
        self._log = get_logger("ingest.records")

    def start(self) -> None:
        """Begins to write."""
        self._tasks.start(self._run(), "ingest-records")

    def put(self, key: str, record: msgspec.Struct) -> None:
        """Writes a record of the live bucket."""
        self._values[key] = msgspec.json.encode(record)
        self._wake()

    def delete(self, key: str) -> None:
        """Removes a record of the live bucket."""
        self._values[key] = None
        self._wake()

    def emit(self, event: BroadcastEvent | PublisherReport) -> None:
        """Appends an event to the outbox."""
        if len(self._events) >= MAX_EVENTS:
            self._events.popleft()
            _LOST.inc()
        self._events.append(event)
        self._wake()

    def _wake(self) -> None:
        self.backlog.fill()
        self._work.set()

    async def _run(self) -> None:
        backoff = Backoff(0.1, 2.0)
        while True:
            await self._work.wait()
            self._work.clear()
            try:
                await self._write_all()
                backoff.reset()
            except NearcastError as error:
                self._log.warning("records_wait", error=error.detail)
                self._work.set()
                await asyncio.sleep(backoff.next_delay())
            if not self._values and not self._events:
                self.backlog.drained()

    async def _write_all(self) -> None:
        while self._values:
            key, value = next(iter(self._values.items()))
            if value is None:
                await self._bucket.delete(key, forget_s=_FORGET_S)
            else:
                await self._bucket.put(key, value)
            if self._values.get(key) is value:
                del self._values[key]
        while self._events:
            event = self._events[0]
            subject = subjects.event(self._edge_id, BROADCAST if isinstance(event, BroadcastEvent) else PUBLISHER)
            await self._fed.append(subject, msgspec.json.encode(event), message_id=event.event_id)
            if self._events and self._events[0] is event:
                self._events.popleft()
