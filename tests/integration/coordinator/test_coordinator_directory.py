"""The directory heals: wiped buckets, a bus that was away, records nobody should have."""

import asyncio

import pytest

from appliance.contracts import subjects
from appliance.contracts.directory import ChannelRecord, KeyRecord, secret_hash
from appliance.contracts.errors import UnavailableError
from appliance.runtime.ids import new_id
from coordinator.db import Database
from coordinator.directory import Directory
from coordinator.unit import Kind, Ref


@pytest.fixture
async def filled(api):
    """A coordinator whose directory holds one channel with its records."""
    await api.channel("ada")
    return api


@pytest.fixture
async def directory(dsn, hub):
    database = Database(dsn)
    await database.open()
    yield Directory(database, hub.bucket, hub.ensure_directory)
    await database.close()


async def test_wiped_bucket_is_filled_again(filled, directory):
    before = dict(filled.hub.bucket.values)
    filled.hub.bucket.values.clear()
    await directory.reconcile()
    assert filled.hub.bucket.values == before | {subjects.DIRECTORY_WHOLE: b"{}"}


async def test_equal_bucket_is_left_alone(filled, directory):
    async with asyncio.timeout(5):
        while subjects.DIRECTORY_WHOLE not in filled.hub.bucket.values:  # the coordinator's own first comparison
            await asyncio.sleep(0.01)
    writes = filled.hub.bucket.writes
    await directory.reconcile()
    await directory.reconcile()
    assert filled.hub.bucket.writes == writes


async def test_changed_and_foreign_records_are_put_right(filled, directory):
    bucket = filled.hub.bucket
    [key] = bucket.of_kind("channel")
    good = bucket.values[key]
    bucket.values[key] = b"{}"
    bucket.values[subjects.token_key("0" * 64)] = b"{}"
    bucket.values["settings.other"] = b"kept"
    await directory.reconcile()
    assert bucket.values[key] == good
    assert subjects.token_key("0" * 64) not in bucket.values
    assert bucket.values["settings.other"] == b"kept"


async def test_long_revoked_keys_leave(filled, directory):
    await filled.sql("update stream_keys set revoked_at = now() - interval '8 days'")
    await directory.reconcile()
    assert filled.hub.bucket.of_kind("key") == []


async def test_many_records_are_compared_in_pages(filled, directory):
    [(channel_id,)] = await filled.sql("select channel_id::text from channels")
    await filled.sql(
        "insert into stream_keys (key_id, key_hash, channel_id)"
        " select gen_random_uuid(), encode(sha256(n::text::bytea), 'hex'), %s"
        " from generate_series(1, 1200) n",
        channel_id,
    )
    await directory.reconcile()
    assert len(filled.hub.bucket.of_kind("key")) == 1201


async def test_call_succeeds_while_the_bus_is_away_and_heals_later(api):
    api.hub.bucket.away = True
    made = await api.channel("ada")
    assert api.hub.bucket.values.keys() & {subjects.stream_key_key(secret_hash(made["stream_key"]))} == set()
    api.hub.bucket.away = False
    key = subjects.stream_key_key(secret_hash(made["stream_key"]))
    async with asyncio.timeout(5):
        while key not in api.hub.bucket.values:
            await asyncio.sleep(0.01)
    assert api.hub.bucket.record(key, KeyRecord).channel == "ada"


async def test_waiting_for_the_directory_is_bounded(dsn, hub):
    database = Database(dsn)
    await database.open()
    directory = Directory(database, hub.bucket, hub.ensure_directory, wait_s=0.05)
    hub.bucket.hang = True
    task = asyncio.ensure_future(directory.run())
    await directory.announce([Ref(Kind.CHANNEL, new_id())])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await directory.probe()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await database.close()


async def test_refused_bus_leaves_the_comparison_to_be_tried_again(filled, directory):
    filled.hub.bucket.away = True
    with pytest.raises(UnavailableError):
        await directory.reconcile()
    filled.hub.bucket.away = False
    filled.hub.bucket.values.clear()
    await directory.reconcile()
    [key] = filled.hub.bucket.of_kind("channel")
    assert filled.hub.bucket.record(key, ChannelRecord).channel == "ada"
