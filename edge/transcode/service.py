"""Takes broadcasts that need a ladder, one lease each, as many as fit, and hands them over when drained."""

import asyncio
import concurrent.futures
import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.contracts.errors import LeaseLostError, NearcastError, UnavailableError
from appliance.contracts.media import Broadcast, Rendition
from appliance.contracts.subjects import LEASE_BUCKET, LIVE_BUCKET, rungs_key, worker_key
from appliance.contracts.transcode import WorkerRecord
from appliance.runtime.appender import Appender
from appliance.runtime.bus import Bus
from appliance.runtime.lease import Lease, this_holder
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter, gauge
from appliance.runtime.replica import Replica
from appliance.runtime.settings import MediaSettings, TranscodeSettings
from appliance.runtime.tasks import Tasks
from edge.transcode.calibration import known_speeds, measure_speeds
from edge.transcode.decoders.nvdec import NVDEC
from edge.transcode.engines.probe import SelfTests, passes_zero_copy, usable_engines
from edge.transcode.engines.soundness import prove_sound
from edge.transcode.governor import Governor
from edge.transcode.job import SOURCES, Job
from edge.transcode.machine import usable_cores
from edge.transcode.openings import LOOK_S, Openings
from edge.transcode.pictures.preview import PictureRules
from edge.transcode.site import Site
from edge.transcode.video import JobConfig

_SOON_S = 0.01  # what is written together is looked at together
_REST_S = 2.0  # before a broadcast that failed here is tried again
_AGAIN_S = 0.1  # the same where who had it before wrote once more after the log was read
_HEARS_S = 2.0
_GOVERN_S = 0.5  # well within the life of what is announced
_HAND_OVER_S = 8.0  # a segment; well within the time that a role has to stop
_SETTLE_S = 3.0  # what is on its way to the log
_ACTIVE = gauge("nearcast_transcode_broadcasts", "Broadcasts this worker transcodes.")
_ENDED = counter("nearcast_transcode_jobs_ended_total", "Jobs by how they ended.", ["how"])


