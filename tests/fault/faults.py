"""What can happen to the transcoder that holds a broadcast's lease."""

import asyncio
import contextlib
import os
import resource
import signal
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from appliance.contracts.errors import UnavailableError
from appliance.contracts.subjects import LEASE_BUCKET
from appliance.contracts.transcode import WorkerRecord
from appliance.runtime.bus import Bus, Endpoint
from appliance.runtime.lease import Holder
from appliance.runtime.settings import load
from tests.e2e.e2e_node import Node

LEASE_TTL_S = 2.0
_FROZEN_S = 1.5 * LEASE_TTL_S
_DOZES_S = 0.6
_STARVED_S = 10.0
_TURN_S = 0.1  # of stopping and of running, while starved
_HOLDER_S = 20.0
_MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")  # where the kernel has version 1 of control groups
_STILL_TO_HAVE = 1 << 18  # bytes a process may still take before the kernel kills it for memory
_STARTS_THREADS = 10 << 20  # bytes: a thread can start, a ladder hardly
_SHORT_OF_MEMORY_S = 6.0
_ENDS_S = 15.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that was done, and when it began (monotonic seconds)."""

    kind: str
    at: float


def _killed_for_memory() -> tuple[str, ...]:
    """The kind that needs a control group of its own, where one can be made."""
    return ("oom",) if os.access(_MEMORY_GROUPS / "cgroup.procs", os.W_OK) else ()


class Saboteur:
    """Does to one broadcast's transcoder, or to the log under it, what `KINDS` names."""

    KINDS = ("kill", "freeze", "terminate", "bus", "starve", "doze", "no_memory", *_killed_for_memory())
    TAKE_OVERS = ("kill", "freeze", "terminate", "oom")  # after these another worker goes on

    def __init__(self, node: Node, bus: Bus, broadcast_id: str) -> None:
        self._node = node
        self._leases = bus.bucket(LEASE_BUCKET)
        self._broadcast_id = broadcast_id
        self._acts: dict[str, Callable[[int], Coroutine[Any, Any, None]]] = {
            "kill": self._kill,
            "freeze": self._freeze,
            "terminate": self._terminate,
            "starve": self._starve,
            "doze": self._doze,
            "no_memory": self._no_memory,
            "oom": self._oom,
        }

    @classmethod
    async def connect(cls, node: Node, broadcast_id: str) -> tuple["Saboteur", Bus]:
        """With a connection of its own to the node's bus, which the caller closes."""
        settings = load(node.data / "run" / "node.toml", {})
        bus = await Bus.connect(Endpoint(settings.bus.local_url), name="saboteur")
        return cls(node, bus, broadcast_id), bus

    async def holder(self) -> int:
        """The process that holds the lease, waited for."""
        until = time.monotonic() + _HOLDER_S
        while True:
            with contextlib.suppress(UnavailableError):
                entry = await self._leases.get(self._broadcast_id)
                if entry is not None:
                    pid = msgspec.json.decode(entry.value, type=Holder).pid
                    if _lives(pid):
                        return pid
            assert time.monotonic() < until, "nobody transcodes"
            await asyncio.sleep(0.05)

    async def do(self, kind: str) -> Fault:
        """Returns when it is over: a frozen worker runs again, a killed one need not."""
        if kind == "bus":
            return Fault(kind, self._node.kill("nats-edge"))
        pid = await self.holder()
        began = time.monotonic()
        await self._acts[kind](pid)
        return Fault(kind, began)

    async def _kill(self, pid: int) -> None:
        _send(pid, signal.SIGKILL)

    async def _terminate(self, pid: int) -> None:
        _send(pid, signal.SIGTERM)

    async def _freeze(self, pid: int) -> None:
        """Longer than its lease: another worker takes over, and then this one wakes."""
        await self._stop(pid, _FROZEN_S)

    async def _doze(self, pid: int) -> None:
        """It wakes about when another worker has taken its lease and begins."""
        await self._stop(pid, _DOZES_S)

    async def _stop(self, pid: int, seconds: float) -> None:
        _send(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            _send(pid, signal.SIGCONT)

    async def _starve(self, pid: int) -> None:
        """Half of the time it does not run."""
        until = time.monotonic() + _STARVED_S
        while time.monotonic() < until:
            _send(pid, signal.SIGSTOP)
            try:
                await asyncio.sleep(_TURN_S)
            finally:
                _send(pid, signal.SIGCONT)
            await asyncio.sleep(_TURN_S)

    async def _no_memory(self, pid: int) -> None:
        """The worker that follows gets hardly any memory: it does with it, or makes place for another one."""
        others = {worker.pid for worker in await self._workers()} - {pid}
        for other in others:
            with contextlib.suppress(FileNotFoundError):  # its record lives on for a moment
                status = Path(f"/proc/{other}/statm").read_text(encoding="ascii")
                _limit_memory(other, int(status.split()[0]) * resource.getpagesize() + _STARTS_THREADS)
        _send(pid, signal.SIGKILL)
        await asyncio.sleep(_SHORT_OF_MEMORY_S)
        for other in others:
            _limit_memory(other, resource.RLIM_INFINITY)

    async def _workers(self) -> list[WorkerRecord]:
        found = await self._leases.items()
        return [msgspec.json.decode(value, type=WorkerRecord) for key, value in found if key.startswith("worker.")]

    async def _oom(self, pid: int) -> None:
        """The kernel kills it, as on a machine whose memory is gone."""
        group = _MEMORY_GROUPS / f"nearcast-fault-{pid}"
        group.mkdir()
        try:
            (group / "memory.limit_in_bytes").write_text(str(_STILL_TO_HAVE), encoding="ascii")
            (group / "cgroup.procs").write_text(str(pid), encoding="ascii")
            await _ended(pid)
        finally:
            await _removed(group)


def _send(pid: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, what)


def _limit_memory(pid: int, most: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def _ended(pid: int) -> None:
    until = time.monotonic() + _ENDS_S
    while _lives(pid):
        assert time.monotonic() < until, f"process {pid} goes on without memory"
        await asyncio.sleep(0.05)


async def _removed(group: Path) -> None:
    """The kernel lets go of a group some time after its last process."""
    until = time.monotonic() + _ENDS_S
    while True:
        with contextlib.suppress(OSError):
            group.rmdir()
            return
        assert time.monotonic() < until, f"{group.name} stays"
        await asyncio.sleep(0.05)
