"""One supervised child: start, readiness, death, restart with a budget, ordered stop."""

import asyncio
import contextlib
import enum
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from appliance.engines.child import Child
from appliance.runtime.backoff import Backoff
from appliance.runtime.listening import LISTEN
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter
from appliance.runtime.role import READY_FD
from appliance.supervisor.log_files import keep_short, open_log
from appliance.supervisor.timers import timer_slack
from appliance.supervisor.vitals import Vitals

_RESTARTS = counter("nearcast_supervisor_restarts_total", "Children started again after they died.", ["role"])
BUDGET = 10  # restarts within BUDGET_S; beyond it the child is given time, loudly
BUDGET_S = 60.0
STEADY_S = 3.0  # a child that ran for so long is started again at once: it did not die of its start
_REST_S = 15.0
_WATCH_S = 2.0


class State(enum.StrEnum):
    """stopped -> starting -> ready -> (restarting -> starting)* -> stopping -> stopped; failed: over budget."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    FAILED = "failed"
    STOPPING = "stopping"


class Process:
    """Keeps one child running until `stop`."""

    def __init__(
        self,
        child: Child,
        log_file: Path,
        changed: Callable[[], None],
        listeners: Mapping[str, socket.socket] | None = None,
        hung_s: float = 0.0,
    ) -> None:
        """`listeners`: what is held for the child, by name; their owner closes them.

        `hung_s`: how long it may live without a sign of life; 0: for ever.
        """
        self.child = child
        self._listeners = listeners or {}
        self.state = State.STOPPED
        self.restarts = 0
        self.pid: int | None = None
        self._log_file = log_file
        self._hung_s = hung_s
        self._changed = changed
        self._log = get_logger("supervisor").bind(child=child.name)
        self._deaths: deque[float] = deque(maxlen=BUDGET)
        self._ready = asyncio.Event()
        self._stopping = False
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Starts the child and starts it again whenever it dies, until `stop`."""
        backoff = Backoff(0.05, 2.0)
        while True:
            began = asyncio.get_running_loop().time()
            await self._once()
            if self.state in (State.STOPPING, State.STOPPED):
                return
            now = asyncio.get_running_loop().time()
            if now - began > STEADY_S:
                backoff.reset()
            self._deaths.append(now)
            self.restarts += 1
            _RESTARTS.labels(self.child.name).inc()
            await self._rest(now, backoff)

    async def _rest(self, now: float, backoff: Backoff) -> None:
        spent = len(self._deaths) == BUDGET and now - self._deaths[0] < BUDGET_S
        if spent:
            self._log.error("restart_budget_spent", restarts=self.restarts, rest_s=_REST_S)
            self._set(State.FAILED)
            await asyncio.sleep(_REST_S)
        else:
            self._set(State.RESTARTING)
            await asyncio.sleep(backoff.next_delay())

    async def _once(self) -> None:
        if self._stopping:
            return
        self._set(State.STARTING)
        reading, writing = os.pipe()
        environment = {**os.environ, **self.child.environment, READY_FD: str(writing)}
        held = {name: listener.fileno() for name, listener in self._listeners.items()}
        if held:
            environment[LISTEN] = " ".join(f"{name}={number}" for name, number in held.items())
        try:
            with open_log(self._log_file) as log, timer_slack(self.child.slack_s):
                self._process = await asyncio.create_subprocess_exec(
                    *self.child.argv,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.child.directory,
                    env=environment,
                    pass_fds=[writing, *held.values()],
                    start_new_session=True,
                )
        except OSError as error:
            self._log.error("start_failed", error=str(error))
            os.close(reading)
            return
        finally:
            os.close(writing)
        if self._is_stopping():  # `stop` came while it was being started, and found nothing to stop
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._set(State.STOPPED)
            os.close(reading)
            return
        vitals = Vitals(self.child, reading, self._log_file, self._hung_s)
        self.pid = self._process.pid
        self._changed()
        try:
            await self._watch(self._process, vitals)
        finally:
            vitals.close()
            self.pid = None

    def _is_stopping(self) -> bool:
        """As of now: awaiting may have changed it."""
        return self._stopping

    async def _watch(self, process: asyncio.subprocess.Process, vitals: Vitals) -> None:
        waiting = asyncio.ensure_future(vitals.ready())
        dead = asyncio.ensure_future(process.wait())
        try:
            await asyncio.wait({waiting, dead}, return_when=asyncio.FIRST_COMPLETED)
            if not dead.done() and not waiting.result():
                self._log.error("not_ready_in_time", seconds=self.child.ready_s)
                process.kill()
            elif not dead.done() and not self._stopping:
                await self._restored(dead)
                self._set_unless_stopping(State.READY)
                await self._until_failing(process, dead, vitals)
            code = await dead
        finally:
            waiting.cancel()
            dead.cancel()
        if not self._stopping:
            self._log.warning("died", code=code)

    async def _restored(self, dead: "asyncio.Future[int]") -> None:
        """What the child's clients need of it is there again, or could not be made, which is told."""
        if self.child.restore is None or not self.restarts:
            return
        restoring = asyncio.ensure_future(self.child.restore())
        waited: set[asyncio.Future[Any]] = {restoring, dead}
        await asyncio.wait(waited, timeout=self.child.ready_s, return_when=asyncio.FIRST_COMPLETED)
        if not restoring.done():
            restoring.cancel()
            await asyncio.wait({restoring})
        if dead.done():
            return
        error = TimeoutError("not in time") if restoring.cancelled() else restoring.exception()
        if error is not None:
            self._log.error("not_restored", error=str(error))

    async def _until_failing(
        self, process: asyncio.subprocess.Process, dead: "asyncio.Future[int]", vitals: Vitals
    ) -> None:
        """Ends the child when it is of no use any more; returns when it is dead, or soon will be."""
        while not dead.done():
            await asyncio.wait({dead}, timeout=_WATCH_S)
            failure = "" if dead.done() else await vitals.failure()
            if failure and not dead.done() and not self._is_stopping():
                self._log.error(failure)
                process.kill()
                return
            keep_short(self._log_file)

    async def ready(self) -> None:
        """Returns when the child is ready."""
        await self._ready.wait()

    async def stop(self) -> None:
        """Asks the child to stop, and ends it when it does not within its time."""
        self._stopping = True
        process = self._process
        self._set(State.STOPPING)
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(self.child.stop_signal)
            try:
                async with asyncio.timeout(self.child.stop_s):
                    await process.wait()
            except TimeoutError:
                self._log.warning("killed", after_s=self.child.stop_s)
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        self._set(State.STOPPED)

    def _set_unless_stopping(self, state: State) -> None:
        if not self._is_stopping():
            self._set(state)

    def _set(self, state: State) -> None:
        self.state = state
        if state is State.READY:
            self._ready.set()
        else:
            self._ready.clear()
        self._changed()
