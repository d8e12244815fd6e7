"""Owned background tasks: nothing runs that nobody would miss, and nothing fails in silence."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from appliance.runtime.logs import get_logger

CLOSE_S = 15.0
AGAIN_S = 1.0


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

    def cancel(self) -> None:
        """Asks every child to end, without waiting."""
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """Cancels every child and waits for it.

        A child can lose a cancellation (a wait that ends in the same moment swallows it), so it is asked
        again; one that never listens is named and left after CLOSE_S.
        """
        tasks = {task for task in self._tasks if task is not asyncio.current_task()}
        until = asyncio.get_running_loop().time() + CLOSE_S
        while tasks and asyncio.get_running_loop().time() < until:
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=AGAIN_S)
        for task in tasks:
            self._log.error("task_does_not_end", task=task.get_name())

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            return
        try:
            self._log.error("task_failed", task=task.get_name(), error=repr(error), exc_info=error)
        finally:  # without memory it cannot even be told
            if self._on_failure is not None:
                self._on_failure(error)
