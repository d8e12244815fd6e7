"""Whether this node compiles the hot modules of ingest."""

import os
import shutil
import sysconfig
from pathlib import Path

from appliance.doctor.findings import Finding
from appliance.runtime.settings import Settings

_VARIABLE = "NEARCAST_COMPILED"  # of the launcher
_SLOWER = "each encoder takes up to twice the processor time"


def hot_modules(_settings: Settings) -> list[Finding]:
    """How ingest runs; nothing is wrong with either way."""
    folder = os.environ.get(_VARIABLE, "")
    return [Finding("ingest modules", "compiled" if folder and Path(folder).is_dir() else _why_not(folder))]


def _why_not(folder: str) -> str:
    if Path(f"{folder}.failed").exists():
        return f"interpreted, they could not be compiled, see {Path(folder).parent}/log: {_SLOWER}"
    if shutil.which("cc") is None:
        return f"interpreted, there is no C compiler: {_SLOWER}"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return f"interpreted, Python's headers are not installed: {_SLOWER}"
    return f"interpreted, `./nearcast up` compiles them: {_SLOWER}"
