"""Migrations against a real database."""

import asyncio

import psycopg
import pytest

from appliance.contracts.errors import ConfigError, ConflictError, UnavailableError
from coordinator.db import Database
from coordinator.db.migrate import MIGRATIONS, load, migrate


def write(folder, name, sql):
    (folder / name).write_text(sql)


async def test_fresh_and_again(empty_dsn):
    assert await migrate(empty_dsn) == [migration.version for migration in load()]
    assert await migrate(empty_dsn) == []


async def test_two_at_once_apply_each_file_once(empty_dsn):
    results = await asyncio.gather(migrate(empty_dsn), migrate(empty_dsn))
    assert sorted(map(len, results)) == [0, len(load())]


async def test_edited_file_is_refused(empty_dsn, tmp_path):
    write(tmp_path, "0001_one.sql", "create table a (x int)")
    await migrate(empty_dsn, tmp_path)
    write(tmp_path, "0001_one.sql", "create table a (x bigint)")
    with pytest.raises(ConfigError, match="edited"):
        await migrate(empty_dsn, tmp_path)


async def test_file_before_an_applied_one_is_refused(empty_dsn, tmp_path):
    write(tmp_path, "0002_two.sql", "create table b (x int)")
    await migrate(empty_dsn, tmp_path)
    write(tmp_path, "0001_one.sql", "create table a (x int)")
    with pytest.raises(ConfigError, match="sorts before"):
        await migrate(empty_dsn, tmp_path)


async def test_failed_file_leaves_nothing(empty_dsn, tmp_path):
    write(tmp_path, "0001_one.sql", "create table a (x int); create table a (x int);")
    with pytest.raises(Exception, match="database"):
        await migrate(empty_dsn, tmp_path)
    write(tmp_path, "0001_one.sql", "create table a (x int);")
    assert await migrate(empty_dsn, tmp_path) == ["0001_one"]


async def test_file_outside_a_transaction(empty_dsn, tmp_path):
    write(tmp_path, "0001_one.sql", "create table a (x int);")
    concurrently = "-- no-transaction\ncreate index concurrently if not exists a_x on a (x);\nselect 1;\n"
    write(tmp_path, "0002_two.sql", concurrently)
    assert await migrate(empty_dsn, tmp_path) == ["0001_one", "0002_two"]


async def test_lock_held_by_another_is_waited_for_and_given_up(empty_dsn):
    async with await psycopg.AsyncConnection.connect(empty_dsn, autocommit=True) as holder:
        await holder.execute("select pg_advisory_lock(%s)", (0x6E656172,))
        with pytest.raises(UnavailableError):
            await migrate(empty_dsn, MIGRATIONS, wait_s=0.1)


async def test_database_that_is_away():
    with pytest.raises(UnavailableError):
        await migrate("host=/nonexistent user=nobody")


async def test_transaction_maps_errors_and_rolls_back(dsn):
    database = Database(dsn, size=1, wait_s=0.1)
    await database.open()
    try:
        with pytest.raises(ConflictError):
            async with database.transaction() as connection:
                for _ in range(2):
                    await connection.execute("insert into applied_events (event_id) values ('e')")
        async with database.transaction() as connection:
            rows = await connection.execute("select 1 from applied_events")
            assert await rows.fetchall() == []
            with pytest.raises(UnavailableError):
                await database.ping()
    finally:
        await database.close()
