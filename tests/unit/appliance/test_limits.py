"""How many files a process may hold, and what it gives back of its memory."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from appliance import cli
from appliance.commands import up
from appliance.runtime.limits import raise_file_limit

_ROLE = """
import resource, sys
from pathlib import Path
from appliance.runtime import role
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 500))

async def main(*_arguments):
    return resource.getrlimit(resource.RLIMIT_NOFILE) != (500, 500)

role._main = main
sys.exit(role.run_role("origin", Path(sys.argv[1]), None))
"""


def limited(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int) -> list[tuple[int, int]]:
    """The limits that were set, in a process that begins with these."""
    done: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _which: done[-1] if done else (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _which, limits: done.append(limits))
    return done


@pytest.mark.parametrize(
    ("soft", "hard", "becomes", "done"),
    [
        (1024, 524_288, 524_288, [(524_288, 524_288)]),
        (1024, 1 << 30, 1 << 20, [(1 << 20, 1 << 30)]),
        (1024, resource.RLIM_INFINITY, 1 << 20, [(1 << 20, resource.RLIM_INFINITY)]),
        (256, 256, 256, []),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, resource.RLIM_INFINITY, []),
    ],
)
def test_a_process_takes_as_many_files_as_it_may(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, becomes: int, done: list[tuple[int, int]]
) -> None:
    seen = limited(monkeypatch, soft, hard)
    assert raise_file_limit() == becomes
    assert seen == done


def test_a_role_takes_as_many_files_as_it_may(tmp_path: Path) -> None:
    settings = tmp_path / "node.toml"
    settings.write_text("", encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", _ROLE, str(settings)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("hard", "told"), [(256, True), (65_536, False)])
def test_too_few_files_are_told_when_a_node_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, hard: int, told: bool
) -> None:
    limited(monkeypatch, 256, hard)
    monkeypatch.setattr(up, "BEFORE_START", ())
    data = tmp_path / "file"
    data.write_text("", encoding="utf-8")
    cli.main(["up", "--data", str(data / "site")])
    said = capsys.readouterr().err
    assert ("file limit: 256 now, 256 at most; raise it to 65536" in said) == told


def test_large_buffers_go_back_to_the_system_when_they_are_freed() -> None:
    """Behind a smaller one that stays in use, and after larger ones of which the C library learns to keep more."""
    program = """
import ctypes
from pathlib import Path
from appliance.runtime.limits import return_large_buffers
library = ctypes.CDLL(None)
library.malloc.restype, library.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def resident(): return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
def taken(size): address = library.malloc(size); ctypes.memset(address, 1, size); return address
return_large_buffers()
for _ in range(3): library.free(taken(16 << 20))
before, first, stays = resident(), taken(4 << 20), taken(1 << 10)
assert resident() - before > 3 << 20
library.free(first)
print(resident() - before, library.prctl(42, 0, 0, 0, 0))
"""
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    kept, are_pages_small = printed.split()
    assert int(kept) < 1 << 20
    assert are_pages_small == "1"
