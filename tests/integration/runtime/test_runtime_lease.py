"""Leases go to one holder, are taken from the dead at once, from the living never, from the silent in time."""

import asyncio
import subprocess
import sys
import time

import pytest

from appliance.contracts.errors import LeaseLostError
from appliance.runtime.bus import Bus
from appliance.runtime.lease import Holder, Lease, is_dead, this_holder
from appliance.runtime.streams import BucketSpec

TTL_S = 1.0


@pytest.fixture
async def bucket(bus: Bus):
    await bus.ensure_bucket(BucketSpec("lease", ttl_s=TTL_S))
    return bus.bucket("lease")


def dead_holder() -> Holder:
    """A process of this machine that has ended."""
    here = this_holder("gone")
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pid = process.pid
    return Holder(here.machine, pid, here.started, "gone")


async def test_one_holder(bucket) -> None:
    holders = [this_holder(f"w{number}") for number in range(5)]
    taken = await asyncio.gather(*(Lease.try_take(bucket, "b1", holder) for holder in holders))
    assert len([lease for lease in taken if lease is not None]) == 1


async def test_living_holder_keeps_it_dead_one_does_not(bucket) -> None:
    living = this_holder("one")
    assert not is_dead(living)
    lease = await Lease.try_take(bucket, "b1", living)
    assert lease is not None
    assert await Lease.try_take(bucket, "b1", this_holder("two")) is None
    dead = dead_holder()
    assert is_dead(dead)
    assert await Lease.try_take(bucket, "b2", dead) is not None
    began = time.monotonic()
    assert await Lease.try_take(bucket, "b2", this_holder("two")) is not None
    assert time.monotonic() - began < TTL_S / 2, "the dead need no TTL"


async def test_number_of_a_dead_process_that_was_given_again(bucket) -> None:
    here = this_holder("same pid")
    before = Holder(here.machine, here.pid, here.started - 1, "same pid")
    assert is_dead(before)
    assert await Lease.try_take(bucket, "b1", before) is not None
    assert await Lease.try_take(bucket, "b1", here) is not None


async def test_another_machine_is_never_guessed_dead(bucket) -> None:
    far = Holder("another machine", 1, 1, "far")
    assert not is_dead(far)
    assert await Lease.try_take(bucket, "b1", far) is not None
    assert await Lease.try_take(bucket, "b1", this_holder("here")) is None
    async with asyncio.timeout(4 * TTL_S):
        while await Lease.try_take(bucket, "b1", this_holder("here")) is None:
            await asyncio.sleep(0.05)


async def test_heartbeats_keep_it_beyond_its_time(bucket) -> None:
    lease = await Lease.try_take(bucket, "b1", this_holder("one"))
    assert lease is not None
    keeping = asyncio.ensure_future(lease.keep(TTL_S))
    until = time.monotonic() + 2.5 * TTL_S
    while time.monotonic() < until:
        assert await Lease.try_take(bucket, "b1", this_holder("two")) is None
        await asyncio.sleep(0.1)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    await lease.release()
    assert await Lease.try_take(bucket, "b1", this_holder("two")) is not None


async def test_holder_that_was_silent_too_long_learns_it(bucket) -> None:
    lease = await Lease.try_take(bucket, "b1", this_holder("one"))
    assert lease is not None
    await asyncio.sleep(2 * TTL_S)
    assert await Lease.try_take(bucket, "b1", this_holder("two")) is not None
    with pytest.raises(LeaseLostError):
        await lease.keep(0.05)


async def test_kept_through_a_killed_server(bucket, server) -> None:
    lease = await Lease.try_take(bucket, "b1", this_holder("one"))
    assert lease is not None
    keeping = asyncio.ensure_future(lease.keep(TTL_S))
    await server.restart(1.5 * TTL_S)
    await asyncio.sleep(TTL_S)
    assert not keeping.done()
    assert await Lease.try_take(bucket, "b1", this_holder("two")) is None
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
