"""The supervisor against tiny real processes: readiness, restarts, the budget, the order of stopping."""

import asyncio
import dataclasses
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
import structlog.testing

from appliance.contracts.errors import BadInputError, UnavailableError
from appliance.engines.child import Child
from appliance.supervisor import log_files
from appliance.supervisor import process as supervised
from appliance.supervisor.control import Control, Wish, ask
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


async def test_timers_of_a_child_run_out_as_late_as_it_says(data: Path) -> None:
    slack = "/proc/{}/timerslack_ns"
    before = Path(slack.format("self")).read_text()
    supervisor = Supervisor(data, {})
    await supervisor.start_stage([child("late", SLEEPER, slack_s=0.002), child("exact", SLEEPER)])
    supervisor.announce_ready()
    status = await until(data, lambda status: status.state == "ready")
    found = {role.name: Path(slack.format(role.pid)).read_text() for role in status.roles}
    await supervisor.stop()
    assert found == {"late": "2000000\n", "exact": before}
    assert Path(slack.format("self")).read_text() == before


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


async def test_a_child_that_ran_well_is_started_again_at_once(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "STEADY_S", 0.2)
    monkeypatch.setattr(supervised, "Backoff", _Noted)
    supervisor = Supervisor(data, {})
    await supervisor.start_stage([child("one", SLEEPER)])
    for restarts in range(3):
        await asyncio.sleep(0.3 if restarts else 0.0)
        status = await until(data, lambda status: status.roles[0].state == "ready")
        os.kill(status.roles[0].pid or 0, signal.SIGKILL)
        await until(data, lambda status, least=restarts: status.roles[0].restarts > least)
    await until(data, lambda status: status.roles[0].state == "ready")
    await supervisor.stop()
    assert _Noted.said == ["delay", "reset", "delay", "reset", "delay"]


async def test_what_clients_need_is_made_again_for_one_that_was_started_again(data: Path) -> None:
    made: list[str] = []

    async def restore() -> None:
        made.append((await until(data, lambda _: True)).roles[0].state)
        if len(made) == 2:
            raise UnavailableError("it does not answer")

    supervisor = Supervisor(data, {})
    with structlog.testing.capture_logs() as logs:
        await supervisor.start_stage([child("one", SLEEPER, restore=restore)])
        assert made == []
        for restarts in (1, 2):
            os.kill(supervisor._processes[0].pid or 0, signal.SIGKILL)
            await until(data, lambda status, least=restarts: status.roles[0].restarts == least)
            await until(data, lambda status: status.roles[0].state == "ready")
            assert made == ["starting"] * restarts
    assert [entry["error"] for entry in logs if entry["event"] == "not_restored"] == ["it does not answer"]
    await supervisor.stop()


async def test_a_child_that_dies_while_it_is_restored_is_started_again(data: Path) -> None:
    begun = asyncio.Event()

    async def restore() -> None:
        begun.set()
        await asyncio.sleep(60)

    supervisor = Supervisor(data, {})
    await supervisor.start_stage([child("one", SLEEPER, restore=restore)])
    for restarts in (1, 2):
        begun.clear()
        os.kill(supervisor._processes[0].pid or 0, signal.SIGKILL)
        await until(data, lambda status, least=restarts: status.roles[0].restarts == least)
        await asyncio.wait_for(begun.wait(), 5)
    await supervisor.stop()


