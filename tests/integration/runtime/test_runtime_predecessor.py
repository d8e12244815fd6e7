"""A node that starts where one was killed."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.supervisor.predecessor import see_off
from appliance.supervisor.status import NodeStatus, RoleStatus, write_status

_ENDS = "import time; print(flush=True); time.sleep(0.3)"
_STAYS = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"


@pytest.fixture
def left(tmp_path: Path) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Children of a node in `tmp_path` whose supervisor is gone, and somebody who has the number of one."""
    (tmp_path / "run").mkdir()
    arguments = {_ENDS: str(tmp_path / "run" / "node.toml"), _STAYS: str(tmp_path / "nats" / "edge.conf")}
    made = [_started(code, argument) for code, argument in arguments.items()]
    made.append(_started(_STAYS, f"{tmp_path}2/run/node.toml"))
    roles = [RoleStatus(name=f"role{n}", state="ready", pid=one.pid, restarts=0) for n, one in enumerate(made)]
    write_status(tmp_path, NodeStatus(state="ready", pid=os.getpid(), version="1", endpoints={}, roles=roles))
    yield made
    for one in made:
        one.kill()
        one.wait()


def _started(code: str, argument: str) -> "subprocess.Popen[bytes]":
    child = subprocess.Popen([sys.executable, "-S", "-c", code, argument], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    child.stdout.close()
    return child


def test_it_waits_for_those_who_end_and_ends_those_who_do_not(
    tmp_path: Path, left: list["subprocess.Popen[bytes]"]
) -> None:
    ends, stays, other = left
    said: list[str] = []
    began = time.monotonic()
    see_off(tmp_path, said.append, 1.0)
    assert time.monotonic() - began > 0.9
    assert (ends.wait(), stays.wait(), other.poll()) == (0, -9, None)
    [text] = said
    assert "role0, role1" in text
    see_off(tmp_path, said.append)
    assert len(said) == 1
