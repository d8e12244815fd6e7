"""From what jobs use and viewers ask for to how rungs run."""

import msgspec
import pytest

from appliance.contracts.media import Broadcast, BroadcastState, Init, Rendition, VideoFormat
from appliance.contracts.transcode import DemandRecord, RungMode, WorkerRecord
from appliance.runtime.settings import TranscodeSettings
from edge.transcode.account import IDLE_S
from edge.transcode.control import DECODE, RungControl, Usage
from edge.transcode.governor import Governor
from edge.transcode.site import Site
from edge.transcode.source import BroadcastView

FULL = 0.49  # cores of the reference for 1080p30 at superfast, about


class Job:
    """What a governor sees of a job."""

    def __init__(self, name: str = "b", priority: int = 0) -> None:
        record = Broadcast(
            broadcast_id=name, channel_id="c", channel="alice", priority=priority, user_id="u", edge_id="e",
            state=BroadcastState.LIVE, ladder=["source", "720p", "480p", "360p"], has_video=True,
        )  # fmt: skip
        video = VideoFormat(codec="avc1.64001f", width=1920, height=1080, frame_rate=(30, 1))
        inits = [Init(init=0, data=b"", video=video)]
        self.view = BroadcastView(record)
        self.view.set_rendition(
            Rendition(broadcast_id=name, name="source", timescale=90_000, bandwidth=1, inits=inits)
        )
        self.control = RungControl()
        self.late_s = 0.0
        self.used: dict[str, Usage] = {}

    def usage(self) -> dict[str, Usage]:
        return dict(self.used)

    def works(self, media_s: float, cores: float) -> None:
        """Every thread does `media_s` of media at `cores` each."""
        for name in (DECODE, "720p", "480p", "360p"):
            before = self.used.get(name, Usage(0.0, 0.0))
            self.used[name] = Usage(before.cpu_s + cores * media_s, before.media_s + media_s)

    def starts_segment(self) -> None:
        for rung in ("720p", "480p", "360p"):
            self.control.apply(rung, self.control.mode_of(rung))

    @property
    def paused(self) -> list[str]:
        return [name for name, mode in self.control.wanted.items() if mode is RungMode.PAUSED]


def governor(settings: TranscodeSettings | None = None) -> Governor:
    return Governor(settings or TranscodeSettings(), 2.0, "m.me")


@pytest.fixture
def site() -> Site:
    return Site("m.me", "m", 2.0)


def watched(site: Site, now: float, broadcast: str = "b", **watchers: int) -> None:
    found = {name.lstrip("_"): count for name, count in watchers.items()}
    site.heard("demand.o", msgspec.json.encode(DemandRecord(origin="o", watchers={broadcast: found})), now)


def test_the_load_is_what_is_measured(site: Site) -> None:
    made, job = governor(), Job()
    made.add(job, 0.0)
    made.govern(0.0, site)
    assert made.load == pytest.approx(FULL, rel=0.05)
    job.works(0.1, 0.0)
    made.govern(1.0, site)
    for second in range(100):
        job.works(1.0, 0.2)
        made.govern(2.0 + second, site)
    assert made.load == pytest.approx(0.8, rel=0.05)
    assert made.job_loads()["b"].cores == pytest.approx(0.8, rel=0.05)
    assert job.paused == []


def test_what_costs_more_than_there_is_loses_rungs(site: Site) -> None:
    made, job = governor(TranscodeSettings(cores=0.4)), Job()
    made.add(job, 0.0)
    made.govern(0.0, site)
    assert job.paused == ["720p"]
    assert made.load <= 0.4
    (record,) = made.records()
    assert [(rung.name, rung.mode.value, rung.reason) for rung in record.rungs] == [
        ("720p", "paused", "unwatched"),
        ("480p", "running", ""),
        ("360p", "running", ""),
    ]
    made.written(record)
    made.govern(1.0, site)
    assert made.records() == [], "told once"


