"""SVT-AV1, run by root, gives its caller the highest real-time priority, which every process started later
inherits: what shares the machine then starves. Whoever encodes with it puts that right."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


def is_ordinary() -> bool:
    """Whether this thread is scheduled like any other."""
    return os.sched_getscheduler(0) == os.SCHED_OTHER


def become_ordinary() -> None:
    """Gives real-time priority up."""
    if not is_ordinary():
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@contextmanager
def ordinary_afterwards() -> Iterator[None]:
    """Whatever happens inside, this thread leaves as an ordinary one."""
    try:
        yield
    finally:
        become_ordinary()
