"""What transcoders tell of damaged access units, by broadcast."""

import msgspec

from appliance.contracts.transcode import JobLoad, WorkerRecord
from edge.ingest.damage_reports import WORKERS, DamageReports, is_of_worker

ONE, OTHER = (WORKERS.replace("*.*", f"machine.worker-{number}") for number in (1, 2))


def record(**damaged: int) -> bytes:
    jobs = {name: JobLoad(cores=0.1, damaged=count) for name, count in damaged.items()}
    return msgspec.json.encode(WorkerRecord(name="m.w", machine="m", budget=2.0, load=0.1, jobs=jobs))


def test_what_a_worker_tells_holds_until_it_tells_again() -> None:
    reports = DamageReports()
    reports.heard(ONE, record(a=3, b=0), 10.0)
    reports.heard(OTHER, record(c=5), 10.0)
    reports.heard(OTHER, b"{", 10.0)
    assert [reports.of(name, 11.0) for name in "abcd"] == [3, 0, 5, 0]
    reports.heard(ONE, record(a=0), 11.0)
    assert reports.of("a", 11.0) == 0


def test_a_worker_that_is_silent_is_forgotten() -> None:
    reports = DamageReports()
    reports.heard(ONE, record(a=3), 10.0)
    assert reports.of("a", 12.4) == 3
    assert reports.of("a", 12.5) == 0


def test_of_two_that_have_a_broadcast_in_turn_the_larger_count_holds() -> None:
    reports = DamageReports()
    reports.heard(ONE, record(a=3), 10.0)
    reports.heard(OTHER, record(a=1), 10.5)
    assert reports.of("a", 11.0) == 3


def test_subjects_of_workers() -> None:
    assert is_of_worker(ONE)
    assert not is_of_worker(ONE.replace("worker.", "demand."))