def test_other_workers_of_the_machine_take_their_part(site: Site) -> None:
    made, job = governor(TranscodeSettings(cores=1.0)), Job()
    made.add(job, 0.0)
    made.govern(0.0, site)
    assert job.paused == []
    other = WorkerRecord(name="m.other", machine="m", budget=1.0, load=0.7)
    site.heard("worker.m.other", msgspec.json.encode(other), 1.0)
    made.govern(1.0, site)
    assert made.load <= 0.5, "half is its own"
    assert job.paused == []
    site.heard("worker.m.third", msgspec.json.encode(msgspec.structs.replace(other, name="m.third")), 1.0)
    made.govern(1.5, site)
    assert made.load <= 1 / 3
    assert job.paused == ["720p"]


def test_a_partner_keeps_the_rungs_longest(site: Site) -> None:
    made = governor(TranscodeSettings(cores=0.8))
    alice, bob = Job("a", priority=1), Job("b")
    for job in (bob, alice):
        made.add(job, 0.0)
    made.govern(0.0, site)
    assert (alice.paused, bob.paused) == ([], ["720p"])


def test_rungs_rest_until_somebody_asks(site: Site) -> None:
    made, job = governor(TranscodeSettings(on_demand="idle")), Job()
    made.add(job, 0.0)
    for second in range(int(IDLE_S) + 1):
        watched(site, float(second), source=1, _480p=1)
        made.govern(float(second), site)
    assert job.paused == ["720p", "360p"]
    job.starts_segment()
    watched(site, 70.0, source=1, _480p=1, _360p=1)
    made.govern(70.0, site)
    assert job.paused == ["720p"]
    (record,) = made.records()
    assert record.resting() == {"720p", "360p"}, "it is a gap until its next segment"
    job.starts_segment()
    made.govern(71.0, site)
    (record,) = made.records()
    assert record.resting() == {"720p"}
    watched(site, 72.0, source=10)
    made.govern(72.0, site)
    assert job.paused == [], "a broadcast that many watch keeps all of them"


def test_a_job_that_cannot_keep_up_gets_less_to_do(site: Site) -> None:
    made, job = governor(), Job()
    made.add(job, 0.0)
    made.govern(0.0, site)
    for second in range(1, 60):
        job.late_s = 2.5 + 0.2 * second
        made.govern(float(second), site)
        if second == 9:
            assert job.paused == ["720p"]
    assert job.paused == ["720p", "480p"], "a late rung is worth more than none"
    assert made.job_loads()["b"].behind


def test_a_job_that_is_over_is_forgotten(site: Site) -> None:
    made = governor()
    made.add(Job(), 0.0)
    made.govern(0.0, site)
    made.remove("b")
    made.govern(1.0, site)
    assert (made.load, made.job_loads(), made.records()) == (0.0, {}, [])


def test_damaged_access_units_of_the_last_minute_are_told(site: Site) -> None:
    made, job = governor(), Job()
    made.add(job, 0.0)
    told = []
    for second in range(100):
        job.control.damaged = 3 if second < 10 else 5 if second < 30 else 9
        made.govern(float(second), site)
        told.append(made.job_loads()["b"].damaged)
    assert told == [3] * 10 + [5] * 20 + [9] * 30 + [6] * 10 + [4] * 20 + [0] * 10


@pytest.mark.parametrize(("left", "runs"), [([], ["360p"]), (["240p"], [])])
def test_the_smallest_rung_runs_where_no_track_of_the_encoder_can_be_watched(
    site: Site, left: list[str], runs: list[str]
) -> None:
    made, job = governor(TranscodeSettings(cores=0.01)), Job()
    ladder = ["720p", "480p", "360p", *left]
    job.view.set_broadcast(msgspec.structs.replace(job.view.broadcast, ladder=ladder, contributed=["240p"]))
    made.add(job, 0.0)
    made.govern(0.0, site)
    assert [name for name in ("720p", "480p", "360p") if name not in job.paused] == runs
