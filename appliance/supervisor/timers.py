"""How exactly the timers of a child run out.

A Go program that is awake looks around fifty times in a row, 20 microseconds apart, before it does so less often:
of a server that is woken a hundred times a second that is a tenth of its work. Nothing that waits for a timer of
ours notices a millisecond.
"""

import contextlib
import ctypes
from collections.abc import Iterator

_PR_SET_TIMERSLACK = 29
_LIBC = ctypes.CDLL(None)


@contextlib.contextmanager
def timer_slack(seconds: float) -> Iterator[None]:
    """Processes started by this thread meanwhile have all their timers run out up to so much later; 0: as is usual.

    The thread's own do so, too, as long. Source: prctl(2), PR_SET_TIMERSLACK.
    """
    _set(seconds)
    try:
        yield
    finally:
        _set(0.0)


def _set(seconds: float) -> None:
    _LIBC.prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(int(seconds * 1e9)), 0, 0, 0)  # 0: what this thread began with
