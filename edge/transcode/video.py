"""The picture's part of a job: from the source rendition to the rungs that the encoder does not send itself."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from appliance.contracts.directory import Profile
from appliance.contracts.media import SOURCE, VIDEO_TIMESCALE, Broadcast, Rendition
from appliance.contracts.subjects import PICTURES_BUCKET, media
from appliance.runtime.bus import Bus
from edge.media.ladder import RUNGS, Rung, SourceDescription, ladder_of, rate_within
from edge.media.segmenter_config import SegmenterConfig
from edge.transcode.announcing import PEAK, Announcer, Changes
from edge.transcode.control import RungControl, Usage
from edge.transcode.decoders.base import Card
from edge.transcode.engines.base import RungFormat
from edge.transcode.engines.catalogue import QUALITY, candidates
from edge.transcode.engines.lineup import Lineup
from edge.transcode.pictures.preview import NO_PICTURES, PictureRules, Pictures
from edge.transcode.pipeline import Pipeline
from edge.transcode.reader import Lead, SourceReader
from edge.transcode.resume import RungPosition, StartPoint, find_start
from edge.transcode.rung import RungWorker
from edge.transcode.source import BroadcastView
from edge.transcode.writer import RenditionWriter


@dataclass(frozen=True, slots=True)
class JobConfig:
    """How to transcode. Times in seconds. `card` decodes for encoders that take pictures on it."""

    preset: str
    segment_target_s: float
    idle_drain_s: float = 1.0
    engines: tuple[str, ...] = ("x264",)
    pictures: PictureRules = NO_PICTURES
    card: Card | None = None


def rungs_to_make(broadcast: Broadcast, source: Rendition | None) -> list[Rung]:
    """The rungs of the broadcast's ladder that are the transcoder's, of the sizes they began with.

    Sizes follow from the first initialisation segment: the broadcast may change its picture, its ladder stays.
    """
    described = _described(broadcast, source)
    if described is None:
        return []
    ladder = ladder_of(described, wanted=RUNGS)
    wanted = set(broadcast.ladder) - set(broadcast.contributed)
    return [rung for rung in ladder.rungs if rung.name in wanted]


def _described(broadcast: Broadcast, source: Rendition | None) -> SourceDescription | None:
    form = source.inits[0].video if source is not None and source.inits else None
    if form is None:
        return None
    return SourceDescription(
        width=form.width,
        height=form.height,
        frame_rate=form.frame_rate,
        sample_aspect=form.sample_aspect,
        codec=form.codec,
        playable=SOURCE in broadcast.ladder,
        taken=tuple(broadcast.contributed),
    )


class VideoLane:
    """Runs until the broadcast is over or something fails."""

    def __init__(
        self,
        config: JobConfig,
        local: Bus,
        view: BroadcastView,
        writer: RenditionWriter,
        failed: Callable[[BaseException], None],
        control: RungControl,
    ) -> None:
        """`failed` may be called from any thread."""
        self._control = control
        self._pipeline: Pipeline | None = None
        self._config = config
        self._local = local
        self._view = view
        self._writer = writer
        self._failed = failed
        self._changes = Changes()

    @property
    def is_transcoding(self) -> bool:
        """Whether frames may be on their way."""
        return self._pipeline is not None

    def usage(self) -> dict[str, Usage]:
        """What each thread has used since it began."""
        return self._pipeline.usage() if self._pipeline is not None else {}

    async def run(self) -> None:
        """Until the broadcast is over, or `control` ends the work. UnavailableError: the log is away for long.

        A source that players can no longer be given gets another ladder: then the lane begins anew, where the
        log of each rung ends.
        """
        while rungs := await self._rungs():
            work = asyncio.ensure_future(self._transcode(rungs))
            other = asyncio.ensure_future(self._other_rungs(rungs))
            try:
                await asyncio.wait({work, other}, return_when=asyncio.FIRST_COMPLETED)
                if work.done():
                    work.result()
                    return
            finally:
                for task in (work, other):
                    task.cancel()
                await asyncio.gather(work, other, return_exceptions=True)
            await self._writer.settled()

    async def _other_rungs(self, rungs: list[Rung]) -> None:
        """Returns when the broadcast wants others than `rungs`."""
        while self._wanted() in ([], rungs):
            await self._view.changed()

    def _wanted(self) -> list[Rung]:
        return rungs_to_make(self._view.broadcast, self._view.rendition(SOURCE))

    async def _transcode(self, rungs: list[Rung]) -> None:
        broadcast_id = self._view.broadcast.broadcast_id
        while (start := await find_start(self._local, broadcast_id, [one.name for one in rungs])) is None:
            if self._view.is_over:
                return
            await asyncio.sleep(0.1)
        workers = await self._workers(rungs, start)
        self._writer.fence(start.rungs)
        reader = SourceReader(self._local, media(broadcast_id, SOURCE), self._config.idle_drain_s)
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def has_ended() -> None:
            loop.call_soon_threadsafe(ended.set)

        shelf = self._local.bucket(PICTURES_BUCKET)
        pictures = Pictures(shelf, broadcast_id, self._config.pictures, self._writer.certain)
        pictures.start()
        pipeline = Pipeline(
            workers, reader.taken, self._failed, self._control, has_ended, pictures.offer, self._config.card
        )
        pipeline.start()
        self._pipeline = pipeline
        reading = asyncio.ensure_future(
            reader.run(
                start.sequence,
                Lead(start.msn),
                pipeline,
                lambda header: self._view.form_of(SOURCE, header),
                self._view,
            )
        )
        ending = asyncio.ensure_future(ended.wait())
        try:
            await asyncio.wait({reading, ending}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
        finally:
            for task in (reading, ending):
                task.cancel()
            await asyncio.gather(reading, ending, return_exceptions=True)
            pictures.close()
            await asyncio.to_thread(pipeline.stop)
            self._pipeline = None

    async def _rungs(self) -> list[Rung]:
        """Waits for the source: sound may have come before the picture."""
        while not self._view.is_over:
            rungs = self._wanted()
            if rungs:
                return rungs
            await self._view.changed()
        return []

    async def _workers(self, rungs: list[Rung], start: StartPoint) -> list[RungWorker]:
        workers: list[RungWorker] = []
        try:
            for rung in rungs:
                workers.append(await self._worker(rung, start.rungs[rung.name]))  # noqa: PERF401 - kept for closing
        except BaseException:
            for worker in workers:
                worker.close()
            raise
        return workers

    async def _told(self, rung: Rung) -> Rung:
        """With the bit rate that its viewers were told, or that becomes what the source has now."""
        known = await self._writer.known(rung.name)
        source = self._view.rendition(SOURCE)
        described = _described(self._view.broadcast, source)
        bit_rate = rung.bit_rate
        if known is not None and known.inits:
            bit_rate = min(bit_rate, round(known.bandwidth / PEAK))
        elif source is not None and described is not None and source.bandwidth > 1:
            bit_rate = rate_within(rung, described, round(source.bandwidth / PEAK))
        return msgspec.structs.replace(rung, bit_rate=bit_rate)

    async def _worker(self, rung: Rung, position: RungPosition) -> RungWorker:
        broadcast, rung = self._view.broadcast, await self._told(rung)
        segmenter = SegmenterConfig(
            timescale=VIDEO_TIMESCALE,
            part_target=round(broadcast.part_target_s * VIDEO_TIMESCALE),
            segment_target=round(self._config.segment_target_s * VIDEO_TIMESCALE),
            max_segment=broadcast.target_duration_s * VIDEO_TIMESCALE,
            given_boundaries=True,
            contiguous=True,
        )
        form = RungFormat(rung.width, rung.height, rung.bit_rate, rung.frame_rate, self._config.preset)
        first = [QUALITY] if broadcast.profile is Profile.QUALITY else []
        lineup = Lineup(form, [*first, *candidates(self._config.engines)])
        inits = Announcer(self._config.segment_target_s, self._local, self._view, self._writer, rung, self._changes)
        worker = await asyncio.to_thread(
            RungWorker, rung, lineup, segmenter, position, self._writer.emit, self._failed, inits.change
        )
        try:
            worker.use = await inits.announce(worker.config, is_first=position.last is None)
        except BaseException:
            worker.close()
            raise
        return worker
