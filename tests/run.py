"""`./nearcast test [--all] [PYTEST ARGUMENTS]`: the checks, the web pages' tests, the suite."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests import check

ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "edge" / "web"


def main(argv: list[str]) -> int:
    """0 when everything passed. With arguments of its own the suite alone runs."""
    slow = "--all" in argv
    chosen = [argument for argument in argv if argument != "--all"]
    if not chosen:
        if check.main():
            return 1
        if not _web():
            return 1
    marks = [] if slow else ["-m", "not slow"]
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    return subprocess.call([sys.executable, "-m", "pytest", *marks, *chosen], cwd=ROOT)


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