async def test_a_log_does_not_grow_without_bound(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins anew again and again, and what was written before is kept beside it."""
    monkeypatch.setattr(supervised, "_WATCH_S", 0.02)
    monkeypatch.setattr(log_files, "MOST_BYTES", 2_000)
    lines = "import itertools; [print(n, flush=True) or time.sleep(0.0002) for n in itertools.count()]"
    supervisor = Supervisor(data, {})
    await supervisor.start_stage([child("chatty", f"{_READY}; {lines}")])
    former = data / "logs" / "chatty.log.1"
    async with asyncio.timeout(10):
        while not former.exists() or former.read_bytes().startswith(b"0\n"):
            await asyncio.sleep(0.01)
    await supervisor.stop()
    assert former.stat().st_size > 2_000


class _Noted:
    """Says what it was asked."""

    said: ClassVar[list[str]] = []

    def __init__(self, *_: float) -> None:
        self.said.clear()

    def next_delay(self) -> float:
        self.said.append("delay")
        return 0.01

    def reset(self) -> None:
        self.said.append("reset")


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


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8])
async def test_a_stop_while_a_child_is_being_started_leaves_none(data: Path, turns: int) -> None:
    process = supervised.Process(child("one", SLEEPER), data / "logs" / "one.log", lambda: None)
    running = asyncio.ensure_future(process.run())
    for _ in range(turns):
        await asyncio.sleep(0)
    await process.stop()
    async with asyncio.timeout(5):
        await running
    started = process._process
    assert started is None or started.returncode is not None
    assert process.state is supervised.State.STOPPED


async def test_program_that_is_not_there(data: Path) -> None:
    supervisor = Supervisor(data, {})
    missing = Child("missing", ("/nonexistent/program",), 0)
    with pytest.raises(UnavailableError, match="missing"):
        await supervisor.start_stage([missing], 0.5)
    await supervisor.stop()


ECHO = """
import os, socket, signal, time
number = int(os.environ['NEARCAST_LISTEN'].partition('=')[2])
listener = socket.socket(fileno=number)
listener.setblocking(True)
os.write(int(os.environ['NEARCAST_READY_FD']), b'ready\\n')
while True:
    wire, _ = listener.accept()
    wire.sendall(str(os.getpid()).encode())
    wire.close()
"""


async def who_answers(port: int) -> int:
    """Whoever was ended between accepting and answering does not count."""
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.timeout(5):
                if answer := await reader.read():
                    return int(answer)
        except ConnectionResetError:
            continue
        finally:
            writer.close()


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_nobody_is_refused_while_a_child_is_killed_and_renewed(data: Path, port: int) -> None:
    supervisor = Supervisor(data, {})
    await supervisor.start_stage([child("echo", ECHO, stage=1, listen=(("http", "127.0.0.1", port),))])
    supervisor.announce_ready()
    answered: set[int] = set()
    async with asyncio.timeout(20):
        answered.add(first := await who_answers(port))
        os.kill(first, signal.SIGKILL)
        while len(answered) < 2:
            answered.add(await who_answers(port))  # in the queue of the socket until somebody accepts
        renewing = asyncio.ensure_future(supervisor.restart(["echo"]))
        while len(answered) < 3:
            answered.add(await who_answers(port))
        assert await renewing == ["echo"]
    assert [role.name for role in (await until(data, lambda status: status.state == "ready")).roles] == ["echo"]
    await supervisor.stop()
    with pytest.raises(ConnectionRefusedError):
        await who_answers(port)


async def test_one_that_must_be_alone_ends_before_its_successor_begins(data: Path, port: int) -> None:
    exclusive = f"import socket\nmine = socket.create_server(('127.0.0.1', {port + 1}))\n{ECHO}"
    made = child("echo", exclusive, stage=1, listen=(("http", "127.0.0.1", port),))
    alone = dataclasses.replace(made, alone=True)
    supervisor = Supervisor(data, {})
    await supervisor.start_stage([alone])
    supervisor.announce_ready()
    first = await who_answers(port)
    async with asyncio.timeout(20):
        renewing = asyncio.ensure_future(supervisor.restart(["echo"]))
        while (last := await who_answers(port)) == first:
            await asyncio.sleep(0.01)
        assert await renewing == ["echo"]
    assert last != first
    await supervisor.stop()


async def test_roles_are_started_again_one_after_the_other(data: Path) -> None:
    supervisor = Supervisor(data, {})
    await supervisor.start_stage([child("engine", SLEEPER)])
    await supervisor.start_stage([child("one", SLEEPER, stage=1), child("two", SLEEPER, stage=1)])
    supervisor.announce_ready()
    before = (await until(data, lambda status: status.state == "ready")).roles
    control = Control(data / "run" / "control.sock", supervisor.restart)
    await control.start()
    wish = asyncio.to_thread(ask, data / "run" / "control.sock", Wish(), 20.0)
    assert (await wish).restarted == ["one", "two"], "the servers below stay"
    after = (await until(data, lambda status: status.state == "ready")).roles
    assert [role.name for role in after] == [role.name for role in before]
    assert [role.pid == was.pid for role, was in zip(after, before, strict=True)] == [True, False, False]
    with pytest.raises(BadInputError, match="no role nobody"):
        await asyncio.to_thread(ask, data / "run" / "control.sock", Wish(restart=["nobody"]), 5.0)
    await control.close()
    with pytest.raises(UnavailableError):
        await asyncio.to_thread(ask, data / "run" / "control.sock", Wish(), 1.0)
    await supervisor.stop()


async def test_a_port_that_is_taken_is_named(data: Path, port: int) -> None:
    supervisor = Supervisor(data, {})
    with socket.create_server(("127.0.0.1", port)), pytest.raises(UnavailableError, match=str(port)):
        await supervisor.start_stage([child("echo", ECHO, listen=(("http", "127.0.0.1", port),))])
    await supervisor.stop()


BEATING = f"{_READY}\nwhile True:\n    time.sleep(0.05)\n    os.write(int(os.environ['NEARCAST_READY_FD']), b'.')"
FALLING_SILENT = f"{_READY}\nos.write(int(os.environ['NEARCAST_READY_FD']), b'.'); time.sleep(600)"


async def test_a_child_that_hangs_is_started_again(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that stopped telling that it lives, one that is stopped; not one that never told."""
    monkeypatch.setattr(supervised, "_WATCH_S", 0.1)
    supervisor = Supervisor(data, {}, hung_s=1.0)
    await supervisor.start_stage(
        [child("beating", BEATING), child("plain", SLEEPER), child("silent", FALLING_SILENT)]
    )
    supervisor.announce_ready()
    with structlog.testing.capture_logs() as seen:
        status = await until(data, lambda status: status.roles[2].restarts == 1)
        assert [role.restarts for role in status.roles] == [0, 0, 1]
        pid = status.roles[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        await until(data, lambda status: status.roles[0].restarts == 1)
    assert {(entry["event"], entry["child"]) for entry in seen} >= {("hung", "beating"), ("hung", "silent")}
    assert not [entry for entry in seen if entry.get("child") == "plain"]
    await supervisor.stop()


async def test_a_child_that_is_asked_and_does_not_answer_any_more_is_started_again(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervised, "_WATCH_S", 0.1)
    answers = True

    async def ready() -> bool:
        return answers

    supervisor = Supervisor(data, {}, hung_s=0.5)
    await supervisor.start_stage([child("asked", SLEEPER, ready=ready)])
    supervisor.announce_ready()
    await asyncio.sleep(0.8)
    assert (await until(data, lambda status: status.state == "ready")).roles[0].restarts == 0
    answers = False
    await until(data, lambda status: status.roles[0].restarts == 1)
    answers = True
    await until(data, lambda status: status.state == "ready")
    await supervisor.stop()
