"""The unit of work: one transaction, and what the directory must be told once it is committed."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from coordinator.db import Connection, Database


class Kind(StrEnum):
    """What has a record in the directory."""

    KEY = "key"
    TOKEN = "token"  # noqa: S105 - the name of a kind of record
    CHANNEL = "channel"
    STREAM = "stream"
    GRANT_KEY = "grantkey"
    REVOCATION = "revoked"
    ROOM = "room"
    MEMBER = "member"
    FOLLOW = "follow"
    SUBSCRIBER = "subscriber"
    HAPPENING = "happened"


class Ref(NamedTuple):
    """Something whose record changed, by its id; the record is read again when it is published."""

    kind: Kind
    id: str


@dataclass(frozen=True, slots=True)
class Unit:
    """What a service works with. It adds to `changed` and never commits."""

    connection: Connection
    changed: set[Ref] = field(default_factory=set)


class Units:
    """Opens units of work. `announce` is told what changed after each commit, never before."""

    def __init__(self, database: Database, announce: Callable[[Collection[Ref]], Awaitable[None]]) -> None:
        self._database = database
        self._announce = announce

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Unit]:
        """Commits at the end, rolls back on any error. UnavailableError: the database is away."""
        async with self._database.transaction() as connection:
            unit = Unit(connection)
            yield unit
        if unit.changed:
            await self._announce(unit.changed)
