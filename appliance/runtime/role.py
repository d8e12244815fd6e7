"""Life cycle of one role process: settings, logs, bus, start, readiness, drain, ordered stop.

A role is built by a coroutine that gets a `RoleContext` and returns a started service. Readiness is told
to the supervisor by a line on the descriptor it left open, and every second behind it that the loop runs; SIGTERM
drains and stops.
"""

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import uvloop

from appliance.contracts.errors import NearcastError
from appliance.runtime.bus import Bus, Endpoint
from appliance.runtime.limits import raise_file_limit
from appliance.runtime.logs import configure, get_logger
from appliance.runtime.metrics import counter
from appliance.runtime.settings import Settings, load

READY_FD = "NEARCAST_READY_FD"
DRAIN_S = 20.0
PULSE_S = 1.0
_COLLECT = (10_000, 20, 20)  # objects more than before, then collections of the younger ones
_UNHANDLED = counter("nearcast_unhandled_errors_total", "Errors that nothing in the process caught.")


class Service(Protocol):
    """What a role's process runs."""

    async def start(self) -> None:
        """Returns when ready."""

    async def drain(self) -> None:
        """Stops taking new work; bounded."""

    async def stop(self) -> None:
        """Ends what is left."""


@dataclass
class RoleContext:
    """What every role is given."""

    name: str
    worker: int
    settings: Settings
    fail: Callable[[BaseException], None]
    buses: list[Bus] = field(default_factory=list)

    @property
    def sockets(self) -> Path:
        """Where the roles of this node leave their unix sockets."""
        return Path(self.settings.node.socket_dir)

    async def local(self) -> Bus:
        """The account that never leaves the site."""
        return await self._connect(Endpoint(self.settings.bus.local_url), self.settings.node.edge_id)

    async def fed(self) -> Bus:
        """The account that crosses the leaf link."""
        return await self._connect(Endpoint(self.settings.bus.fed_url), self.settings.node.edge_id)

    async def hub(self) -> Bus:
        """The centre's own connection to its hub."""
        bus = self.settings.bus
        return await self._connect(Endpoint(bus.hub_url, bus.hub_credentials), "hub")

    async def _connect(self, endpoint: Endpoint, place: str) -> Bus:
        bus = await Bus.connect(endpoint, name=f"{place}.{self.name}")
        self.buses.append(bus)
        return bus


Build = Callable[[RoleContext], Awaitable[Service]]


def run_role(name: str, settings_file: Path, build: Build, worker: int = 0) -> int:
    """Runs a role until it is told to stop; the exit code of the process. `worker` numbers its equals."""
    try:
        settings = load(settings_file, os.environ)
    except NearcastError as error:
        configure(role=name)
        get_logger("role").error("settings_refused", error=error.detail)
        return 2
    configure(role=name, form=settings.log.format, level=settings.log.level)
    raise_file_limit()
    return uvloop.run(_main(name, worker, settings, build))


async def _main(name: str, worker: int, settings: Settings, build: Build) -> int:
    loop = asyncio.get_running_loop()
    stopping: asyncio.Future[int] = loop.create_future()

    def stop(code: int) -> None:
        if not stopping.done():
            stopping.set_result(code)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, 0)
    loop.set_exception_handler(lambda _loop, said: _unhandled(said, lambda: stop(1)))
    log = get_logger("role")
    context = RoleContext(name, worker, settings, lambda _error: stop(1))
    try:
        service = await build(context)
        await service.start()
    except NearcastError as error:
        log.error("start_failed", error=error.detail, code=error.code)
        await _close(context)
        return 1
    settle_memory()
    log.info("ready")
    pulse = asyncio.ensure_future(_tell_on())
    code = await stopping
    log.info("stopping", code=code)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            await service.drain()
            await service.stop()
    await _close(context)
    pulse.cancel()
    return code


def _unhandled(said: dict[str, Any], leave: Callable[[], None]) -> None:
    """What no task and no protocol caught. A process that gets no memory makes place for another one."""
    error = said.get("exception")
    if isinstance(error, MemoryError):
        leave()
    _UNHANDLED.inc()
    trace = error if isinstance(error, BaseException) else None
    get_logger("role").error("unhandled", message=said.get("message", ""), error=repr(error), exc_info=trace)


def settle_memory() -> None:
    """What is there when a process is ready stays: the collector of cycles does not look at it again, and comes
    less often. Else it looks through all there is several times while thousands connect.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT)


async def _close(context: RoleContext) -> None:
    for bus in context.buses:
        await bus.close()


def tell_ready() -> None:
    """Tells the supervisor, if there is one, that this process is ready."""
    fd = _tell()
    if fd is not None:
        os.close(fd)


def _tell() -> int | None:
    """The descriptor on which it was told."""
    fd = os.environ.get(READY_FD, "")
    if fd.isdigit():
        with contextlib.suppress(OSError):
            os.write(int(fd), b"ready\n")
            return int(fd)
    return None


async def _tell_on() -> None:
    """Tells that this process is ready, and then that its loop runs."""
    fd = _tell()
    if fd is None:
        return
    os.set_blocking(fd, False)
    with contextlib.suppress(OSError):  # the supervisor is gone
        while True:
            await asyncio.sleep(PULSE_S)
            with contextlib.suppress(BlockingIOError):  # it does not listen now
                os.write(fd, b".")
