"""Runs a plan: stages in order, restarts, a status that is always true, stages back in reverse order."""

import asyncio
import os
import socket
from pathlib import Path

from appliance import VERSION
from appliance.contracts.errors import BadInputError, UnavailableError
from appliance.engines.child import Child
from appliance.runtime.listening import open_listener
from appliance.runtime.logs import get_logger
from appliance.runtime.tasks import Tasks
from appliance.supervisor.process import Process, State
from appliance.supervisor.status import NodeStatus, RoleStatus, write_status


class Supervisor:
    """Owner of every child process of a node."""

    def __init__(self, data: Path, endpoints: dict[str, str], *, hung_s: float = 0.0) -> None:
        """`hung_s`: a child without a sign of life for so long is started again; 0: never."""
        self._data = data
        self._endpoints = endpoints
        self._hung_s = hung_s
        self._processes: list[Process] = []
        self._listeners: dict[str, dict[str, socket.socket]] = {}  # by child and name
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

    def _launch(self, child: Child, place: int | None = None) -> Process:
        log_file = self._data / "logs" / f"{child.name}.log"
        process = Process(child, log_file, self._changed, self._listeners_of(child), self._hung_s)
        self._processes.insert(len(self._processes) if place is None else place, process)
        self._tasks.start(process.run(), f"supervise-{child.name}")
        return process

    def _listeners_of(self, child: Child) -> dict[str, socket.socket]:
        """The sockets that are held for a child, opened at its first start. UnavailableError: a port is taken."""
        if child.name not in self._listeners:
            opened: dict[str, socket.socket] = {}
            for name, host, port in child.listen:
                try:
                    opened[name] = open_listener(host, port)
                except OSError as error:
                    raise UnavailableError(f"{child.name} cannot listen on {host}:{port}: {error}") from error
            self._listeners[child.name] = opened
        return self._listeners[child.name]

    async def restart(self, names: list[str]) -> list[str]:
        """Starts roles again, one after the other; all of the last stage when none is named. Their names.

        One whose sockets are held here gets its successor first, unless it must be alone, and leaves when that is
        ready: nobody who connects is refused.

        BadInputError: there is no such role; UnavailableError: a successor does not get ready.
        """
        last = max((process.child.stage for process in self._processes), default=0)
        known = {process.child.name: process for process in self._processes}
        unknown = [name for name in names if name not in known]
        if unknown:
            raise BadInputError(f"there is no role {unknown[0]}; there are: {', '.join(known)}", code="role")
        chosen = names or [name for name, process in known.items() if process.child.stage == last]
        for name in chosen:
            await self._renew(known[name])
        return chosen

    async def _renew(self, old: Process) -> None:
        place = self._processes.index(old)
        beside = bool(old.child.listen) and not old.child.alone
        if not beside:
            await old.stop()
            self._processes.remove(old)
        new = self._launch(old.child, place)
        try:
            async with asyncio.timeout(old.child.ready_s):
                await new.ready()
        except TimeoutError:
            if beside:  # the old one goes on
                await new.stop()
                self._processes.remove(new)
            raise UnavailableError(f"{old.child.name} does not get ready; see `nearcast logs`") from None
        if beside:
            await old.stop()
            self._processes.remove(old)
        self._changed()

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
        for listeners in self._listeners.values():
            for listener in listeners.values():
                listener.close()
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
