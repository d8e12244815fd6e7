"""What can happen to the transcoder that holds a broadcast's lease."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import msgspec

from appliance.contracts.errors import UnavailableError
from appliance.contracts.subjects import LEASE_BUCKET
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


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that was done, and when it began (monotonic seconds)."""

    kind: str
    at: float


class Saboteur:
    """Does to one broadcast's transcoder, or to the log under it, what `KINDS` names."""

    KINDS = ("kill", "freeze", "terminate", "bus", "starve", "doze")
    TAKE_OVERS = ("kill", "freeze", "terminate")  # after these another worker goes on

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


def _send(pid: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, what)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
