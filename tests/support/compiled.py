"""The compiled modules of ingest for tests, and a plugin for pytest that has a whole run use them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge import compiled

BUILD_S = 400.0  # for a machine that does other things as well


def built() -> Path:
    """Their folder, filled by the launcher or now."""
    folder = compiled.folder()
    if not folder.is_dir():
        fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
        argv = [sys.executable, "-m", "edge.compiled.build", str(fresh), sys.executable]
        environment = {**os.environ, "PYTHONPATH": str(compiled.ROOT)}
        subprocess.run(argv, cwd=compiled.ROOT, env=environment, stdin=subprocess.DEVNULL, check=True)
        fresh.rename(folder)
    return folder


class Plugin:
    """Its run fails where a hot module was interpreted."""

    def __init__(self) -> None:
        if not compiled.use():
            raise RuntimeError(f"{compiled.VARIABLE} names no modules made of these sources")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Looks at what was imported."""
        folder = os.environ[compiled.VARIABLE]
        for name in compiled.MODULES:
            module = sys.modules.get(name)
            if module is None or not str(module.__file__).startswith(folder):
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
                print(f"{name} was not compiled")
