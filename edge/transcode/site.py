"""What a worker knows of the others: leases, loads and demand, as the lease bucket tells them.

Keys of that bucket end by themselves when nobody writes them any more, and no message says so: what was not
heard again in time is forgotten here. `now` in monotonic seconds.
"""

from collections import defaultdict
from collections.abc import Collection
from typing import NamedTuple, TypeVar

import msgspec

from appliance.contracts.transcode import DemandRecord, WorkerRecord
from appliance.runtime.lease import Holder, Watch
from appliance.runtime.metrics import counter
from edge.media.capacity import Candidate

_BAD = counter("nearcast_transcode_bad_records_total", "Records of the lease bucket that could not be read.")
T = TypeVar("T")


class _Heard(NamedTuple):
    holder: Holder
    at: float


class Site:
    """Fed by `heard`, a Replica's on_change of the lease bucket."""

    def __init__(self, me: str, machine: str, ttl_s: float) -> None:
        """`me` is this worker's name; others of the same `machine` share its budget."""
        self._me = me
        self._machine = machine
        self._ttl_s = 1.25 * ttl_s  # what was written just before the end of its life is still on its way
        self._leases: dict[str, _Heard] = {}
        self._free_since: dict[str, float] = {}
        self._workers: dict[str, tuple[WorkerRecord, float]] = {}
        self._demand: dict[str, tuple[DemandRecord, float]] = {}
        self._watch = Watch()

    def is_gone(self, holder: Holder, now: float) -> bool:
        """Whether a holder on this machine cannot go on."""
        return self._watch.is_gone(holder, now)

    def is_suspect(self, broadcast_id: str) -> bool:
        """Whether who has its lease was stopped when it was looked at last, and is to be looked at again soon."""
        heard = self._leases.get(broadcast_id)
        return heard is not None and self._watch.is_suspect(heard.holder)

    def heard(self, key: str, value: bytes | None, now: float) -> bool:
        """A key was written or deleted. Whether something is asked for that was not, or no longer."""
        kind, dot, rest = key.partition(".")
        if kind == "demand":
            before = self._demand.get(rest)
            _put(self._demand, rest, _read(value, DemandRecord), now)
            return _asked(before) != _asked(self._demand.get(rest))
        if kind == "worker":
            _put(self._workers, rest, _read(value, WorkerRecord), now)
        elif not dot:
            holder = _read(value, Holder)
            if holder is None:
                self._leases.pop(key, None)
            else:
                self._leases[key] = _Heard(holder, now)
                self._free_since.pop(key, None)
        return False

    def free_since(self, broadcast_id: str, now: float) -> float | None:
        """Since when nobody has its lease, as far as is known here; None: somebody has."""
        heard = self._leases.get(broadcast_id)
        if heard is not None and now - heard.at < self._ttl_s and not self.is_gone(heard.holder, now):
            return None
        return self._free_since.setdefault(broadcast_id, now)

    def forget(self, broadcast_id: str) -> None:
        """The broadcast is over."""
        self._free_since.pop(broadcast_id, None)
        self._leases.pop(broadcast_id, None)

    def others(self, now: float) -> list[WorkerRecord]:
        """The other workers that live and take broadcasts."""
        self._workers = {
            name: one
            for name, one in self._workers.items()
            if now - one[1] < self._ttl_s and not self.is_gone(_process(one[0]), now)
        }
        return [one for one, _ in self._workers.values() if one.name != self._me and not one.draining]

    def neighbours(self, now: float, mine: Collection[str] = ()) -> list[float]:
        """Loads of the other workers of this machine.

        Without what a worker still tells of a broadcast that is `mine` by now: it has lost it, and may hang.
        """
        self.others(now)
        here = [one for one, _ in self._workers.values() if one.machine == self._machine and one.name != self._me]
        lost = [sum(job.cores for name, job in one.jobs.items() if name in mine) for one in here]
        return [max(0.0, one.load - taken) for one, taken in zip(here, lost, strict=True)]

    def candidates(self, now: float, room: float) -> list[Candidate]:
        """The others with what their machines have left; `room` is left of this one."""
        others = self.others(now)
        loads: dict[str, float] = defaultdict(float)
        for one, _ in self._workers.values():
            loads[one.machine] += one.load
        rooms = {one.machine: one.budget - loads[one.machine] for one in others} | {self._machine: room}
        return [Candidate(one.name, one.load, rooms[one.machine]) for one in others]

    def watchers(self, broadcast_id: str, now: float) -> dict[str, int]:
        """Viewers by rendition, of all origins together."""
        total: dict[str, int] = defaultdict(int)
        for record, at in self._demand.values():
            if now - at < self._ttl_s:
                for rendition, count in record.watchers.get(broadcast_id, {}).items():
                    total[rendition] += count
        return total


def _process(worker: WorkerRecord) -> Holder:
    return Holder(worker.machine, worker.pid, worker.started, "", worker.pids)


def _asked(heard: tuple[DemandRecord, float] | None) -> set[tuple[str, str]]:
    watchers = heard[0].watchers if heard is not None else {}
    return {(broadcast, rendition) for broadcast, found in watchers.items() for rendition in found}


def _read(value: bytes | None, kind: type[T]) -> T | None:
    if value is None:
        return None
    try:
        return msgspec.json.decode(value, type=kind)
    except msgspec.MsgspecError:
        _BAD.inc()
        return None


def _put(records: dict[str, tuple[T, float]], key: str, record: T | None, now: float) -> None:
    if record is None:
        records.pop(key, None)
    else:
        records[key] = record, now
