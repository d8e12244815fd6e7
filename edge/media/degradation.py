"""Which rungs run when there is not enough for all of them. A pure policy, the source is never part of it.

Under overload steps are taken, in this order, until what is left fits:

1. rungs nobody watches, but the smallest of each broadcast; 2. the smallest of broadcasts nobody watches;
3. fast rungs run at half their frame rate; 4. the other rungs, of the least important channel first, the
least watched first; 5. last the smallest of each: a viewer with a bad line has nothing else.

A step is undone when the load after it leaves headroom, and has for a while; one at a time. A rung that was
paused because nobody watched it, and is watched, comes back at once if others are to go before it.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from appliance.contracts.transcode import Reason, RungMode


class RungLoad(NamedTuple):
    """A rung that could run. Costs in cores, at its frame rate and at half of it (the same: never halved)."""

    name: str
    full: float
    half: float
    watchers: int = 0
    is_idle: bool = False  # nobody asked for it in so long that it may rest whatever the load is


class BroadcastLoad(NamedTuple):
    """A broadcast. `rungs` largest first. `decode` cores are needed while any rung runs.

    `needs_one`: players cannot be given its source, so that its smallest rung always runs.
    """

    broadcast_id: str
    priority: int
    watchers: int
    decode: float
    rungs: Sequence[RungLoad]
    needs_one: bool = False


class Choice(NamedTuple):
    """How a rung is to run, and why not in full."""

    mode: RungMode
    reason: Reason | None = None


Key = tuple[str, str]  # broadcast, rung
RUNNING = Choice(RungMode.RUNNING)
_Taken = dict[tuple[Key, RungMode], Reason]
_NOTHING = 1e-9  # cores: less is the rounding of sums


class _Step(NamedTuple):
    key: Key
    mode: RungMode
    reason: Reason


class Degradation:
    """The steps taken. `decide` is called about once a second, and when demand changes."""

    def __init__(self, *, headroom: float = 0.2, hold_s: float = 20.0) -> None:
        """A step is undone when the load would stay `headroom` below the budget, for `hold_s`."""
        self._within = 1.0 / (1.0 + headroom)
        self._hold_s = hold_s
        self._taken: _Taken = {}
        self._roomy_since: float | None = None

    def decide(self, now: float, broadcasts: Sequence[BroadcastLoad], budget: float) -> dict[Key, Choice]:
        """How each rung is to run. `now` in monotonic seconds."""
        site = _Site(broadcasts)
        self._taken = {step: why for step, why in self._taken.items() if step[0] in site.rungs}
        self._bring_back_watched(site, budget)
        if site.load(self._taken) > budget + _NOTHING:
            self._taken = _until_it_fits(site, self._taken, budget)
            self._roomy_since = None
        else:
            self._restore(now, site, budget)
        return {key: self._choice(site, key) for key in site.rungs}

    def _choice(self, site: "_Site", key: Key) -> Choice:
        if key in site.idle:
            return Choice(RungMode.PAUSED, Reason.IDLE)
        for mode in (RungMode.PAUSED, RungMode.HALVED):
            reason = self._taken.get((key, mode))
            if reason is not None:
                return Choice(mode, Reason.LOAD if site.rungs[key].watchers else reason)
        return RUNNING

    def _bring_back_watched(self, site: "_Site", budget: float) -> None:
        """In the order of their importance, those that another may make room for."""
        for step in reversed(site.steps):
            taken = step.key, step.mode
            if self._taken.get(taken) is not Reason.UNWATCHED or not site.rungs[step.key].watchers:
                continue
            without = {one: why for one, why in self._taken.items() if one != taken}
            instead = _until_it_fits(site, without, budget)
            if taken not in instead and site.load(instead) <= budget + _NOTHING:
                self._taken = instead

    def _restore(self, now: float, site: "_Site", budget: float) -> None:
        candidate = self._undoable(site, budget)
        if candidate is None:
            self._roomy_since = None
        elif self._roomy_since is None:
            self._roomy_since = now
        elif now - self._roomy_since >= self._hold_s:
            del self._taken[candidate]
            self._roomy_since = now

    def _undoable(self, site: "_Site", budget: float) -> tuple[Key, RungMode] | None:
        """The last of the steps that leaves headroom when it is undone."""
        load = site.load(self._taken)
        for step in reversed(site.steps):
            taken = step.key, step.mode
            if taken in self._taken:
                without = dict(self._taken)
                del without[taken]
                if load + site.difference(step.key[0], self._taken, without) <= budget * self._within:
                    return taken
        return None


def _until_it_fits(site: "_Site", taken: _Taken, budget: float) -> _Taken:
    """`taken` and as many further steps as are needed, in their order."""
    found = dict(taken)
    load = site.load(found)
    for step in site.steps:
        if load <= budget:
            break
        is_paused = step.key in site.idle or (step.key, RungMode.PAUSED) in found
        if not is_paused and (step.key, step.mode) not in found:
            before = site.load_of(step.key[0], found)
            found[step.key, step.mode] = step.reason
            load += site.load_of(step.key[0], found) - before
    return found


class _Site:
    """The broadcasts of one decision, with every step that could be taken, in order."""

    def __init__(self, broadcasts: Sequence[BroadcastLoad]) -> None:
        self._broadcasts = {one.broadcast_id: one for one in broadcasts}
        self.rungs: dict[Key, RungLoad] = {}
        self.idle: set[Key] = set()
        for one in broadcasts:
            for rung in one.rungs:
                key = one.broadcast_id, rung.name
                self.rungs[key] = rung
                if rung.is_idle and not (one.needs_one and rung is one.rungs[-1]):
                    self.idle.add(key)
        self.steps = self._steps()

    def load(self, taken: _Taken) -> float:
        """Cores with these steps taken."""
        return sum(self.load_of(name, taken) for name in self._broadcasts)

    def difference(self, broadcast_id: str, before: _Taken, after: _Taken) -> float:
        """Cores that a broadcast takes more with `after`."""
        return self.load_of(broadcast_id, after) - self.load_of(broadcast_id, before)

    def load_of(self, broadcast_id: str, taken: _Taken) -> float:
        """Cores of one broadcast."""
        one = self._broadcasts[broadcast_id]
        cores, runs = 0.0, False
        for rung in one.rungs:
            key = one.broadcast_id, rung.name
            if key in self.idle or (key, RungMode.PAUSED) in taken:
                continue
            cores += rung.half if (key, RungMode.HALVED) in taken else rung.full
            runs = True
        return cores + one.decode if runs else 0.0

    def _steps(self) -> list[_Step]:
        by_worth = sorted(self._broadcasts.values(), key=lambda one: (one.priority, one.watchers, one.broadcast_id))
        larger = [(one, rung) for one in by_worth for rung in _by_value(one.rungs[:-1])]
        smallest = [(one, one.rungs[-1]) for one in by_worth if one.rungs and not one.needs_one]
        fast = [(one, rung) for one in by_worth for rung in one.rungs if rung.half < rung.full]
        unwatched, load = Reason.UNWATCHED, Reason.LOAD
        return [
            *_steps((pair for pair in larger if not pair[1].watchers), RungMode.PAUSED, unwatched),
            *_steps((pair for pair in smallest if not pair[0].watchers), RungMode.PAUSED, unwatched),
            *_steps(fast, RungMode.HALVED, load),
            *_steps((pair for pair in larger if pair[1].watchers), RungMode.PAUSED, load),
            *_steps((pair for pair in smallest if pair[0].watchers), RungMode.PAUSED, load),
        ]


def _by_value(rungs: Sequence[RungLoad]) -> list[RungLoad]:
    """The least watched first, of equals the dearest."""
    return sorted(rungs, key=lambda rung: (rung.watchers, -rung.full))


def _steps(pairs: Iterable[tuple[BroadcastLoad, RungLoad]], mode: RungMode, reason: Reason) -> list[_Step]:
    return [_Step((one.broadcast_id, rung.name), mode, reason) for one, rung in pairs]
