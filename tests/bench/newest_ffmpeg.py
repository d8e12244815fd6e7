"""The newest ffmpeg program there is in a wheel, installed apart from what the product uses."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_HOME = ROOT / "build" / "bench"
_LOCK = ROOT / "requirements" / "bench.lock"


def program() -> str:
    """Its path; installs it at the first call. The system's where that fails."""
    if not _found():
        uv = Path(sys.executable).parent / "uv"
        install = ["install", "--quiet", "--python", str(_HOME / "bin" / "python"), "--require-hashes"]
        steps = (
            [str(uv), "venv", "--quiet", "--clear", str(_HOME), "--python", sys.executable],
            [str(uv), "pip", *install, "-r", str(_LOCK)],
        )
        for step in steps:
            if subprocess.call(step) != 0:
                break
    return _found() or shutil.which("ffmpeg") or "ffmpeg"


def version(path: str) -> str:
    """Such as 9.0.2."""
    return subprocess.run([path, "-version"], capture_output=True, text=True, check=True).stdout.split()[2]


def _found() -> str:
    return next((str(path) for path in _HOME.glob("lib/*/site-packages/imageio_ffmpeg/binaries/ffmpeg-*")), "")