class TranscodeService:
    """One worker process."""

    def __init__(
        self,
        settings: TranscodeSettings,
        media: MediaSettings,
        local: Bus,
        worker: int,
        *,
        folder: Path | None = None,
        rewind_s: float = 0.0,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        """`folder`: where what was measured of this machine is kept; None: it counts as the reference.

        `rewind_s`: how far viewers can go back, if that is further than in the log; so far goes the storyboard.
        """
        self._settings = settings
        pictures = PictureRules(settings.preview_s, settings.storyboard_s, max(media.log_age_s, rewind_s))
        self._config = JobConfig(settings.preset, media.segment_target_s, pictures=pictures)
        self._local = local
        self._folder = folder
        self._appender = Appender(local, tick_s=0.0)
        self._holder = this_holder(f"transcode-{worker}")
        self._name = f"{self._holder.machine}.{self._holder.label}"
        self._key = worker_key(self._holder.machine, self._holder.label)
        self._governor = Governor(settings, usable_cores(), self._name)
        self._site = Site(self._name, self._holder.machine, settings.lease_ttl_s)
        self._live = Replica(local, LIVE_BUCKET, self._on_change, kinds=("broadcast", "rendition", "rungs"))
        self._leases = Replica(local, LEASE_BUCKET, self._on_lease)
        self._openings = Openings(self._live, self._site, self._governor, self._name, pictures=pictures.makes_any)
        self._jobs: dict[str, Job] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._draining = False
        self._hears = asyncio.Event()  # what this worker told of itself
        self._seen = asyncio.Event()  # something that may be taken
        self._due = asyncio.Event()  # something that changes what should run
        self._tasks = Tasks(on_failure)
        self._log = get_logger("transcode")

    async def start(self) -> None:
        """Begins to look for broadcasts, once it hears what workers tell each other.

        UnavailableError; ConfigError for an engine that there is not.
        """
        tests = SelfTests()
        engines = await asyncio.to_thread(usable_engines, self._settings.engines, tests)
        on_card = self._settings.zero_copy and await asyncio.to_thread(passes_zero_copy, engines, tests)
        self._config = dataclasses.replace(self._config, engines=engines, card=NVDEC if on_card else None)
        await self._appender.start()
        await self._leases.start()
        await self._live.start()
        await self._announce()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HEARS_S):
                await self._hears.wait()
        if self._folder is not None:
            self._tasks.start(self._calibrate(self._folder / "transcode"), "calibrate")
        self._tasks.start(self._look(), "look-for-broadcasts")
        self._tasks.start(self._govern(), "govern")

    async def drain(self) -> None:
        """Takes no new broadcast. Others that live go on with each job where segments meet."""
        self._draining = True
        with contextlib.suppress(UnavailableError):
            await self._announce()
        if self._site.others(self._now()):
            self._log.info("handing_over", broadcasts=len(self._jobs))
            running = set(self._running)
            await asyncio.gather(*(job.hand_over(_HAND_OVER_S) for job in self._jobs.values()))
            if running:
                await asyncio.wait(running, timeout=_SETTLE_S)

    async def stop(self) -> None:
        """Stops the jobs, waits for their appends, gives the leases back."""
        await self._tasks.close()
        await self._appender.close()
        await self._live.close()
        await self._leases.close()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    async def _calibrate(self, folder: Path) -> None:
        preset = self._settings.preset
        speeds = await asyncio.to_thread(known_speeds, preset, folder)
        if speeds is None:
            own = concurrent.futures.ThreadPoolExecutor(1, "calibrate")
            try:
                speeds = await asyncio.get_running_loop().run_in_executor(own, measure_speeds, preset, folder)
            finally:
                own.shutdown(wait=False)
        self._governor.speeds = speeds

    # -- what is heard

    def _on_change(self, key: str, value: bytes | None) -> None:
        kind, _, rest = key.partition(".")
        if kind in ("broadcast", "rendition"):
            self._openings.changed(key, value)
            self._seen.set()
        job = self._jobs.get(rest.partition(".")[0])
        if job is None:
            return
        if kind == "rendition" and value is not None and rest.rpartition(".")[2] in SOURCES:
            job.view.set_rendition(msgspec.json.decode(value, type=Rendition))
        elif kind == "broadcast" and value is None:
            job.view.end()
        elif kind == "broadcast" and value is not None:
            job.view.set_broadcast(msgspec.json.decode(value, type=Broadcast))

    def _on_lease(self, key: str, value: bytes | None) -> None:
        if key == self._key:
            self._hears.set()
        if self._site.heard(key, value, self._now()):
            self._due.set()
        if value is None:
            self._seen.set()

    # -- what is taken

    async def _look(self) -> None:
        wait_s = LOOK_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._seen.wait()
            self._seen.clear()
            await asyncio.sleep(_SOON_S)
            wait_s = LOOK_S
            for broadcast in self._openings.wanting(self._now()):
                if not self._may_take(broadcast.broadcast_id):
                    continue
                due_s = self._openings.wait_s(broadcast, self._now())
                if due_s > 0.0:
                    wait_s = min(wait_s, due_s)
                    continue
                with contextlib.suppress(UnavailableError):
                    await self._try_take(broadcast)

    def _may_take(self, broadcast_id: str) -> bool:
        has_room = not self._draining and len(self._jobs) < self._settings.broadcasts
        return has_room and broadcast_id not in self._jobs

    async def _try_take(self, broadcast: Broadcast) -> None:
        leases, gone = self._local.bucket(LEASE_BUCKET), lambda holder: self._site.is_gone(holder, self._now())
        lease = await Lease.try_take(leases, broadcast.broadcast_id, self._holder, is_gone=gone)
        if lease is not None and self._draining:
            await lease.release()
        elif lease is not None:
            self._begin(broadcast, lease)

    def _begin(self, broadcast: Broadcast, lease: Lease) -> None:
        live = self._local.bucket(LIVE_BUCKET)
        job = Job(self._config, self._local, live, self._appender, broadcast, self._due.set, lease)
        for name in SOURCES:
            rendition = self._openings.rendition(broadcast.broadcast_id, name)
            if rendition is not None:
                job.view.set_rendition(rendition)
        self._jobs[broadcast.broadcast_id] = job
        self._log.info("taken", broadcast=broadcast.broadcast_id, load=round(self._governor.load, 2))
        self._governor.add(job, self._now())
        self._governor.govern(self._now(), self._site)  # before its first segment
        self._due.set()
        _ACTIVE.set(len(self._jobs))
        work = self._run(broadcast.broadcast_id, job, lease)
        task = self._tasks.start(work, f"transcode-{broadcast.broadcast_id}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, broadcast_id: str, job: Job, lease: Lease) -> None:
        work = asyncio.ensure_future(job.run())
        keep = asyncio.ensure_future(lease.keep(self._settings.lease_ttl_s))
        how = "stopped"
        try:
            await asyncio.wait({work, keep}, return_when=asyncio.FIRST_COMPLETED)
            how = self._outcome(broadcast_id, job, work, keep)
        finally:
            self._governor.remove(broadcast_id)  # what it says of the rungs is another's to say
            for task in (work, keep):
                task.cancel()
            await asyncio.gather(work, keep, return_exceptions=True)
            await lease.release()
            self._jobs.pop(broadcast_id, None)
            self._due.set()
            self._openings.rest(broadcast_id, self._now() + (_AGAIN_S if how == "disputed" else _REST_S))
            _ACTIVE.set(len(self._jobs))
            _ENDED.labels(how).inc()

    def _outcome(
        self, broadcast_id: str, job: Job, work: "asyncio.Future[None]", keep: "asyncio.Future[None]"
    ) -> str:
        error = work.exception() if work.done() else keep.exception()
        if error is None:
            return "handed_over" if job.control.ends else "finished"
        detail = error.detail if isinstance(error, NearcastError) else repr(error)
        reason = "failed"
        if isinstance(error, LeaseLostError):
            reason = "lease_lost" if keep.done() else "disputed"
        self._log.warning("job_ended", broadcast=broadcast_id, reason=reason, error=detail)
        if reason == "failed":
            self._tasks.start(asyncio.to_thread(prove_sound, self._settings.preset), "prove-sound")
        return reason

    # -- what runs

    async def _govern(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GOVERN_S):
                    await self._due.wait()
            self._due.clear()
            await asyncio.sleep(_SOON_S)
            self._governor.govern(self._now(), self._site)
            with contextlib.suppress(UnavailableError):
                await self._announce()
                await self._write_records()

    async def _announce(self) -> None:
        """This worker, to the others and to `status`."""
        record = WorkerRecord(
            name=self._name,
            machine=self._holder.machine,
            budget=round(self._governor.budget, 3),
            load=round(self._governor.load, 3),
            pid=self._holder.pid,
            started=self._holder.started,
            pids=self._holder.pids,
            draining=self._draining,
            jobs=self._governor.job_loads(),
        )
        await self._local.bucket(LEASE_BUCKET).put(self._key, msgspec.json.encode(record))

    async def _write_records(self) -> None:
        """How the rungs run, where that changed; and what broadcasts left that are over."""
        live = self._local.bucket(LIVE_BUCKET)
        for record in self._governor.records():
            job = self._jobs.get(record.broadcast_id)
            if job is None or not job.is_certain:
                continue
            await live.put(rungs_key(record.broadcast_id), msgspec.json.encode(record))
            self._governor.written(record)
        for key, _ in self._live.items("rungs."):
            broadcast_id = key.partition(".")[2]
            if broadcast_id not in self._jobs and self._openings.is_over(broadcast_id):
                await live.delete(key)
