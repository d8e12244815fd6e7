"""What transcoders find damaged in what publishers send: ingest does not decode, they do."""

import msgspec

from appliance.contracts.subjects import LEASE_BUCKET, kept, worker_key
from appliance.contracts.transcode import WorkerRecord

WORKERS = kept(LEASE_BUCKET, worker_key("*", "*"))
_HOLDS_S = 2.5  # a worker tells of itself again much sooner


def is_of_worker(subject: str) -> bool:
    """Whether it is one of WORKERS."""
    return subject.startswith(WORKERS.partition("*")[0])


class DamageReports:
    """Feed `heard` with the messages of WORKERS. `now` in seconds of any monotonic clock."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[dict[str, int], float]] = {}

    def heard(self, subject: str, data: bytes, now: float) -> None:
        """A worker's record. What is none is left out, and what says that a worker is gone."""
        self._told = {one: told for one, told in self._told.items() if now - told[1] < _HOLDS_S}
        try:
            record = msgspec.json.decode(data, type=WorkerRecord)
        except msgspec.MsgspecError:
            return
        damaged = {broadcast: job.damaged for broadcast, job in record.jobs.items() if job.damaged}
        self._told[subject] = damaged, now

    def of(self, broadcast_id: str, now: float) -> int:
        """Access units of the last minute from which no whole picture came."""
        told = (damaged for damaged, at in self._told.values() if now - at < _HOLDS_S)
        return max((damaged.get(broadcast_id, 0) for damaged in told), default=0)
