"""Every parser that strangers reach, for NEARCAST_FUZZ_S seconds each: only typed errors, no endless loop."""

import os
import subprocess
import sys

import pytest

from tests.fuzz.targets import FOUND, TARGETS

SECONDS = int(os.environ.get("NEARCAST_FUZZ_S", "15"))
_ROOT = FOUND.parents[2]
_MOST_MB = 400  # of a child with all targets imported, which has some 100 to begin with
_LIMITED = "import resource, runpy; resource.setrlimit(resource.RLIMIT_DATA, ({most}, {most})); runpy.run_module"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS + 90)]


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_nothing_breaks(name: str) -> None:
    """The seed differs each time; what breaks a target is kept beside it and fails the suite from then on."""
    seed = str(int.from_bytes(os.urandom(4), "big"))
    limited = f"{_LIMITED.format(most=_MOST_MB << 20)}('tests.fuzz', run_name='__main__', alter_sys=True)"
    argv = [sys.executable, "-c", limited, name, f"--seconds={SECONDS}", f"--seed={seed}"]
    ended = subprocess.run(argv, cwd=_ROOT, capture_output=True, text=True, timeout=SECONDS + 60, check=False)
    assert ended.returncode == 0, f"seed {seed}:\n{ended.stderr[-4000:]}"
    assert "nothing broke" in ended.stdout or "Done" in ended.stderr, ended.stderr[-2000:]
