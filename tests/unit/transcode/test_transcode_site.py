"""What a worker knows of the others, of its machine, and of how fast that is."""

from pathlib import Path

import msgspec
import pytest

from appliance.contracts.transcode import DemandRecord, JobLoad, WorkerRecord
from appliance.runtime.lease import Holder, this_holder
from edge.transcode.calibration import known_speeds, measure_speeds
from edge.transcode.machine import usable_cores
from edge.transcode.site import Site

ALIVE = msgspec.json.encode(this_holder("t"))
DEAD = msgspec.json.encode(msgspec.structs.replace(this_holder("t"), pid=1, started=1))
ELSEWHERE = msgspec.json.encode(Holder("other", 1, 1, "t"))


@pytest.fixture
def site() -> Site:
    return Site("m.me", "m", 2.0)


def worker(name: str, load: float, machine: str = "m", **changes: object) -> tuple[str, bytes]:
    record = WorkerRecord(name=name, machine=machine, budget=3.0, load=load)
    return f"worker.{name}", msgspec.json.encode(msgspec.structs.replace(record, **changes))


def test_a_lease_ends_when_it_is_given_back_or_its_holder_is_silent_or_dead(site: Site) -> None:
    assert site.free_since("b", 5.0) == 5.0
    assert site.free_since("b", 6.0) == 5.0, "since it was first asked"
    site.heard("b", ALIVE, 7.0)
    assert site.free_since("b", 8.0) is None
    site.heard("b", None, 9.0)
    assert site.free_since("b", 9.5) == 9.5
    site.heard("b", ELSEWHERE, 10.0)
    assert site.free_since("b", 12.4) is None
    assert site.free_since("b", 12.6) == 12.6
    site.heard("b", DEAD, 20.0)
    assert site.free_since("b", 20.1) == 20.1


def test_workers_of_the_same_machine_share_its_room(site: Site) -> None:
    for name, load, machine in (("m.me", 0.5, "m"), ("m.b", 1.0, "m"), ("n.c", 0.25, "n")):
        site.heard(*worker(name, load, machine), 0.0)
    assert site.neighbours(1.0) == [1.0]
    assert {one.name: (one.load, one.room) for one in site.candidates(1.0, 1.4)} == {
        "m.b": (1.0, 1.4),
        "n.c": (0.25, 2.75),
    }
    site.heard(*worker("m.b", 1.0, draining=True), 2.0)
    assert [one.name for one in site.others(2.0)] == ["n.c"]
    assert site.neighbours(2.0) == [1.0], "it still takes what it takes"
    assert site.others(2.6) == [], "silent for longer than its record lives"


def test_a_dead_worker_takes_nothing() -> None:
    here = this_holder("t")
    site = Site("m.me", here.machine, 2.0)
    alive = {"pid": here.pid, "started": here.started, "pids": here.pids}
    site.heard(*worker("b", 1.0, here.machine, **alive), 0.0)
    assert site.neighbours(0.1) == [1.0]
    dead = {**alive, "started": here.started - 1}
    site.heard(*worker("b", 1.0, here.machine, **dead), 0.2)
    assert site.neighbours(0.3) == [], "its number was given to another process"
    contained = {**dead, "pids": here.pids + 1}
    site.heard(*worker("b", 1.0, here.machine, **contained), 0.4)
    assert site.neighbours(0.5) == [1.0], "a process of another container is not judged by its number here"


def test_what_a_worker_tells_of_a_broadcast_it_has_lost_does_not_count(site: Site) -> None:
    jobs = {"b1": JobLoad(cores=0.75, late_s=0.0), "b2": JobLoad(cores=0.25, late_s=0.0)}
    site.heard(*worker("m.b", 1.0, jobs=jobs), 0.0)
    assert site.neighbours(0.1) == [1.0]
    assert site.neighbours(0.1, {"b1"}) == [0.25]
    assert site.neighbours(0.1, {"b1", "b2"}) == [0.0]


def test_demand_is_the_sum_of_the_origins_that_live(site: Site) -> None:
    for name, count, at in (("o1", 2, 0.0), ("o2", 3, 1.0)):
        record = DemandRecord(origin=name, watchers={"b": {"720p": count}})
        assert site.heard(f"demand.{name}", msgspec.json.encode(record), at)
        assert not site.heard(f"demand.{name}", msgspec.json.encode(record), at), "nothing else is asked for"
    assert site.watchers("b", 1.5) == {"720p": 5}
    assert site.watchers("b", 3.0) == {"720p": 3}
    assert site.watchers("x", 1.5) == {}


@pytest.mark.parametrize("key", ["worker.x", "demand.x", "b"])
def test_records_that_cannot_be_read_are_nothing(site: Site, key: str) -> None:
    site.heard(key, b"{", 0.0)
    assert site.free_since("b", 0.0) == 0.0
    assert site.others(0.0) == []


def test_cores_within_the_limits_of_the_control_groups(tmp_path: Path) -> None:
    own, groups = tmp_path / "own", tmp_path / "groups"
    inner = groups / "a" / "b"
    inner.mkdir(parents=True)
    own.write_text("0::/a/b\n")
    everything = usable_cores(tmp_path / "none", groups)
    (inner / "cpu.max").write_text("max 100000\n")
    assert usable_cores(own, groups) == everything
    (groups / "a" / "cpu.max").write_text("50000 100000\n")
    assert usable_cores(own, groups) == 0.5
    own.write_text("4:cpu,cpuacct:/a\n")
    first = groups / "cpu" / "a"
    first.mkdir(parents=True)
    (first / "cpu.cfs_quota_us").write_text("25000\n")
    (first / "cpu.cfs_period_us").write_text("100000\n")
    assert usable_cores(own, groups) == 0.25


def test_speeds_are_measured_once_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "transcode"
    assert known_speeds("ultrafast", folder) is None
    measured = measure_speeds("ultrafast", folder)
    assert min(measured.decode, measured.scale_from, measured.scale_to, measured.encode) > 0.0
    assert known_speeds("ultrafast", folder) == measured
    kept = folder / "speeds-ultrafast.json"
    kept.write_text(kept.read_text().replace('"key":"', '"key":"another machine '))
    assert known_speeds("ultrafast", folder) is None
