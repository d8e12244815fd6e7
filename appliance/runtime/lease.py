"""Leases: one holder per key, proved by compare-and-set heartbeats on a bucket with a TTL.

A lease says who may work; it does not by itself stop a frozen holder from writing. Writers therefore also
fence their appends by sequence.
"""

import asyncio
import os
from pathlib import Path

import msgspec

from appliance.contracts.errors import ConflictError, LeaseLostError, UnavailableError
from appliance.runtime.bus import Bucket, Entry


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lease: the machine, the process and when that process began."""

    machine: str
    pid: int
    started: int
    worker: str


def this_holder(worker: str) -> Holder:
    """The holder that this process is."""
    return Holder(_machine(), os.getpid(), _started(os.getpid()), worker)


def is_dead(holder: Holder) -> bool:
    """Whether the holder is a process of this machine that no longer lives (never a guess about others)."""
    return holder.machine == _machine() and _started(holder.pid) != holder.started


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


class Lease:
    """A held lease. `renew` well within the TTL; LeaseLostError means stop at once."""

    def __init__(self, bucket: Bucket, key: str, value: bytes, revision: int) -> None:
        self._bucket = bucket
        self.key = key
        self._value = value
        self._revision = revision

    @classmethod
    async def try_take(cls, bucket: Bucket, key: str, holder: Holder) -> "Lease | None":
        """Takes the lease when it is free or its holder is dead; None when somebody has it."""
        value = msgspec.json.encode(holder)
        entry = await bucket.get(key)
        try:
            if entry is None:
                return cls(bucket, key, value, await bucket.create(key, value))
            if is_dead(msgspec.json.decode(entry.value, type=Holder)):
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
        """Renews for ever, a quarter of the TTL apart. Raises LeaseLostError when it is over."""
        loop = asyncio.get_running_loop()
        proved = loop.time()
        while True:
            await asyncio.sleep(ttl_s / 4)
            try:
                await self.renew()
                proved = loop.time()
            except UnavailableError:
                if loop.time() - proved > 30 * ttl_s:
                    raise LeaseLostError(f"{self.key} could not be proved") from None

    async def release(self) -> None:
        """Gives it back."""
        try:
            await self._bucket.delete(self.key, self._revision)
        except (ConflictError, UnavailableError):
            return
