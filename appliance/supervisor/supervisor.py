"""Runs a plan: stages in order, restarts, a status that is always true, stages back in reverse order."""

import asyncio
import os
from pathlib import Path

from appliance import VERSION
from appliance.contracts.errors import UnavailableError
from appliance.engines.child import Child
from appliance.runtime.logs import get_logger
from appliance.runtime.tasks import Tasks
from appliance.supervisor.process import Process, State
from appliance.supervisor.status import NodeStatus, RoleStatus, write_status


class Supervisor:
    """Owner of every child process of a node."""

    def __init__(self, data: Path, endpoints: dict[str, str]) -> None:
        self._data = data
        self._endpoints = endpoints
        self._processes: list[Process] = []
        self._tasks = Tasks()
        self._phase = "starting"
        self._dirty = False
        self._log = get_logger("supervisor")

    async def start_stage(self, children: list[Child], deadline_s: float = 45.0) -> None:
        """Starts children side by side; returns when all are ready. UnavailableError names who is not."""
        started = [self._launch(child) for child in children]
        try:
            async with asyncio.timeout(deadline_s):
                await asyncio.gather(*(process.ready() for process in started))
        except TimeoutError:
            late = ", ".join(process.child.name for process in started if process.state is not State.READY)
            raise UnavailableError(f"not ready in {deadline_s:.0f} s: {late}; see `nearcast logs`") from None

    def _launch(self, child: Child) -> Process:
        log_file = self._data / "logs" / f"{child.name}.log"
        process = Process(child, log_file, self._changed)
        self._processes.append(process)
        self._tasks.start(process.run(), f"supervise-{child.name}")
        return process

    def announce_ready(self) -> None:
        """From now on the state follows the essential children."""
        self._phase = "running"
        self._write()

    async def stop(self) -> None:
        """Stops the stages in reverse order."""
        self._phase = "stopping"
        for stage in sorted({process.child.stage for process in self._processes}, reverse=True):
            await asyncio.gather(*(p.stop() for p in self._processes if p.child.stage == stage))
        await self._tasks.close()
        self._write()

    @property
    def state(self) -> str:
        if self._phase != "running":
            return self._phase
        down = [p for p in self._processes if p.child.essential and p.state is not State.READY]
        return "degraded" if down else "ready"

    def _changed(self) -> None:
        if not self._dirty:
            self._dirty = True
            asyncio.get_running_loop().call_soon(self._write)

    def _write(self) -> None:
        self._dirty = False
        roles = [
            RoleStatus(name=p.child.name, state=str(p.state), pid=p.pid, restarts=p.restarts)
            for p in self._processes
        ]
        status = NodeStatus(
            state=self.state, pid=os.getpid(), version=VERSION, endpoints=self._endpoints, roles=roles
        )
        try:
            write_status(self._data, status)
        except OSError as error:
            self._log.error("status_not_written", error=str(error))
