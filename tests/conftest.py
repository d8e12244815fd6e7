"""Rules for every test: no blocked event loop, ordinary priority, no metrics folder of a running node."""

import asyncio
import asyncio.events
import os
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

from appliance.runtime.logs import console_renderer
from tests.media_tools.scheduling import become_ordinary, is_ordinary
from tests.support.held_loop import LoopClock
from tests.support.side_by_side import ByFile

LOOP_BLOCK_S = 0.5

structlog.configure(processors=[structlog.processors.add_log_level, console_renderer(colors=False)])

# How fast the machine is that runs the tests is not what they are about.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Who shares what when the suite runs in several processes."""
    return ByFile(config, log)


@pytest.fixture(autouse=True)
def loop_never_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails a test in which one callback held the event loop for LOOP_BLOCK_S.

    Tests marked e2e drive other processes and may wait; their own loop serves nobody.
    """
    if request.node.get_closest_marker("e2e") is not None:
        yield
        return
    slowest: list[tuple[float, str]] = []
    run = asyncio.events.Handle._run
    clock = LoopClock()

    def timed(handle: Any) -> None:
        began = clock.now()
        run(handle)
        took = clock.now() - began
        if took > LOOP_BLOCK_S:
            slowest.append((took, repr(handle)))

    monkeypatch.setattr(asyncio.events.Handle, "_run", timed)
    clock.start()
    yield
    clock.stop()
    assert not slowest, f"the event loop was blocked for {slowest[0][0]:.2f} s by {slowest[0][1]}"


@pytest.fixture(autouse=True)
def nothing_becomes_real_time() -> Iterator[None]:
    """Fails a test that leaves this process with a priority before everything else on the machine."""
    yield
    ordinary = is_ordinary()
    become_ordinary()
    assert ordinary, "a library gave this process real-time priority"
