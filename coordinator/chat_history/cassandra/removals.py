"""Which messages of a room are gone by bans, timeouts and clears: pages are held against them while they are read.

A mark on each message would have to find them first, and would miss those that come later.
"""

from dataclasses import dataclass, field
from datetime import UTC
from typing import Any
from uuid import UUID

from coordinator.chat_history.cassandra import buckets
from coordinator.chat_history.cassandra.session import Session
from coordinator.chat_history.cassandra.statements import Statements
from coordinator.chat_history.models import MessageRow
from coordinator.times import to_ms

_EVERYBODY = ""
_WHOLE_DAY = 500  # as many removals of a day are read at once; of a day with more, those of a page's users
_SLACK_MS = 60_000  # between a message's id and when it says that it was sent


@dataclass(slots=True)
class _Day:
    """Spans in Unix milliseconds, open at the first and closed at the second, by user."""

    spans: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    whole: bool = True
    users: set[str] = field(default_factory=set)  # that were asked for when it is not whole


class RemovalsOfRoom:
    """The removals of one room that matter for one page; read when they are needed, each once."""

    def __init__(self, session: Session, statements: Statements, channel_id: str) -> None:
        self._session = session
        self._statements = statements
        self._room = UUID(channel_id)
        self._days: dict[int, _Day] = {}

    async def visible(self, rows: list[MessageRow]) -> list[MessageRow]:
        """Those that nobody removed. UnavailableError."""
        return [row for row in rows if not self._covers(await self._day_of(row, rows), row)]

    async def cleared(self, bucket: int) -> bool:
        """Whether everything in a bucket is gone. UnavailableError."""
        first, last = bucket * buckets.BUCKET_MS, (bucket + 1) * buckets.BUCKET_MS
        day = await self._day(buckets.day_of(first))
        return any(
            since < first - _SLACK_MS and last + _SLACK_MS <= until
            for since, until in day.spans.get(_EVERYBODY, ())
        )

    async def _day_of(self, row: MessageRow, page: list[MessageRow]) -> _Day:
        """The day of a message, with what is known of the authors of its page."""
        number = buckets.day_of(to_ms(row.sent_at))
        day = await self._day(number)
        if not day.whole and row.user_id not in day.users:
            users = {one.user_id for one in page} - day.users
            await self._learn(day, number, users)
        return day

    async def _day(self, number: int) -> _Day:
        if number not in self._days:
            statement = self._statements.removals
            found = await self._session.execute(statement, (self._room, number, _WHOLE_DAY))
            day = _Day(whole=len(found) < _WHOLE_DAY)
            if day.whole:
                _add(day, found)
            else:
                await self._learn(day, number, {_EVERYBODY})
            self._days[number] = day
        return self._days[number]

    async def _learn(self, day: _Day, number: int, users: set[str]) -> None:
        found = await self._session.execute(self._statements.removals_of, (self._room, number, sorted(users)))
        _add(day, found)
        day.users |= users

    def _covers(self, day: _Day, row: MessageRow) -> bool:
        at_ms = to_ms(row.sent_at)
        spans = [*day.spans.get(_EVERYBODY, ()), *day.spans.get(row.user_id, ())]
        return any(since < at_ms <= until for since, until in spans)


def _add(day: _Day, found: list[Any]) -> None:
    for user_id, since, until in found:
        span = (to_ms(since.replace(tzinfo=UTC)), to_ms(until.replace(tzinfo=UTC)))
        day.spans.setdefault(user_id, []).append(span)
