"""What a supervisor that was killed has left behind: children that end, and hold ports until they have."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from appliance.supervisor.status import read_status

ENDING_S = 30.0  # longer than any child takes that ends in order
_KILLED_S = 5.0
_POLL_S = 0.05


def see_off(data: Path, say: Callable[[str], None], ending_s: float = ENDING_S) -> None:
    """Returns when no child of the node before this one runs any more. To be called under the node's lock.

    They were told to end when their supervisor did; one that has not within `ending_s` is killed.
    """
    left = _left(data)
    if not left:
        return
    say(f"a node was killed here; waiting for its processes to end: {', '.join(left.values())}")
    if not _are_gone(data, left, ending_s):
        for pid in _of(data, left):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _are_gone(data, left, _KILLED_S)


def _left(data: Path) -> dict[int, str]:
    """Names of those children that still run, by pid."""
    status = read_status(data)
    known = {role.pid: role.name for role in status.roles if role.pid is not None} if status is not None else {}
    return _of(data, known)


def _of(data: Path, known: dict[int, str]) -> dict[int, str]:
    """Without the numbers that nobody has, or that other processes have by now: each of ours is told of `data`."""
    return {pid: name for pid, name in known.items() if os.fsencode(f"{data}/") in _arguments(pid)}


def _arguments(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _are_gone(data: Path, known: dict[int, str], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while _of(data, known):
        if time.monotonic() > until:
            return False
        time.sleep(_POLL_S)
    return True
