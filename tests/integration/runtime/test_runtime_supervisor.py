"""The supervisor against tiny real processes: readiness, restarts, the budget, the order of stopping."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog.testing

from appliance.contracts.errors import UnavailableError
from appliance.engines.child import Child
from appliance.supervisor import process as supervised
from appliance.supervisor.status import NodeStatus, read_status
from appliance.supervisor.supervisor import Supervisor

_READY = "import os,sys,time; os.write(int(os.environ['NEARCAST_READY_FD']), b'ready\\n')"
SLEEPER = f"{_READY}; time.sleep(600)"
CRASHER = "raise SystemExit(3)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}"


def child(name: str, code: str, *, stage: int = 0, **options: Any) -> Child:
    return Child(name, (sys.executable, "-S", "-E", "-c", code), stage, **options)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    (tmp_path / "run").mkdir()
    return tmp_path


async def until(data: Path, condition: Any, seconds: float = 10) -> NodeStatus:
    """The first status document for which `condition` holds."""
    async with asyncio.timeout(seconds):
        while True:
            status = read_status(data)
            if status is not None and condition(status):
                return status
            await asyncio.sleep(0.02)


async def test_killed_child_is_started_again(data: Path) -> None:
    supervisor = Supervisor(data, {})
    await supervisor.start_stage([child("one", SLEEPER), child("two", SLEEPER)])
    supervisor.announce_ready()
    first = (await until(data, lambda status: status.state == "ready")).roles[0]
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    await until(data, lambda status: status.state == "degraded")
    again = await until(data, lambda status: status.state == "ready")
    assert again.roles[0].pid != first.pid
    assert [role.restarts for role in again.roles] == [1, 0]
    await supervisor.stop()


async def test_not_essential_child_does_not_degrade(data: Path) -> None:
    supervisor = Supervisor(data, {})
    await supervisor.start_stage([child("one", SLEEPER), child("extra", SLEEPER, essential=False)])
    supervisor.announce_ready()
    extra = (await until(data, lambda status: status.state == "ready")).roles[1]
    assert extra.pid is not None
    os.kill(extra.pid, signal.SIGKILL)
    status = await until(data, lambda status: status.roles[1].restarts == 1)
    assert status.state == "ready"
    await supervisor.stop()


async def test_stage_that_never_gets_ready_is_named(data: Path) -> None:
    supervisor = Supervisor(data, {})
    with pytest.raises(UnavailableError, match="silent"):
        await supervisor.start_stage([child("good", SLEEPER), child("silent", "import time; time.sleep(60)")], 0.7)
    await supervisor.stop()


async def test_child_that_is_not_ready_in_its_time_is_started_again(data: Path) -> None:
    supervisor = Supervisor(data, {})
    slow = child("slow", "import time; time.sleep(60)", ready_s=0.2)
    with pytest.raises(UnavailableError):
        await supervisor.start_stage([slow], 1.0)
    await until(data, lambda status: status.roles[0].restarts > 0)
    await supervisor.stop()


async def test_budget_is_bounded_and_loud(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "BUDGET", 4)
    monkeypatch.setattr(supervised, "Backoff", _Quick)
    with structlog.testing.capture_logs() as logs:
        supervisor = Supervisor(data, {})
        with pytest.raises(UnavailableError, match="crasher"):
            await supervisor.start_stage([child("crasher", CRASHER)], 4.0)
        status = await until(data, lambda status: status.roles[0].state == "failed")
    assert status.roles[0].restarts == 4
    assert [line for line in logs if line["event"] == "restart_budget_spent" and line["log_level"] == "error"]
    await supervisor.stop()
    assert (read_status(data) or status).roles[0].state == "stopped"


class _Quick:
    def __init__(self, *_: float) -> None:
        pass

    def next_delay(self) -> float:
        return 0.01

    def reset(self) -> None:
        pass


async def test_stages_stop_in_reverse_order(data: Path) -> None:
    notes = data / "notes"
    notes.touch()

    def noting(name: str, stage: int) -> Child:
        handler = f"lambda *_: (open({str(notes)!r}, 'a').write('{name} '), sys.exit(0))"
        return child(name, f"import signal,sys; signal.signal(signal.SIGTERM, {handler}); {SLEEPER}", stage=stage)

    supervisor = Supervisor(data, {})
    for stage, name in enumerate(("engine", "middle", "role")):
        await supervisor.start_stage([noting(name, stage)])
    await supervisor.stop()
    assert notes.read_text().split() == ["role", "middle", "engine"]


async def test_child_that_does_not_stop_is_killed(data: Path) -> None:
    supervisor = Supervisor(data, {})
    await supervisor.start_stage([child("stubborn", STUBBORN, stop_s=0.3)])
    status = await until(data, lambda status: status.roles[0].state == "ready")
    pid = status.roles[0].pid
    assert pid is not None
    async with asyncio.timeout(5):
        await supervisor.stop()
    assert not Path(f"/proc/{pid}").exists()


async def test_program_that_is_not_there(data: Path) -> None:
    supervisor = Supervisor(data, {})
    missing = Child("missing", ("/nonexistent/program",), 0)
    with pytest.raises(UnavailableError, match="missing"):
        await supervisor.start_stage([missing], 0.5)
    await supervisor.stop()
