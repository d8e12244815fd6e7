"""Numbered SQL files applied once, in order.

A file is one transaction unless its first line is `-- no-transaction`; then its statements run one by one
and each must be safe to run again. The lock is polled with pg_try_advisory_lock: a session that waits
inside pg_advisory_lock holds a snapshot, and CREATE INDEX CONCURRENTLY of the lock's holder waits for it.
"""

import asyncio
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.rows import TupleRow

from appliance.contracts.errors import ConfigError, UnavailableError
from coordinator.db.errors import mapping

MIGRATIONS = Path(__file__).parent / "migrations"
NO_TRANSACTION = "-- no-transaction"
_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.[a-z]+\Z")
_LOCK = 0x6E656172  # any number that nobody else uses in this database
_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its name without suffix, its text and the text's SHA-256."""

    version: str
    sql: str
    checksum: str

    @property
    def in_transaction(self) -> bool:
        return not self.sql.startswith(NO_TRANSACTION)

    def statements(self) -> list[str]:
        """Statements of a file outside a transaction: each ends with a semicolon at a line's end."""
        return [part for part in re.split(r";[ \t]*(?:\n|\Z)", self.sql) if _has_code(part)]


def _has_code(text: str) -> bool:
    return any(line.strip() and not line.strip().startswith("--") for line in text.splitlines())


def load(folder: Path = MIGRATIONS, suffix: str = "sql") -> list[Migration]:
    """The files of `folder` in order. ConfigError: a name that is not NNNN_words.sql, a number used twice."""
    found: dict[str, Migration] = {}
    for path in sorted(folder.glob(f"*.{suffix}")):
        name = _NAME.match(path.name)
        if name is None:
            raise ConfigError(f"{path.name}: a migration is called NNNN_words.{suffix}")
        if name[1] in found:
            raise ConfigError(f"{path.name}: the number {name[1]} is used twice")
        sql = path.read_text(encoding="utf-8")
        found[name[1]] = Migration(path.stem, sql, hashlib.sha256(sql.encode()).hexdigest())
    return list(found.values())


def pending(migrations: list[Migration], applied: dict[str, str]) -> list[Migration]:
    """Those not applied yet. ConfigError when an applied file was edited or a new one sorts before it."""
    newest = max(applied, default="")
    todo = []
    for migration in migrations:
        checksum = applied.get(migration.version)
        if checksum is None:
            if migration.version < newest:
                raise ConfigError(f"migration {migration.version} sorts before the applied {newest}")
            todo.append(migration)
        elif checksum != migration.checksum:
            raise ConfigError(f"migration {migration.version} was edited after it was applied")
    return todo


async def migrate(dsn: str, folder: Path = MIGRATIONS, *, wait_s: float = 60.0) -> list[str]:
    """Brings the database up to date and returns the versions applied now.

    ConfigError as `load` and `pending`; UnavailableError when the database is away or another process holds
    the lock for longer than `wait_s`.
    """
    migrations = load(folder)
    with mapping():
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, connect_timeout=5) as connection:
            await _lock(connection, wait_s)
            await connection.execute(
                "create table if not exists schema_migration (version text primary key,"
                " checksum text not null, applied_at timestamptz not null default now())"
            )
            rows = await connection.execute("select version, checksum from schema_migration")
            todo = pending(migrations, dict(await rows.fetchall()))
            for migration in todo:
                await _apply(connection, migration)
    return [migration.version for migration in todo]


async def _lock(connection: psycopg.AsyncConnection[TupleRow], wait_s: float) -> None:
    for _ in range(max(1, round(wait_s / _POLL_S))):
        row = await (await connection.execute("select pg_try_advisory_lock(%s)", (_LOCK,))).fetchone()
        if row is not None and row[0]:
            return
        await asyncio.sleep(_POLL_S)
    raise UnavailableError("another process is migrating the database")


async def _apply(connection: psycopg.AsyncConnection[TupleRow], migration: Migration) -> None:
    if migration.in_transaction:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await _record(connection, migration)
        return
    for statement in migration.statements():
        await connection.execute(statement)
    await _record(connection, migration)


async def _record(connection: psycopg.AsyncConnection[TupleRow], migration: Migration) -> None:
    await connection.execute(
        "insert into schema_migration (version, checksum) values (%s, %s)",
        (migration.version, migration.checksum),
    )
