"""What the supervisor needs to know to run one child process."""

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from appliance.engines.files import Account, can_enter


@dataclass(frozen=True, slots=True)
class Child:
    """A process of the plan.

    `ready` is polled until true, and now and then from then on; without it the child tells by itself on the
    descriptor in NEARCAST_READY_FD. `watch` makes a question of the child's log file, which is asked every few
    seconds from when it is ready: whether it is stuck for good, so that it must be started again. `restore`: makes
    again what its clients need, whenever it was started again: it may have lost its disk. `stage`:
    stages start in order and stop in reverse. `essential`: the node is not ready without it. `listen`: sockets
    that are held for it by their names, host and port (appliance.runtime.listening), so that nobody is refused
    while it is started again. `alone`: two of it cannot run at the same time, so the old one ends before its
    successor begins. `slack_s`: how late its timers may run out, where that saves work; 0: as is usual.
    """

    name: str
    argv: tuple[str, ...]
    stage: int
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path | None = None
    ready: Callable[[], Awaitable[bool]] | None = None
    ready_s: float = 30.0
    watch: Callable[[Path], Callable[[], bool]] | None = None
    restore: Callable[[], Awaitable[None]] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_s: float = 10.0
    essential: bool = True
    listen: tuple[tuple[str, str, int], ...] = ()
    alone: bool = False
    slack_s: float = 0.0


def confined(argv: list[str], account: Account | None, paths: list[Path], stop: signal.Signals) -> tuple[str, ...]:
    """`argv` that dies with its parent and, when we are root, runs as `account`.

    A data directory below a folder that the account may not pass (a closed home, a private temporary
    folder) keeps the modes its owner gave it: the child gets the one capability to pass instead.
    """
    prefix = ["setpriv", "--pdeathsig", stop.name.removeprefix("SIG")]
    if account is not None:
        prefix += [f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups"]
        if not all(can_enter(path, account) for path in paths):
            prefix += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return (*prefix, "--", *argv)
