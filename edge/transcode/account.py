"""What one job costs, is asked for and does: what the governor knows of it. Used in the loop only."""

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from appliance.contracts.media import SOURCE, VideoFormat
from appliance.contracts.transcode import JobLoad, Reason, RungMode, RungsRecord, RungState
from edge.media.capacity import Correction, LadderCost, Lateness, Speeds, ladder_cost
from edge.media.degradation import RUNNING, BroadcastLoad, Choice, RungLoad
from edge.transcode.control import DECODE, RungControl, Usage
from edge.transcode.source import BroadcastView
from edge.transcode.video import rungs_to_make

DAMAGED_S = 60.0  # so long is told of damaged access units
IDLE_S = 60.0  # a rung that nobody asked for in so long is idle
_NOTHING = LadderCost(0.0, ())


class Governed(Protocol):
    """The part of a job that is governed."""

    @property
    def view(self) -> BroadcastView:
        """Its broadcast."""

    @property
    def control(self) -> RungControl:
        """How its rungs are to run."""

    @property
    def late_s(self) -> float:
        """How late its newest parts are."""

    def usage(self) -> dict[str, Usage]:
        """What each thread of the picture has used so far."""


class Demand(NamedTuple):
    """What may rest."""

    rests: bool  # idle rungs may rest
    popular: int  # not those of a broadcast with so many viewers


class Account:
    """One job's."""

    def __init__(self, job: Governed, now: float) -> None:
        self.job = job
        self.is_changed = True  # its record is to be written
        self.states: dict[str, RungState] = {}
        self.cores = 0.0
        self._began = now
        self._cost = _NOTHING
        self._corrections: dict[str, Correction] = {}
        self._seen: dict[str, Usage] = {}
        self._asked: dict[str, float] = {}
        self._lateness = Lateness()
        self._behind = False
        self._damaged = deque([(now, 0)])  # when, how many so far; one for each count that differs, a minute's

    @property
    def broadcast_id(self) -> str:
        return self.job.view.broadcast.broadcast_id

    def measure(self, now: float, speeds: Speeds) -> bool:
        """Learns from what the threads have used. Whether the job is behind."""
        self._cost = self._modelled(speeds)
        modelled = {rung.name: rung for rung in self._cost.rungs}
        for name, usage in self.job.usage().items():
            before = self._seen.get(name, usage)
            self._seen[name] = usage
            if name == DECODE:
                self._learn(name, self._cost.decode, before, usage)
            elif name in modelled:
                halved = self.job.control.applied.get(name) is RungMode.HALVED
                self._learn(name, modelled[name].half if halved else modelled[name].full, before, usage)
        self._behind = self._lateness.note(now, self.job.late_s)
        self._note_damaged(now, self.job.control.damaged)
        return self._behind

    def _note_damaged(self, now: float, damaged: int) -> None:
        noted = self._damaged
        if noted[-1][1] != damaged:
            noted.append((now, damaged))
        while len(noted) > 1 and noted[1][0] <= now - DAMAGED_S:
            noted.popleft()

    def _modelled(self, speeds: Speeds) -> LadderCost:
        view = self.job.view
        source = view.rendition(SOURCE)
        form: VideoFormat | None = source.inits[-1].video if source is not None else None
        rungs = rungs_to_make(view.broadcast, source)
        return ladder_cost(speeds, form, rungs) if form is not None and rungs else _NOTHING

    def _learn(self, name: str, modelled: float, before: Usage, usage: Usage) -> None:
        cpu_s, media_s = usage.cpu_s - before.cpu_s, usage.media_s - before.media_s
        if media_s > 0.0:
            self._corrections.setdefault(name, Correction()).note(modelled, cpu_s, media_s)

    def _factor(self, name: str) -> float:
        """Of the thread's own, of the other rungs while it has not worked yet."""
        own = self._corrections.get(name)
        if own is not None:
            return own.factor
        others = [one.factor for key, one in self._corrections.items() if key != DECODE]
        return sum(others) / len(others) if others else 1.0

    def load(self, now: float, watchers: Mapping[str, int], demand: Demand) -> BroadcastLoad:
        """What the policy is to know of it. `watchers` by rendition, in the last seconds."""
        broadcast = self.job.view.broadcast
        for name in watchers:
            self._asked[name] = now
        total = sum(watchers.values())
        rungs = []
        for cost in self._cost.rungs:
            quiet_s = now - self._asked.get(cost.name, self._began)
            may_rest = demand.rests and total < demand.popular and not watchers.get(cost.name)
            factor = self._factor(cost.name)
            rungs.append(
                RungLoad(
                    cost.name,
                    cost.full * factor,
                    cost.half * factor,
                    watchers.get(cost.name, 0),
                    may_rest and quiet_s >= IDLE_S,
                )
            )
        decode = self._cost.decode * self._factor(DECODE)
        needs_one = SOURCE not in broadcast.ladder and set(broadcast.contributed).isdisjoint(broadcast.ladder)
        return BroadcastLoad(broadcast.broadcast_id, broadcast.priority, total, decode, rungs, needs_one)

    def apply(self, load: BroadcastLoad, choices: Mapping[str, Choice]) -> list[RungState]:
        """Tells the job how its rungs are to run; those that are to run in another way."""
        control = self.job.control
        control.wanted = {name: choice.mode for name, choice in choices.items()}
        self.cores = _cores(load, choices)
        before = self.states
        self.states = {name: self._state(name, choice) for name, choice in choices.items()}
        changed = [state for name, state in self.states.items() if before.get(name, _full(name)) != state]
        self.is_changed = self.is_changed or before != self.states
        return changed

    def _state(self, name: str, choice: Choice) -> RungState:
        """As viewers meet it: a rung that is to run is a gap until its next segment."""
        if choice == RUNNING and self.job.control.applied.get(name) is RungMode.PAUSED:
            before = self.states.get(name)
            if before is not None and before.mode is RungMode.PAUSED:
                return before
        return RungState(name=name, mode=choice.mode, reason=choice.reason or "")

    def job_load(self) -> JobLoad:
        """For the worker's record."""
        late_s = round(self._lateness.late_s, 3)
        damaged = self._damaged[-1][1] - self._damaged[0][1]
        return JobLoad(cores=round(self.cores, 3), late_s=late_s, behind=self._behind, damaged=damaged)

    def record(self, worker: str, now_ms: int) -> RungsRecord:
        """Which rungs run."""
        rungs = list(self.states.values())
        return RungsRecord(broadcast_id=self.broadcast_id, worker=worker, changed_at_ms=now_ms, rungs=rungs)


def _full(name: str) -> RungState:
    return RungState(name=name, mode=RungMode.RUNNING)


def _cores(load: BroadcastLoad, choices: Mapping[str, Choice]) -> float:
    running = [(rung, choices[rung.name].mode) for rung in load.rungs]
    rungs = [
        one.half if mode is RungMode.HALVED else one.full for one, mode in running if mode is not RungMode.PAUSED
    ]
    return sum(rungs) + load.decode if rungs else 0.0


def paused_by(states: Mapping[str, RungState], reason: Reason) -> int:
    """How many rungs are paused for a reason."""
    return sum(one.mode is RungMode.PAUSED and one.reason == reason for one in states.values())
