"""The task that drains one edge's outbox."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from appliance.contracts.errors import BadInputError, NearcastError, UnavailableError
from appliance.contracts.events import PublisherReport
from appliance.contracts.nonces import Nonces
from appliance.contracts.quality import QualityBatch
from appliance.runtime.backoff import Backoff
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter
from coordinator.bridge import store
from coordinator.bridge.entries import Entry, decode
from coordinator.broadcasts.service import Broadcasts
from coordinator.chat_history.models import MessageRow, Removal
from coordinator.chat_history.ports import ChatStore
from coordinator.moderation.service import Moderations
from coordinator.ports import PullConsumer, PulledMessage
from coordinator.quality.service import Qualities
from coordinator.unit import Unit, Units

_log = get_logger("coordinator.bridge")
_pulled = counter("nearcast_coordinator_outbox_entries_total", "Outbox entries committed.", ["edge"])
_dead = counter("nearcast_coordinator_dead_letters_total", "Outbox entries that cannot be applied.", ["edge"])
_second_tries = counter(
    "nearcast_coordinator_second_tries_total", "Messages and actions that an earlier try had stored."
)
_MAX_REASON = 300
_MOST_S = 1.0  # between two tries: what moderators did must hold everywhere soon after a link is back
_ROWS = 2000  # messages stored at once: the loop is not held up by more


class OutboxBridge:
    """Drains the outbox of `edge_id`. `connect` opens the durable pull consumer; `wait_s` per fetch."""

    def __init__(
        self,
        edge_id: str,
        connect: Callable[[], Awaitable[PullConsumer]],
        units: Units,
        chat: ChatStore,
        broadcasts: Broadcasts,
        qualities: Qualities,
        moderations: Moderations,
        *,
        batch: int = 1000,
        wait_s: float = 5.0,
    ) -> None:
        self._edge_id = edge_id
        self._connect = connect
        self._units = units
        self._chat = chat
        self._broadcasts = broadcasts
        self._qualities = qualities
        self._moderations = moderations
        self._batch = batch
        self._wait_s = wait_s
        self._backoff = Backoff(0.2, _MOST_S)
        self._nonces = Nonces()

    async def run(self) -> None:
        """Until cancelled. The edge or a store being away is waited out, with jitter."""
        while True:
            try:
                await self._drain(await self._connect())
            except NearcastError as error:
                delay = self._backoff.next_delay()
                _log.warning("outbox_waiting", edge=self._edge_id, code=str(error.code), retry_s=delay)
                await asyncio.sleep(delay)

    async def _drain(self, consumer: PullConsumer) -> None:
        try:
            while True:
                messages = await consumer.fetch(self._batch, self._wait_s)
                if messages:
                    await self._commit_at_last(messages)
                    for message in messages:
                        await message.ack()
                    _pulled.labels(self._edge_id).inc(len(messages))
                self._backoff.reset()
        finally:
            await consumer.close()

    async def _commit_at_last(self, messages: Sequence[PulledMessage]) -> None:
        """Holds the batch while a store is away: fetched anew it would come behind later entries."""
        while True:
            try:
                return await self.commit(messages)
            except UnavailableError as error:
                delay = self._backoff.next_delay()
                _log.warning("commit_waiting", edge=self._edge_id, detail=error.detail, retry_s=delay)
                await asyncio.sleep(delay)

    async def commit(self, messages: Sequence[PulledMessage]) -> None:
        """Stores a batch. UnavailableError: not all of it is stored and nothing may be acknowledged.

        When a store refuses the batch as a whole, each entry is tried alone, so that one bad entry takes
        nothing else with it.
        """
        try:
            await self._apply(messages)
        except UnavailableError:
            raise
        except NearcastError:
            for message in messages:
                await self._commit_alone(message)

    async def _commit_alone(self, message: PulledMessage) -> None:
        try:
            await self._apply([message])
        except UnavailableError:
            raise
        except NearcastError as error:
            async with self._units.open() as unit:
                await self._bury(unit, message, error)

    async def _apply(self, messages: Sequence[PulledMessage]) -> None:
        """Chat first, into its own store, then everything else in one unit; a repeat of either changes nothing."""
        read: list[tuple[PulledMessage, Entry | BadInputError]] = []
        rows: list[MessageRow] = []
        removals: list[Removal] = []
        for message in messages:
            entry = self._read(message)
            read.append((message, entry))
            if isinstance(entry, Entry):
                rows += entry.messages
                removals += entry.removals
            if len(rows) >= _ROWS:
                await self._chat.add(rows)
                rows = []
        await self._chat.add(rows)
        await self._chat.remove(removals)
        async with self._units.open() as unit:
            for message, entry in read:
                if isinstance(entry, BadInputError):
                    await self._bury(unit, message, entry)
                    continue
                for happening in entry.happenings:
                    await self._moderations.apply(unit, happening)
                await self._apply_event(unit, entry, message)

    def _is_first(self, identifier: str) -> bool:
        """Whether it is no second try that another gateway took at the same time; the same id may come again."""
        if not self._nonces.is_first(identifier):
            _second_tries.inc()
            return False
        self._nonces.heard(identifier)
        return True

    def _read(self, message: PulledMessage) -> Entry | BadInputError:
        try:
            found = decode(self._edge_id, message.subject, message.data)
        except BadInputError as error:
            return error
        done = {event.event_id for event in found.happenings if self._is_first(event.event_id)}
        return Entry(
            messages=[row for row in found.messages if self._is_first(row.message_id)],
            removals=[removal for removal in found.removals if removal.event_id in done],
            happenings=[event for event in found.happenings if event.event_id in done],
            event=found.event,
        )

    async def _apply_event(self, unit: Unit, entry: Entry, message: PulledMessage) -> None:
        if entry.event is None or not await store.first_time(unit.connection, entry.event.event_id):
            return
        try:
            if isinstance(entry.event, PublisherReport):
                await self._broadcasts.record(unit, entry.event)
            elif isinstance(entry.event, QualityBatch):
                await self._qualities.apply(unit, entry.event)
            else:
                await self._broadcasts.apply(unit, entry.event)
        except BadInputError as error:
            await self._bury(unit, message, error)

    async def _bury(self, unit: Unit, message: PulledMessage, error: NearcastError) -> None:
        _dead.labels(self._edge_id).inc()
        _log.warning("dead_letter", edge=self._edge_id, seq=message.seq, code=str(error.code))
        reason = f"{error.code}: {error.detail}"[:_MAX_REASON]
        await store.insert_dead_letter(
            unit.connection, self._edge_id, message.subject, message.seq, reason, message.data
        )
