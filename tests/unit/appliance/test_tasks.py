"""Owned background tasks."""

import asyncio

import pytest

from appliance.runtime import tasks
from appliance.runtime.tasks import Tasks


async def test_close_asks_again_when_a_cancellation_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "AGAIN_S", 0.01)
    lost = []

    async def forgetful() -> None:
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if lost:
                    raise
                lost.append(True)

    owner = Tasks()
    owner.start(forgetful(), "forgetful")
    await asyncio.sleep(0)
    await owner.close()
    assert lost == [True]


async def test_close_leaves_a_child_that_never_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "AGAIN_S", 0.01)
    monkeypatch.setattr(tasks, "CLOSE_S", 0.05)
    over = asyncio.Event()

    async def deaf() -> None:
        while not over.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    owner = Tasks()
    task = owner.start(deaf(), "deaf")
    await asyncio.sleep(0)
    await owner.close()
    assert not task.done()
    over.set()
    await task


async def test_a_failure_is_told_once() -> None:
    failures: list[BaseException] = []

    async def breaks() -> None:
        raise ValueError("broken")

    owner = Tasks(failures.append)
    owner.start(breaks(), "breaks")
    await asyncio.sleep(0.01)
    await owner.close()
    assert [str(failure) for failure in failures] == ["broken"]
