"""Leases: one holder per key, proved by compare-and-set heartbeats on a bucket with a TTL.

A lease says who may work; it does not by itself stop a frozen holder from writing. Writers therefore also
fence their appends by sequence. And a holder that stood still for a moment is in doubt: others of its machine may
have seen that it is stopped, and gone on for it. It writes nothing until it has proved that it is the holder.
"""

import asyncio
import contextlib
import functools
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from appliance.contracts.errors import ConflictError, LeaseLostError, UnavailableError
from appliance.runtime.bus import Bucket, Entry

STOPPED_S = 0.3  # a process that is stopped for so long has lost its leases
DOUBT_S = 0.2  # well below: no holder that others gave up can miss that it stood still
_PULSE_S = 0.05
_FORGET_S = 10.0
_FIRST = 0xEFFFFFFC  # the PID namespace that a machine begins with (PROC_PID_INIT_INO, linux/proc_ns.h)


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lease: the machine, the process and when that process began.

    `pid` counts in the PID namespace `pids` of that machine: a container has one of its own. 0: it is not known.
    """

    machine: str
    pid: int
    started: int
    worker: str
    pids: int = 0

    @property
    def label(self) -> str:
        """What no other process of the machine is called."""
        return f"{self.worker}-{self.pid}" if self.pids in (0, _FIRST) else f"{self.worker}-{self.pids}-{self.pid}"


def this_holder(worker: str) -> Holder:
    """The holder that this process is."""
    return Holder(_machine(), os.getpid(), _started(os.getpid()), worker, _pids())


def is_dead(holder: Holder) -> bool:
    """Whether the holder is a process that is seen from here and no longer lives (never a guess about others)."""
    return _is_seen(holder) and _started(holder.pid) != holder.started


def _is_seen(holder: Holder) -> bool:
    """Whether its process id means the same process here: it does not in another container of the same machine."""
    return holder.machine == _machine() and holder.pids == _pids() != 0


@functools.cache
def _pids() -> int:
    """The PID namespace of this process; 0 where /proc shows the processes of another one, or none."""
    try:
        if Path("/proc/self").readlink().name != str(os.getpid()):
            return 0
        return Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return 0


@functools.cache
def _machine() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return os.uname().nodename


def _started(pid: int) -> int:
    """Start time of a process in clock ticks since boot, 0 when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])


