"""What transcoders tell: how each rung of a broadcast runs, what a worker carries, and what origins ask for.

`RungsRecord` lies in the live bucket, at `rungs.<broadcast>`; transcoders write it, origins and `status` read
it. The other two are kept alive in the lease bucket, whose TTL forgets who no longer writes:
`WorkerRecord` at `worker.<machine>.<worker>` and `DemandRecord` at `demand.<origin>`.
"""

import enum

import msgspec


class RungMode(enum.StrEnum):
    """How a rung runs. halved: with every second frame. paused: its segments are gaps."""

    RUNNING = "running"
    HALVED = "halved"
    PAUSED = "paused"


class Reason(enum.StrEnum):
    """Why a rung does not run in full.

    load: the machine has not enough for everything; unwatched: the same, and nobody watched the rung; idle:
    nobody asked for it in a while, and it may rest until somebody does.
    """

    LOAD = "load"
    UNWATCHED = "unwatched"
    IDLE = "idle"


class RungState(msgspec.Struct, frozen=True, kw_only=True):
    """One rung. `reason` is empty while it runs in full."""

    name: str
    mode: RungMode
    reason: str = ""


class RungsRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Which rungs of a broadcast run, and who makes them. It outlives its worker: the next one reads it."""

    broadcast_id: str
    worker: str  # name of a WorkerRecord
    changed_at_ms: int
    rungs: list[RungState]

    def resting(self) -> frozenset[str]:
        """The rungs that are gaps until somebody asks for one: that wakes it within a segment."""
        return frozenset(rung.name for rung in self._paused() if rung.reason == Reason.IDLE)

    def withdrawn(self) -> frozenset[str]:
        """The rungs that are gaps until there is enough for them."""
        return frozenset(rung.name for rung in self._paused() if rung.reason != Reason.IDLE)

    def _paused(self) -> list[RungState]:
        return [rung for rung in self.rungs if rung.mode is RungMode.PAUSED]


class JobLoad(msgspec.Struct, frozen=True, kw_only=True):
    """What one broadcast costs its worker, and how good what it gets is.

    `cores` as measured, `late_s` from a frame's arrival to its part.
    """

    cores: float
    late_s: float = 0.0
    behind: bool = False  # it cannot keep up
    damaged: int = 0  # access units of the last minute from which no whole picture came


class WorkerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A transcoder process as it is now. Loads and budgets in cores."""

    name: str
    machine: str
    budget: float  # of the whole machine, shared with its other workers
    load: float
    pid: int = 0  # on its machine, and when that process began, in clock ticks since boot
    started: int = 0
    pids: int = 0  # the PID namespace in which that is its id
    draining: bool = False  # takes nothing more
    jobs: dict[str, JobLoad] = {}  # by broadcast


class DemandRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Who watches what at one origin process: viewers of the last seconds, by broadcast and rendition.

    A rendition whose playlist was asked for has at least one. `near`: they are given media as it is made, and do
    not wait for parts.
    """

    origin: str
    near: bool = False
    watchers: dict[str, dict[str, int]] = {}
