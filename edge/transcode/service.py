"""Takes broadcasts that need a ladder, one lease each, and gives them back when drained."""

import asyncio
import contextlib

import msgspec

from appliance.contracts.errors import LeaseLostError, NearcastError, UnavailableError
from appliance.contracts.media import AUDIO, SOURCE, Broadcast, BroadcastState, Rendition
from appliance.contracts.subjects import LEASE_BUCKET, LIVE_BUCKET, rendition_key
from appliance.runtime.appender import Appender
from appliance.runtime.bus import Bus
from appliance.runtime.lease import Lease, this_holder
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter, gauge
from appliance.runtime.replica import Replica
from appliance.runtime.settings import MediaSettings, TranscodeSettings
from appliance.runtime.tasks import Tasks
from edge.transcode.job import SOURCES, Job, wants_transcoding
from edge.transcode.pictures.preview import PictureRules
from edge.transcode.video import JobConfig

_LOOK_S = 0.25  # how often free broadcasts are looked for: part of the time a take-over takes
_REST_S = 2.0  # before a broadcast that failed here is tried again
_ACTIVE = gauge("nearcast_transcode_broadcasts", "Broadcasts this worker transcodes.")
_ENDED = counter("nearcast_transcode_jobs_ended_total", "Jobs by how they ended.", ["how"])


class TranscodeService:
    """One worker process."""

    def __init__(self, settings: TranscodeSettings, media: MediaSettings, local: Bus, worker: int) -> None:
        self._settings = settings
        pictures = PictureRules(settings.preview_s, settings.storyboard_s, media.log_age_s)
        self._config = JobConfig(settings.preset, media.segment_target_s, pictures=pictures)
        self._local = local
        self._appender = Appender(local)
        self._live = Replica(local, LIVE_BUCKET, self._on_change)
        self._holder = this_holder(f"transcode-{worker}")
        self._jobs: dict[str, Job] = {}
        self._resting: dict[str, float] = {}
        self._draining = False
        self._tasks = Tasks()
        self._log = get_logger("transcode")

    async def start(self) -> None:
        """Begins to look for broadcasts."""
        await self._appender.start()
        await self._live.start()
        self._tasks.start(self._look(), "look-for-broadcasts")

    async def drain(self) -> None:
        """Takes no new broadcast."""
        self._draining = True

    async def stop(self) -> None:
        """Stops the jobs, waits for their appends, gives the leases back."""
        await self._tasks.close()
        await self._appender.close()
        await self._live.close()

    def _on_change(self, key: str, value: bytes | None) -> None:
        kind, _, rest = key.partition(".")
        job = self._jobs.get(rest.partition(".")[0])
        if job is None:
            return
        if kind == "rendition" and value is not None and rest.rpartition(".")[2] in SOURCES:
            job.view.set_rendition(msgspec.json.decode(value, type=Rendition))
        elif kind == "broadcast" and value is None:
            job.view.end()
        elif kind == "broadcast" and value is not None:
            job.view.set_broadcast(msgspec.json.decode(value, type=Broadcast))

    async def _look(self) -> None:
        leases = self._local.bucket(LEASE_BUCKET)
        while True:
            await asyncio.sleep(_LOOK_S)
            for broadcast in self._wanting():
                with contextlib.suppress(UnavailableError):
                    lease = await Lease.try_take(leases, broadcast.broadcast_id, self._holder)
                    if lease is not None:
                        self._begin(broadcast, lease)

    def _wanting(self) -> list[Broadcast]:
        """Broadcasts with something to make, something to make it of, and no job here."""
        now = asyncio.get_running_loop().time()
        found = []
        for _, value in self._live.items("broadcast."):
            broadcast = msgspec.json.decode(value, type=Broadcast)
            state, broadcast_id = broadcast.state, broadcast.broadcast_id
            if state in (BroadcastState.STARTING, BroadcastState.ENDED) or broadcast_id in self._jobs:
                continue
            source, audio = (self._rendition(broadcast, name) for name in (SOURCE, AUDIO))
            rested = self._resting.get(broadcast_id, 0.0) <= now
            if rested and wants_transcoding(broadcast, source, audio):
                found.append(broadcast)
        room = 0 if self._draining else self._settings.broadcasts - len(self._jobs)
        return found[: max(0, room)]

    def _rendition(self, broadcast: Broadcast, name: str) -> Rendition | None:
        value = self._live.get(rendition_key(broadcast.broadcast_id, name))
        return msgspec.json.decode(value, type=Rendition) if value is not None else None

    def _begin(self, broadcast: Broadcast, lease: Lease) -> None:
        live = self._local.bucket(LIVE_BUCKET)
        job = Job(self._config, self._local, live, self._appender, broadcast)
        for name in SOURCES:
            rendition = self._rendition(broadcast, name)
            if rendition is not None:
                job.view.set_rendition(rendition)
        self._jobs[broadcast.broadcast_id] = job
        _ACTIVE.set(len(self._jobs))
        self._tasks.start(self._run(broadcast.broadcast_id, job, lease), f"transcode-{broadcast.broadcast_id}")

    async def _run(self, broadcast_id: str, job: Job, lease: Lease) -> None:
        work = asyncio.ensure_future(job.run())
        keep = asyncio.ensure_future(lease.keep(self._settings.lease_ttl_s))
        how = "stopped"
        try:
            await asyncio.wait({work, keep}, return_when=asyncio.FIRST_COMPLETED)
            how = self._outcome(broadcast_id, work, keep)
        finally:
            for task in (work, keep):
                task.cancel()
            await asyncio.gather(work, keep, return_exceptions=True)
            self._jobs.pop(broadcast_id, None)
            self._resting[broadcast_id] = asyncio.get_running_loop().time() + _REST_S
            _ACTIVE.set(len(self._jobs))
            _ENDED.labels(how).inc()
            if how != "lease_lost":
                await lease.release()

    def _outcome(self, broadcast_id: str, work: "asyncio.Future[None]", keep: "asyncio.Future[None]") -> str:
        error = work.exception() if work.done() else keep.exception()
        if error is None:
            return "finished"
        lost = isinstance(error, LeaseLostError)
        detail = error.detail if isinstance(error, NearcastError) else repr(error)
        reason = "lease_lost" if lost else "failed"
        self._log.warning("job_ended", broadcast=broadcast_id, reason=reason, error=detail)
        return "lease_lost" if lost else "failed"
