"""The adapter: joins the cluster, writes batches, reads pages."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import TypeVar
from uuid import UUID

from appliance.contracts.errors import NearcastError, UnavailableError
from appliance.contracts.ids import unix_ms
from appliance.runtime.backoff import Backoff
from appliance.runtime.clock import now_ms
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter
from appliance.runtime.tasks import Tasks
from coordinator.chat_history.cassandra import buckets, schema, statements
from coordinator.chat_history.cassandra.pages import PageReader
from coordinator.chat_history.cassandra.session import Session, Values
from coordinator.chat_history.cassandra.statements import Statements
from coordinator.chat_history.models import MessageRow, Page, Removal
from coordinator.config import CassandraCluster
from coordinator.db import Database
from coordinator.times import to_ms

_log = get_logger("coordinator.chat_history")
_expired = counter(
    "nearcast_coordinator_messages_expired_total", "Messages that came after the time they are kept."
)
_SCHEMA_LOCK = 0x63716C73  # any number that nobody else uses in the database
_BATCH_ROWS = 50
_BATCH_BYTES = 256 * 1024
_WRITERS = 8  # batches of one call in flight
_READ_S = 5.0
_PING_S = 2.0
_BUCKETS_KNOWN = 100_000
_MAX_CAUSE = 300
T = TypeVar("T")
_Partition = tuple[str, int]


class CassandraChatStore:
    """The history in a cluster. `database` lends the lock under which the schema is changed."""

    name = "cassandra"

    def __init__(self, cluster: CassandraCluster, database: Database) -> None:
        schema.check(cluster)
        self._cluster = cluster
        self._database = database
        self._session = Session(cluster)
        self._statements: Statements | None = None
        self._noted: dict[_Partition, None] = {}  # buckets that stand in the index for sure, oldest knowledge first
        self._tasks = Tasks()

    async def open(self) -> None:
        """Returns at once; the cluster is sought in the background, its schema made or brought up to date."""
        self._tasks.start(self._join(), "cassandra")

    async def close(self) -> None:
        """As the port says."""
        await self._tasks.close()
        await self._session.close()

    async def _join(self) -> None:
        """Until it is joined. From then on the driver seeks nodes that went away by itself."""
        backoff = Backoff(0.2, 5.0)
        connected = False
        while True:
            try:
                if not connected:
                    await self._session.connect()
                    connected = True
                async with self._database.alone(_SCHEMA_LOCK):
                    applied = await schema.migrate(self._session, self._cluster)
                self._statements = await statements.prepare(self._session, self._cluster.keyspace)
            except NearcastError as error:
                delay = backoff.next_delay()
                cause = repr(error.__cause__ or error)[:_MAX_CAUSE]
                _log.warning("cassandra_waiting", code=error.code, cause=cause, retry_s=round(delay, 1))
                await asyncio.sleep(delay)
            else:
                _log.info("cassandra_joined", nodes=self._session.nodes(), migrations=applied)
                return

    @property
    def _ready(self) -> Statements:
        if self._statements is None:
            raise UnavailableError("the history of chat is away", code="chat_history_away", retry_after_s=2)
        return self._statements

    # -- writing

    async def add(self, rows: Sequence[MessageRow]) -> None:
        """As the port says. The index is written before the messages: none is ever where nobody looks."""
        if not rows:
            return
        ready, now = self._ready, now_ms()
        partitions: dict[_Partition, list[MessageRow]] = defaultdict(list)
        fresh: dict[_Partition, None] = {}
        for row in rows:
            if buckets.seconds_left(unix_ms(row.message_id), now) <= 0:
                _expired.inc()
                continue
            bucket = buckets.bucket_of(row.message_id)
            partitions[row.channel_id, bucket].append(row)
            owners = {row.stream_id or row.channel_id, row.channel_id}
            fresh.update(((owner, bucket), None) for owner in owners if (owner, bucket) not in self._noted)
        await _each(fresh, lambda owner: self._note(ready, owner, now), _WRITERS)
        self._remember(fresh)
        await _each(
            (batch for rows in partitions.values() for batch in _batches(rows, now)),
            lambda batch: self._session.write(ready.insert, batch),
            _WRITERS,
        )

    async def _note(self, ready: Statements, owner: _Partition, now: int) -> None:
        owner_id, bucket = owner
        seconds = buckets.mark_seconds_left((bucket + 1) * buckets.BUCKET_MS, now)
        await self._session.execute(ready.note_bucket, (UUID(owner_id), bucket, seconds))

    def _remember(self, fresh: Iterable[_Partition]) -> None:
        self._noted.update(dict.fromkeys(fresh))
        while len(self._noted) > _BUCKETS_KNOWN:
            del self._noted[next(iter(self._noted))]

    async def remove(self, removals: Sequence[Removal]) -> None:
        """As the port says."""
        if not removals:
            return
        ready, now = self._ready, now_ms()
        await _each(removals, lambda removal: self._remove(ready, removal, now), _WRITERS)

    async def _remove(self, ready: Statements, removal: Removal, now: int) -> None:
        room, event = UUID(removal.channel_id), UUID(removal.event_id)
        if removal.message_id:
            seconds = buckets.mark_seconds_left(unix_ms(removal.message_id), now)
            if seconds > 0:
                bucket = buckets.bucket_of(removal.message_id)
                mark = (seconds, event, room, bucket, UUID(removal.message_id))
                await self._session.execute(ready.hide, mark)
            return
        since, until = to_ms(removal.since), to_ms(removal.until)
        seconds = buckets.mark_seconds_left(until, now)
        if seconds > 0:
            for day in buckets.days(since, until):
                values = (room, day, removal.user_id, event, since, until, seconds)
                await self._session.execute(ready.note_removal, values)

    # -- reading

    async def before(self, channel_id: str, stream_id: str, before: str, limit: int) -> Page:
        """As the port says."""
        rows = await self._read(channel_id, stream_id, "", before, limit + 1, backwards=True)
        return Page(rows[:limit][::-1], len(rows) > limit)

    async def after(self, channel_id: str, stream_id: str, after: str, before: str, limit: int) -> Page:
        """As the port says."""
        rows = await self._read(channel_id, stream_id, after, before, limit + 1, backwards=False)
        return Page(rows[:limit], len(rows) > limit)

    async def _read(
        self, channel_id: str, stream_id: str, after: str, before: str, limit: int, *, backwards: bool
    ) -> list[MessageRow]:
        reader = PageReader(self._session, self._ready, channel_id, stream_id, backwards=backwards)
        try:
            async with asyncio.timeout(_READ_S):
                return await reader.read(after, before, limit)
        except TimeoutError as error:
            raise UnavailableError(
                "the history of chat takes too long", code="chat_history_slow", retry_after_s=2
            ) from error

    async def ping(self) -> None:
        """As the port says."""
        statement = self._ready.newest_buckets
        try:
            async with asyncio.timeout(_PING_S):
                await self._session.execute(statement, (UUID(int=0), 0, 0, 1))
        except TimeoutError as error:
            raise UnavailableError("the history of chat takes too long", code="chat_history_slow") from error

    async def forget_old(self) -> None:
        """Rows end by their time to live."""


def _batches(rows: Sequence[MessageRow], now: int) -> Iterator[list[Values]]:
    """Rows of one partition in batches of bounded size."""
    batch: list[Values] = []
    size = 0
    for row in rows:
        values = statements.values_of(row, buckets.seconds_left(unix_ms(row.message_id), now))
        length = sum(4 * len(value) for value in values if isinstance(value, str))
        if batch and (len(batch) == _BATCH_ROWS or size + length > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(values)
        size += length
    if batch:
        yield batch


async def _each(items: Iterable[T], do: Callable[[T], Awaitable[None]], width: int) -> None:
    """Does it with every item, `width` at a time; the first error ends it and is raised."""
    waiting = iter(items)
    errors: list[NearcastError] = []

    async def work() -> None:
        for item in waiting:
            if errors:
                return
            try:
                await do(item)
            except NearcastError as error:
                errors.append(error)

    await asyncio.gather(*(work() for _ in range(width)))
    if errors:
        raise errors[0]
