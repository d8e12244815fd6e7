"""Leases go to one holder, are taken from the dead at once, from the living never, from the silent in time."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from appliance.contracts.errors import LeaseLostError
from appliance.runtime.bus import Bus
from appliance.runtime.lease import DOUBT_S, STOPPED_S, Holder, Lease, Watch, is_dead, this_holder
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
    return msgspec.structs.replace(here, pid=pid)


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
    before = msgspec.structs.replace(here, started=here.started - 1)
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


_JUDGES = """
import sys, msgspec
from appliance.runtime.lease import Holder, Watch, is_dead, this_holder
outside = msgspec.json.decode(sys.argv[1], type=Holder)
judged = [is_dead(outside), Watch().is_gone(outside, 0.0), this_holder("in")]
print(msgspec.json.encode(judged).decode(), flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes PID namespaces")
@pytest.mark.parametrize("proc", [["--mount-proc"], []], ids=["its own /proc", "the /proc of others"])
def test_processes_of_two_containers_do_not_judge_each_other(proc: list[str]) -> None:
    here = this_holder("out")
    judge = [sys.executable, "-c", _JUDGES, msgspec.json.encode(here).decode()]
    command = ["unshare", "--pid", "--fork", *proc, *judge]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        dead, gone, inside = msgspec.json.decode(process.stdout.readline(), type=tuple[bool, bool, Holder])
        assert (dead, gone) == (False, False)
        assert (inside.machine, inside.pid, bool(inside.pids)) == (here.machine, 1, bool(proc))
        assert inside.pids != here.pids
        assert not is_dead(inside)
        process.communicate("")
    assert not is_dead(inside), "a process id of elsewhere says nothing, not even when there is none like it here"
    assert not Watch().is_gone(inside, 0.0)


def test_workers_of_two_containers_have_two_names() -> None:
    here = this_holder("one")
    assert here.pids, "this test's own namespace is seen"
    contained = [msgspec.structs.replace(here, pid=1, pids=number) for number in (7, 8)]
    assert len({one.label for one in (here, *contained)}) == 3


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGSTOP)
    os.waitpid(process.pid, os.WUNTRACED)


def go_on(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGCONT)
    os.waitpid(process.pid, os.WCONTINUED)


def test_a_process_that_is_stopped_is_gone_after_a_moment() -> None:
    here, watch = this_holder("frozen"), Watch()
    with subprocess.Popen(["sleep", "60"]) as process:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        holder = msgspec.structs.replace(here, pid=process.pid, started=int(fields[19]))
        assert not watch.is_gone(holder, 0.0)
        assert not watch.is_suspect(holder)
        stop(process)
        assert not watch.is_gone(holder, 1.0), "it may be for a moment"
        assert watch.is_suspect(holder)
        assert not watch.is_gone(holder, 1.0 + 0.9 * STOPPED_S)
        assert watch.is_gone(holder, 1.0 + STOPPED_S)
        go_on(process)
        stop(process)
        assert not watch.is_gone(holder, 2.0), "it ran in between"
        go_on(process)
        assert not watch.is_gone(holder, 3.0)
        assert not watch.is_suspect(holder)
        stop(process)
        assert not watch.is_gone(msgspec.structs.replace(holder, machine="another"), 4.0)
        assert not watch.is_gone(msgspec.structs.replace(holder, machine="another"), 9.0)
        process.kill()


async def test_a_holder_that_stood_still_is_in_doubt_until_it_has_proved_itself(bucket) -> None:
    lease = await Lease.try_take(bucket, "b1", this_holder("one"))
    assert lease is not None
    keeping = asyncio.ensure_future(lease.keep(60.0))
    await asyncio.sleep(0.02)
    assert lease.is_certain()
    revision = (await bucket.get("b1")).revision
    time.sleep(1.2 * DOUBT_S)
    assert not lease.is_certain()
    await lease.certain()
    assert lease.is_certain()
    assert (await bucket.get("b1")).revision > revision, "it was proved, long before it was due"
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_a_holder_whose_lease_was_taken_while_it_stood_still_is_never_certain_again(bucket) -> None:
    lease = await Lease.try_take(bucket, "b1", this_holder("one"))
    assert lease is not None
    keeping = asyncio.ensure_future(lease.keep(60.0))
    await asyncio.sleep(0.02)
    other = await Lease.try_take(bucket, "b1", this_holder("two"), is_gone=lambda _: True)
    assert other is not None
    time.sleep(1.2 * DOUBT_S)
    assert not lease.is_certain()
    with pytest.raises(LeaseLostError):
        await lease.certain()
    assert isinstance((await asyncio.gather(keeping, return_exceptions=True))[0], LeaseLostError)
    assert not lease.is_certain()
    await lease.release()
    await other.renew()


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
