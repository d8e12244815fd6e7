"""Owned background tasks: nothing runs that nobody would miss, and nothing fails in silence."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from appliance.runtime.logs import get_logger


class Tasks:
    """The running children of one component.

    A child that fails is logged, and `on_failure` is called once with its error: by default the process's
    role stops and its supervisor starts it anew, because half a role is worse than none.
    """

    def __init__(self, on_failure: Callable[[BaseException], None] | None = None) -> None:
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[Any]] = set()
        self._log = get_logger("tasks")

    def start(self, coroutine: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Runs `coroutine` until it ends or this owner closes."""
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def close(self) -> None:
        """Cancels every child and waits for it."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            return
        self._log.error("task_failed", task=task.get_name(), error=repr(error), exc_info=error)
        if self._on_failure is not None:
            self._on_failure(error)
