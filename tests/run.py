"""`./nearcast test [--all] [PYTEST ARGUMENTS]`: the checks, the web pages' tests, the suite.

The suite runs in two steps. What needs a part of the product and one real server runs on two cores at once; whole
nodes, which are about time, have the machine for themselves.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests import check

ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "edge" / "web"
PARTS = ["tests/unit", "tests/integration"]
WHOLE = [f"tests/{folder}" for folder in ("e2e", "conformance", "fault")]
SIDE_BY_SIDE = ["-n", "2"]
NORMAL = ["-m", "not slow"]


def main(argv: list[str]) -> int:
    """0 when everything passed. With arguments of its own the suite alone runs."""
    slow = "--all" in argv
    chosen = [argument for argument in argv if argument != "--all"]
    if not chosen:
        if check.main():
            return 1
        if not _web():
            return 1
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    if chosen:
        return _suite(chosen if slow else [*NORMAL, *chosen])
    steps = [[*SIDE_BY_SIDE, *NORMAL, *PARTS], WHOLE if slow else [*NORMAL, *WHOLE]]
    if slow:
        steps.append(["-m", "slow", *PARTS])
    return next((code for code in map(_suite, steps) if code), 0)


def _suite(arguments: list[str]) -> int:
    """pytest's exit code."""
    return subprocess.call([sys.executable, "-m", "pytest", *arguments], cwd=ROOT)


def _web() -> bool:
    """The pages' own checks and tests."""
    npm, environment = _npm()
    for script in ("check", "test"):
        print(f"web {script}", flush=True)
        if subprocess.call([npm, "run", "--silent", script], cwd=WEB, env=environment):
            return False
    return True


def _npm() -> tuple[str, dict[str, str]]:
    """npm of the system, or the one the launcher installed for the build."""
    own = ROOT / "build" / "node" / "bin"
    if (own / "npm").exists():
        return str(own / "npm"), {**os.environ, "PATH": f"{own}:{os.environ['PATH']}"}
    return shutil.which("npm") or "npm", dict(os.environ)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
