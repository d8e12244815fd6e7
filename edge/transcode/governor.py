"""Decides which rungs of this worker's jobs run, from what they cost, who watches and what the machine has.

Every decision is a log line, a count, and a line of the broadcast's record in the live bucket.
"""

import zlib
from collections import defaultdict

from appliance.contracts.media import Broadcast, Rendition
from appliance.contracts.transcode import JobLoad, Reason, RungMode, RungsRecord, RungState
from appliance.runtime.clock import now_ms
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter, gauge
from appliance.runtime.settings import TranscodeSettings
from edge.media.capacity import Pressure, budget_cores, ladder_cost, reference_speeds, share_of
from edge.media.degradation import Choice, Degradation
from edge.transcode.account import Account, Demand, Governed, paused_by
from edge.transcode.site import Site
from edge.transcode.video import rungs_to_make

_LOAD = gauge("nearcast_transcode_load_cores", "What the running rungs and their decoders take, as measured.")
_BUDGET = gauge("nearcast_transcode_budget_cores", "What transcoders may take of this machine.")
_RUNNING = gauge("nearcast_transcode_rungs_running", "Rungs that run, also at half their frame rate.")
_PAUSED = gauge("nearcast_transcode_rungs_paused", "Rungs that are paused, by reason.", ["reason"])
_CHANGES = counter("nearcast_transcode_rung_changes_total", "Decisions on rungs.", ["mode", "reason"])
_BEHIND = gauge("nearcast_transcode_jobs_behind", "Broadcasts whose transcoding cannot keep up.")
_HOLD_S = 20.0  # and a little of each worker's own: two of a machine are not to take the same room at once


class Governor:
    """One worker's. `now` in monotonic seconds."""

    def __init__(self, settings: TranscodeSettings, cores: float, worker: str) -> None:
        """`cores` of this machine."""
        self.speeds = reference_speeds(settings.preset)
        self.budget = budget_cores(settings.cores, cores)
        self._demand = Demand(settings.on_demand == "idle", settings.popular)
        self._worker = worker
        self._policy = Degradation(hold_s=_HOLD_S + zlib.crc32(worker.encode()) % 50 / 10)
        self._pressure = Pressure()
        self._accounts: dict[str, Account] = {}
        self._log = get_logger("governor")

    @property
    def load(self) -> float:
        """Cores that the jobs take."""
        return sum(account.cores for account in self._accounts.values())

    def cost_of(self, broadcast: Broadcast, source: Rendition | None) -> float:
        """Cores of all that a broadcast wants, as modelled."""
        form = source.inits[-1].video if source is not None and source.inits else None
        return ladder_cost(self.speeds, form, rungs_to_make(broadcast, source)).total if form is not None else 0.0

    def add(self, job: Governed, now: float) -> None:
        """A job of this worker from now on."""
        account = Account(job, now)
        self._accounts[account.broadcast_id] = account

    def remove(self, broadcast_id: str) -> None:
        """The job is over."""
        self._accounts.pop(broadcast_id, None)
        if not self._accounts:
            self._pressure = Pressure()

    def govern(self, now: float, site: Site) -> None:
        """About once a second, and when demand or jobs change."""
        accounts = list(self._accounts.values())
        behind = [account for account in accounts if account.measure(now, self.speeds)]
        neighbours = site.neighbours(now, self._accounts.keys())
        share = share_of(self.budget, neighbours)
        loads = [one.load(now, site.watchers(one.broadcast_id, now), self._demand) for one in accounts]
        least = sum(one.decode + one.rungs[-1].full for one in loads if one.rungs)
        budget = self._pressure.budget(now, share, self.load, least, behind=bool(behind))
        choices: dict[str, dict[str, Choice]] = defaultdict(dict)
        for (broadcast_id, rung), choice in self._policy.decide(now, loads, budget).items():
            choices[broadcast_id][rung] = choice
        for account, load in zip(accounts, loads, strict=True):
            for state in account.apply(load, choices[account.broadcast_id]):
                self._tell(account.broadcast_id, state, budget)
        self._show(len(neighbours), len(behind))

    def _tell(self, broadcast_id: str, state: RungState, budget: float) -> None:
        _CHANGES.labels(state.mode.value, state.reason).inc()
        self._log.info(
            f"rung_{state.mode.value}",
            broadcast=broadcast_id,
            rung=state.name,
            reason=state.reason,
            load=round(self.load, 2),
            budget=round(budget, 2),
        )

    def _show(self, neighbours: int, behind: int) -> None:
        _LOAD.set(self.load)
        _BUDGET.set(self.budget / (neighbours + 1))  # the workers of a machine are summed
        _BEHIND.set(behind)
        states = [account.states for account in self._accounts.values()]
        _RUNNING.set(sum(one.mode is not RungMode.PAUSED for found in states for one in found.values()))
        for reason in Reason:
            _PAUSED.labels(reason.value).set(sum(paused_by(found, reason) for found in states))

    def job_loads(self) -> dict[str, JobLoad]:
        """What each broadcast costs."""
        return {one.broadcast_id: one.job_load() for one in self._accounts.values()}

    def records(self) -> list[RungsRecord]:
        """Those that changed since they were written."""
        changed = [one for one in self._accounts.values() if one.is_changed]
        return [one.record(self._worker, now_ms()) for one in changed]

    def written(self, record: RungsRecord) -> None:
        """A record is in the bucket."""
        account = self._accounts.get(record.broadcast_id)
        if account is not None and list(account.states.values()) == record.rungs:
            account.is_changed = False
