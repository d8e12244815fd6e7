"""Whether a child is ready, and from then on whether it lives: it may be there and do nothing any more."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from appliance.engines.child import Child
from appliance.supervisor.pulse import Pulse

_POLL_S = 0.03
_ANSWER_S = 3.0
_ASKED = 4  # times within the silence that is too long


class Vitals:
    """Of one process of a child. A child that is asked when it is ready is asked on; others tell by themselves."""

    def __init__(self, child: Child, reading: int, log_file: Path, hung_s: float) -> None:
        """`reading`: the child's descriptor, which is closed by `close`. `hung_s`: 0 waits for ever."""
        self._child = child
        self._pulse = Pulse(reading)
        self._log_file = log_file
        self._hung_s = hung_s
        self._is_stuck: Callable[[], bool] | None = None
        self._answered_at = self._asked_at = 0.0

    async def ready(self) -> bool:
        """False when it was not in its time."""
        try:
            async with asyncio.timeout(self._child.ready_s):
                if self._child.ready is None:
                    await self._pulse.ready()
                else:
                    await _polled(self._child.ready)
        except TimeoutError:
            return False
        if self._child.watch is not None:
            self._is_stuck = self._child.watch(self._log_file)
        self._answered_at = asyncio.get_running_loop().time()
        return True

    async def failure(self) -> str:
        """Why it must be started again; empty while it need not be. To be asked now and then when it is ready."""
        if self._is_stuck is not None and self._is_stuck():
            return "stuck"
        if self._hung_s and await self._silent_s() >= self._hung_s:
            return "hung"
        return ""

    async def _silent_s(self) -> float:
        if self._child.ready is None:
            return self._pulse.silent_s()
        loop = asyncio.get_running_loop()
        if loop.time() - self._asked_at < self._hung_s / _ASKED:
            return 0.0
        self._asked_at = loop.time()
        try:
            async with asyncio.timeout(_ANSWER_S):
                if await self._child.ready():
                    self._answered_at = loop.time()
        except TimeoutError:
            pass
        return loop.time() - self._answered_at

    def close(self) -> None:
        """Listens no longer."""
        self._pulse.close()


async def _polled(ready: Callable[[], Awaitable[bool]]) -> None:
    while True:
        if await ready():
            return
        await asyncio.sleep(_POLL_S)
