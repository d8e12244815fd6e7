"""What `status` says of transcoding."""

from appliance.commands.transcoding import rungs_in_words, transcode
from appliance.contracts.transcode import JobLoad, Reason, RungMode, RungsRecord, RungState, WorkerRecord

WORKERS = [
    WorkerRecord(name="a", machine="m", budget=1.4, load=0.5, jobs={"b1": JobLoad(cores=0.5, late_s=0.1)}),
    WorkerRecord(name="b", machine="m", budget=1.4, load=0.25, draining=True),
    WorkerRecord(name="c", machine="n", budget=2.8, load=0.0),
]
RUNGS = [
    RungState(name="720p", mode=RungMode.PAUSED, reason=Reason.LOAD),
    RungState(name="480p", mode=RungMode.HALVED, reason=Reason.LOAD),
    RungState(name="360p", mode=RungMode.RUNNING),
    RungState(name="240p", mode=RungMode.PAUSED, reason=Reason.IDLE),
]


def test_machines_are_counted_once_and_workers_are_summed() -> None:
    found = transcode(WORKERS, [record(RUNGS)])
    assert (found["budget_cores"], found["load_cores"]) == (4.2, 0.75)
    assert [one["draining"] for one in found["workers"]] == [False, True, False]
    (broadcast,) = found["broadcasts"]
    assert (broadcast["cores"], broadcast["late_s"]) == (0.5, 0.1)
    assert broadcast["rungs"][0] == {"name": "720p", "mode": "paused", "reason": "load"}


def record(rungs: list[RungState]) -> RungsRecord:
    return RungsRecord(broadcast_id="b1", worker="a", changed_at_ms=1, rungs=rungs)


def test_a_broadcast_whose_worker_is_gone() -> None:
    (broadcast,) = transcode([], [record([])])["broadcasts"]
    assert broadcast["cores"] is None


def test_rungs_in_words() -> None:
    (broadcast,) = transcode(WORKERS, [record(RUNGS)])["broadcasts"]
    assert rungs_in_words(broadcast["rungs"]) == (
        "rungs: 720p paused (the machine has not enough), "
        "480p at half its frame rate (the machine has not enough), 360p, 240p paused (nobody asks for it)"
    )
    assert rungs_in_words([]) == "rungs: none"
