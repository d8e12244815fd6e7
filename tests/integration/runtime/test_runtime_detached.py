"""`up --detach` from a folder of its own, with what it is given relative to that folder."""

import os
import subprocess
import sys
from pathlib import Path

from appliance.commands.place import NodeLock
from appliance.supervisor.plan import ROOT


def test_the_node_behind_it_takes_relative_paths_from_where_it_was_called(tmp_path: Path) -> None:
    lock = NodeLock(tmp_path / "site")
    done = subprocess.run(
        [sys.executable, "-m", "appliance", "up", "--detach", "--data", "site", "--host", "203.0.113.9"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    del lock
    assert done.returncode == 1
    assert done.stderr.strip() == f"nearcast: a node already runs on {tmp_path / 'site'}"
