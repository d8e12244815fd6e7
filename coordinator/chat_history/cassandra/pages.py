"""Reads one page: which buckets of a stream or room have messages, then those, more at once the fewer they hold."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

from coordinator.chat_history.cassandra import buckets
from coordinator.chat_history.cassandra.removals import RemovalsOfRoom
from coordinator.chat_history.cassandra.session import Session
from coordinator.chat_history.cassandra.statements import Statements, row_of
from coordinator.chat_history.models import MessageRow

_INDEX_ROWS = 144  # buckets asked for at once: a day
_WIDEST = 16  # buckets read at once
_LEAST_ROWS = 50
_LAST_BUCKET = (1 << 31) - 1


class PageReader:
    """One page of a stream, or of a room without one, between two ids, both exclusive; empty ones bound nothing.

    `limit` is at least 1.
    """

    def __init__(
        self, session: Session, statements: Statements, channel_id: str, stream_id: str, *, backwards: bool
    ) -> None:
        self._session = session
        self._channel_id = channel_id
        self._stream_id = stream_id
        self._backwards = backwards
        self._removals = RemovalsOfRoom(session, statements, channel_id)
        self._page = statements.newest if backwards else statements.oldest
        self._index = statements.newest_buckets if backwards else statements.oldest_buckets

    async def read(self, after: str, before: str, limit: int) -> list[MessageRow]:
        """The first `limit` messages in reading order. UnavailableError."""
        found: list[MessageRow] = []
        async for wave in self._waves(after, before):
            parts = await asyncio.gather(*(self._bucket(bucket, after, before, limit) for bucket in wave))
            for part in parts:
                found += part
            if len(found) >= limit:
                break
        return found[:limit]

    async def _waves(self, after: str, before: str) -> AsyncIterator[list[int]]:
        """Buckets in reading order, in groups that grow."""
        first = buckets.bucket_of(after) if after else 0
        last = buckets.bucket_of(before) if before else _LAST_BUCKET
        width = 1
        while True:
            values = (UUID(self._stream_id or self._channel_id), first, last, _INDEX_ROWS)
            numbers = [row[0] for row in await self._session.execute(self._index, values)]
            waiting = numbers
            while waiting:
                wave, waiting = waiting[:width], waiting[width:]
                yield wave
                width = min(2 * width, _WIDEST)
            if len(numbers) < _INDEX_ROWS:
                return
            if self._backwards:
                last = numbers[-1] - 1
            else:
                first = numbers[-1] + 1

    async def _bucket(self, bucket: int, after: str, before: str, limit: int) -> list[MessageRow]:
        """At most `limit` messages, or a few more, of one bucket."""
        found: list[MessageRow] = []
        if await self._removals.cleared(bucket):
            return found
        least, most = buckets.bounds(bucket, after, before)
        wanted = max(limit, _LEAST_ROWS)
        while len(found) < limit:
            values = (UUID(self._channel_id), bucket, UUID(least), UUID(most), wanted)
            stored = await self._session.execute(self._page, values)
            rows = [row for one in stored if (row := row_of(self._channel_id, one)) is not None]
            rows = [row for row in rows if self._stream_id in ("", row.stream_id)]
            found += await self._removals.visible(rows)
            if len(stored) < wanted:
                break
            if self._backwards:
                most = str(stored[-1][0])
            else:
                least = str(stored[-1][0])
        return found
