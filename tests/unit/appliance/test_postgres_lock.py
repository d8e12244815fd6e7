"""The locks of a cluster whose server was killed, and whose number another process has by now."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.engines.postgres import PostgresEngine

_REST = "/data/postgres\n1796033781\n5432\n/data/run\n\n  5432001         7\nready   \n"


@pytest.fixture
def locks(tmp_path: Path) -> list[Path]:
    """Of a cluster that there is."""
    for name in ("home", "sockets"):
        (tmp_path / name).mkdir()
    (tmp_path / "home" / "PG_VERSION").write_text("18\n", encoding="utf-8")
    return [tmp_path / "home" / "postmaster.pid", tmp_path / "sockets" / ".s.PGSQL.5432.lock"]


def prepared(locks: list[Path], pid: int) -> list[str]:
    """What stands in the locks of `pid` after a node has prepared its start."""
    for lock in locks:
        lock.write_text(f"{pid}\n{_REST}", encoding="utf-8")
    PostgresEngine(locks[0].parent, locks[1].parent, None).prepare()
    return [lock.read_text(encoding="utf-8") for lock in locks]


@pytest.mark.parametrize("own", [False, True])
def test_only_a_server_of_this_cluster_keeps_it_locked(locks: list[Path], own: bool) -> None:
    folder = locks[0].parent if own else locks[1].parent
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE, cwd=folder) as other:
        found = prepared(locks, other.pid)
        other.communicate(b"\n")
    holder = other.pid if own else os.getpid()
    assert found == [f"{holder}\n{_REST}"] * 2


def test_a_number_that_nobody_has_is_left_to_the_server(locks: list[Path]) -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as gone:
        pass
    assert prepared(locks, gone.pid) == [f"{gone.pid}\n{_REST}"] * 2
    for lock in locks:
        lock.unlink()
    PostgresEngine(locks[0].parent, locks[1].parent, None).prepare()
    assert not any(lock.exists() for lock in locks)
