"""Whether nats-server goes on refusing what it once could not write, although there is room again.

A block of a stream that met a full disk refuses everything until the server is started anew. What roles wait to
append is kept by them, so a new start loses nothing.
"""

import os
import re
import shutil
from pathlib import Path

_LEAST_FREE = 64 << 20
_MOST_READ = 1 << 20  # of what was logged since the last look: the newest
_REFUSED = re.compile(rb"failed to store a msg on stream [^\n]*: (?:write|open|sync|truncate|rename) /")


class StoreWatch:
    """Reads what a server logs. Called every few seconds from when it is ready."""

    def __init__(self, log: Path, folder: Path) -> None:
        """`log`: where the server writes to; what is there was said by its predecessors. `folder`: of its store."""
        self._log = log
        self._folder = folder
        self._read = _size(log)
        self._had_room = False

    def __call__(self) -> bool:
        """True when it was refused because of the disk since the last look, and there was room at both."""
        refused = bool(_REFUSED.search(self._more()))
        had_room, self._had_room = self._had_room, _has_room(self._folder)
        return refused and had_room and self._had_room

    def _more(self) -> bytes:
        size = _size(self._log)
        start = max(self._read if self._read <= size else 0, size - _MOST_READ)
        self._read = size
        try:
            with self._log.open("rb") as log:
                log.seek(start)
                return log.read(size - start)
        except OSError:
            return b""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _has_room(folder: Path) -> bool:
    """Bytes and files."""
    try:
        return shutil.disk_usage(folder).free >= _LEAST_FREE and os.statvfs(folder).f_favail != 0
    except OSError:
        return False
