"""What `status` says of transcoding: what it takes, and which rungs run and why not."""

from typing import Any

import msgspec

from appliance.contracts.transcode import Reason, RungMode, RungsRecord, WorkerRecord

_WHY = {
    Reason.LOAD.value: "the machine has not enough",
    Reason.UNWATCHED.value: "the machine has not enough, nobody watches it",
    Reason.IDLE.value: "nobody asks for it",
}
_HOW = {RungMode.RUNNING: "", RungMode.HALVED: " at half its frame rate", RungMode.PAUSED: " paused"}


def transcode(workers: list[WorkerRecord], rungs: list[RungsRecord]) -> dict[str, Any]:
    """What transcoding takes of the site's machines, in cores, and which rungs of each broadcast run."""
    budgets = {worker.machine: worker.budget for worker in workers}
    jobs = {name: job for worker in workers for name, job in worker.jobs.items()}
    return {
        "budget_cores": round(sum(budgets.values()), 2),
        "load_cores": round(sum(worker.load for worker in workers), 2),
        "workers": [
            {"name": worker.name, "load_cores": worker.load, "draining": worker.draining} for worker in workers
        ],
        "broadcasts": [
            {
                "broadcast_id": record.broadcast_id,
                "worker": record.worker,
                "cores": jobs[record.broadcast_id].cores if record.broadcast_id in jobs else None,
                "late_s": jobs[record.broadcast_id].late_s if record.broadcast_id in jobs else None,
                "rungs": msgspec.to_builtins(record.rungs),
            }
            for record in rungs
        ],
    }


def rungs_in_words(rungs: list[dict[str, str]]) -> str:
    """One line on the rungs of a broadcast, such as "rungs: 720p paused (nobody asks for it), 480p"."""
    told = []
    for rung in rungs:
        why = f" ({_WHY.get(rung['reason'], rung['reason'])})" if rung["reason"] else ""
        told.append(f"{rung['name']}{_HOW[RungMode(rung['mode'])]}{why}")
    return f"rungs: {', '.join(told)}" if told else "rungs: none"