def _stops(pid: int) -> int | None:
    """How often a process that is stopped was on and off a core; None when it is not stopped."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    if fields.get("State", "").split()[:1] not in (["T"], ["t"]):
        return None
    return sum(int(value) for name, value in fields.items() if name.endswith("voluntary_ctxt_switches"))


class _Stopped(NamedTuple):
    stops: int
    since: float
    seen: float


class Watch:
    """Which holders cannot go on: dead, or stopped by a signal or a debugger and not just for a moment.

    Only a process of this machine and PID namespace can be seen. `now` in monotonic seconds.
    """

    def __init__(self) -> None:
        self._stopped: dict[tuple[int, int], _Stopped] = {}  # by pid and start

    def is_gone(self, holder: Holder, now: float) -> bool:
        """Whether another may go on for it. One that is stopped has to be looked at again to be sure."""
        if not _is_seen(holder):
            return False
        if is_dead(holder):
            return True
        key, stops = (holder.pid, holder.started), _stops(holder.pid)
        if stops is None:
            self._stopped.pop(key, None)
            return False
        known = self._stopped.get(key)
        since = known.since if known is not None and known.stops == stops else now
        self._stopped = {one: found for one, found in self._stopped.items() if now - found.seen < _FORGET_S}
        self._stopped[key] = _Stopped(stops, since, now)
        return now - since >= STOPPED_S

    def is_suspect(self, holder: Holder) -> bool:
        """Whether it was stopped when it was looked at last."""
        return (holder.pid, holder.started) in self._stopped and _is_seen(holder)


class Lease:
    """A held lease: `keep` runs as long as it is to be held. LeaseLostError means stop at once."""

    def __init__(self, bucket: Bucket, key: str, value: bytes, revision: int) -> None:
        self._bucket = bucket
        self.key = key
        self._value = value
        self._revision = revision
        self._ran_at: float | None = None  # as of the last pulse, while it is kept
        self._doubts = self._proofs = 0  # how often the process stood still; of these, how many were cleared up
        self._is_lost = False
        self._doubted, self._settled = asyncio.Event(), asyncio.Event()

    @classmethod
    async def try_take(
        cls, bucket: Bucket, key: str, holder: Holder, *, is_gone: Callable[[Holder], bool] = is_dead
    ) -> "Lease | None":
        """Takes the lease when it is free or its holder `is_gone`; None when somebody has it."""
        value = msgspec.json.encode(holder)
        entry = await bucket.get(key)
        try:
            if entry is None:
                return cls(bucket, key, value, await bucket.create(key, value))
            if is_gone(msgspec.json.decode(entry.value, type=Holder)):
                return cls(bucket, key, value, await bucket.update(key, value, entry.revision))
        except (ConflictError, msgspec.DecodeError):
            return None
        return None

    async def renew(self) -> None:
        """Proves that the holder lives. LeaseLostError when another has it, UnavailableError when unknown."""
        try:
            self._revision = await self._bucket.update(self.key, self._value, self._revision)
        except ConflictError:
            entry = await self._bucket.get(self.key)
            self._revision = await self._reclaim(entry)

    async def _reclaim(self, entry: Entry | None) -> int:
        if entry is not None and entry.value == self._value:
            return entry.revision
        if entry is not None:
            raise LeaseLostError(f"{self.key} has another holder")
        try:  # it ran out while the server was away and nobody took it
            return await self._bucket.create(self.key, self._value)
        except ConflictError:
            raise LeaseLostError(f"{self.key} has another holder") from None

    async def keep(self, ttl_s: float) -> None:
        """Renews for ever, about a quarter of the TTL apart, and at once when the process stood still.

        Raises LeaseLostError when it is over.
        """
        self._ran_at = asyncio.get_running_loop().time()
        pulse = asyncio.ensure_future(self._pulse())
        try:
            await self._renewals(ttl_s)
        except LeaseLostError:
            self._is_lost = True
            raise
        finally:
            pulse.cancel()
            self._ran_at = None
            self._is_lost |= self._proofs != self._doubts
            self._settled.set()

    async def _pulse(self) -> None:
        while True:
            self.is_certain()
            await asyncio.sleep(_PULSE_S)

    async def _renewals(self, ttl_s: float) -> None:
        loop = asyncio.get_running_loop()
        proved = loop.time()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ttl_s * random.uniform(0.2, 0.25)):  # noqa: S311 - jitter, not a secret
                    await self._doubted.wait()
            self._doubted.clear()
            doubts = self._doubts  # one that comes while the answer is awaited needs another answer
            try:
                await self.renew()
            except UnavailableError:
                if loop.time() - proved > 30 * ttl_s:
                    raise LeaseLostError(f"{self.key} could not be proved") from None
                continue
            proved, self._proofs = loop.time(), doubts
            if self.is_certain():
                self._settled.set()

    def is_certain(self) -> bool:
        """Whether nobody can have gone on for this holder: what depends on the lease may be written now."""
        now = asyncio.get_running_loop().time()
        if self._ran_at is not None:
            if now - self._ran_at >= DOUBT_S:
                self._doubts += 1
                self._doubted.set()
                self._settled.clear()
            self._ran_at = now
        return self._proofs == self._doubts and not self._is_lost

    async def certain(self) -> None:
        """Returns when it is certain, mostly at once. LeaseLostError when another has it."""
        while not self.is_certain():
            if self._is_lost:
                raise LeaseLostError(f"{self.key} has another holder")
            await self._settled.wait()

    async def release(self) -> None:
        """Gives it back."""
        try:
            await self._bucket.delete(self.key, self._revision)
        except (ConflictError, UnavailableError):
            return
