"""What children write, in files that do not grow without bound."""

import contextlib
import shutil
from pathlib import Path
from typing import IO

MOST_BYTES = 8 << 20


def open_log(path: Path) -> IO[bytes]:
    """To be given to a child; what is longer than `MOST_BYTES` begins anew. OSError."""
    keep_short(path)
    return path.open("ab")


def keep_short(path: Path) -> None:
    """Begins a file anew that has grown beyond `MOST_BYTES`, under whoever appends; the former is kept beside it.

    Lines that are written in that moment may be missing. On a full disk none is kept.
    """
    try:
        if path.stat().st_size <= MOST_BYTES:
            return
    except OSError:
        return
    former = path.with_name(f"{path.name}.1")
    try:
        shutil.copyfile(path, former)
    except OSError:
        with contextlib.suppress(OSError):
            former.unlink()
    with contextlib.suppress(OSError), path.open("r+b") as file:
        file.truncate(0)
