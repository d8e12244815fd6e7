"""The transcoding of one broadcast by this worker: log in, threads, log out, under one lease."""

import asyncio
import contextlib
from dataclasses import dataclass

import msgspec

from appliance.contracts.errors import LeaseLostError, UnavailableError, WrongSequenceError
from appliance.contracts.media import (
    CHUNK_HEADER,
    SOURCE,
    VIDEO_TIMESCALE,
    Broadcast,
    ChunkFlag,
    ChunkHeader,
    Init,
    Rendition,
    VideoFormat,
)
from appliance.contracts.subjects import MEDIA_STREAM, media, rendition_key
from appliance.runtime.appender import Appender
from appliance.runtime.bus import Bucket, Bus, LogMessage
from appliance.runtime.clock import now_us
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter, histogram
from edge.media.ladder import Rung, plan_ladder
from edge.media.segmenter import SegmenterConfig
from edge.protocols.codecs import avc
from edge.protocols.fmp4 import VideoTrack, init_segment
from edge.transcode.pipeline import Pipeline, SourceChunk
from edge.transcode.resume import SOURCE_SEQUENCE, StartPoint, find_start
from edge.transcode.rung import Output, RungWorker

_AHEAD = 16  # source chunks between the log's reader and the decoder
_PARTS = counter("nearcast_transcode_parts_total", "Parts appended.", ["rung"])
_LATENCY = histogram(
    "nearcast_transcode_part_latency_seconds",
    "From the arrival of a part's last frame to the transcoded part.",
    (0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2, 0.5, 1, 2, 5),
    ["rung"],
)
_PEAK = 1.25  # a segment's rate against the rung's: what a player must plan for


@dataclass(frozen=True, slots=True)
class JobConfig:
    """How to transcode. Times in seconds."""

    preset: str
    segment_target_s: float
    idle_drain_s: float = 1.0


class Job:
    """Transcodes until the broadcast ends, the lease is lost or `stop` is called."""

    def __init__(
        self,
        config: JobConfig,
        local: Bus,
        live: Bucket,
        appender: Appender,
        broadcast: Broadcast,
        source: Rendition,
    ) -> None:
        self._config = config
        self._local = local
        self._live = live
        self._appender = appender
        self._broadcast = broadcast
        self._configs: dict[int, bytes] = {}
        self._source = source
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._room = asyncio.Semaphore(_AHEAD)
        self._ended = False
        self._positions = StartPoint(1, 0, {})
        self._fresh: set[str] = set()  # rungs whose first append of this job starts a fenced run
        self._log = get_logger("job").bind(broadcast=broadcast.broadcast_id)

    def update(self, source: Rendition) -> None:
        """The source has a new initialisation segment."""
        self._source = source

    def end(self) -> None:
        """The broadcast is over: what the log holds is worked off, then the job ends."""
        self._ended = True

    async def run(self) -> None:
        """LeaseLostError when another worker writes; UnavailableError when the log is away for long."""
        form = self._video_format()
        ladder = plan_ladder(form.width, form.height, form.frame_rate, form.sample_aspect)
        rungs = [rung for rung in ladder if rung.name in self._broadcast.ladder]
        start = await self._start_point([rung.name for rung in rungs])
        workers = [self._worker(rung, form, start) for rung in rungs]
        for worker in workers:
            await self._announce(worker)
        pipeline = Pipeline(workers, self._on_taken, self._on_failure)
        self._positions = start
        self._fresh = {rung.name for rung in rungs}
        pipeline.start()
        self._log.info("transcoding", rungs=[rung.name for rung in rungs], msn=start.msn)
        reader = asyncio.ensure_future(self._read(start, pipeline))
        try:
            await asyncio.wait({reader, self._over}, return_when=asyncio.FIRST_COMPLETED)
            for done in (reader, self._over):
                if done.done():
                    done.result()
        finally:
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reader
            await asyncio.to_thread(pipeline.stop)

    async def _start_point(self, names: list[str]) -> StartPoint:
        while True:
            start = await find_start(self._local, self._broadcast.broadcast_id, names)
            if start is not None:
                return start
            await asyncio.sleep(0.1)

    def _video_format(self) -> VideoFormat:
        form = self._source.inits[-1].video
        if form is None:
            raise UnavailableError("the source has no video")
        return form

    def _worker(self, rung: Rung, form: VideoFormat, start: StartPoint) -> RungWorker:
        part = round(self._broadcast.part_target_s * VIDEO_TIMESCALE)
        segmenter = SegmenterConfig(
            timescale=VIDEO_TIMESCALE,
            part_target=part,
            segment_target=round(self._config.segment_target_s * VIDEO_TIMESCALE),
            max_segment=self._broadcast.target_duration_s * VIDEO_TIMESCALE,
            given_boundaries=True,
        )
        halved = form.frame_rate[0] > 0 and rung.frame_rate != form.frame_rate
        return RungWorker(
            rung, self._config.preset, segmenter, start.rungs[rung.name], halved, self._on_output, self._on_failure
        )

    async def _announce(self, worker: RungWorker) -> None:
        """Writes the rung's Rendition record; the init already there is used when it is the same."""
        rung = worker.rung
        data = init_segment(VideoTrack(config=worker.config, width=rung.width, height=rung.height))
        codec = avc.parse_config(worker.config).rfc6381()
        form = VideoFormat(codec=codec, width=rung.width, height=rung.height, frame_rate=rung.frame_rate)
        key = rendition_key(self._broadcast.broadcast_id, rung.name)
        entry = await self._live.get(key)
        inits = msgspec.json.decode(entry.value, type=Rendition).inits if entry is not None else []
        if inits and inits[-1].data == data:
            worker.init = inits[-1].init
            return
        worker.init = inits[-1].init + 1 if inits else 0
        worker.mark_discontinuity = bool(inits)
        record = Rendition(
            broadcast_id=self._broadcast.broadcast_id,
            name=rung.name,
            timescale=VIDEO_TIMESCALE,
            bandwidth=round(rung.bit_rate * _PEAK),
            inits=[*inits, Init(init=worker.init, data=data, video=form)],
        )
        await self._live.put(key, msgspec.json.encode(record))

    async def _read(self, start: StartPoint, pipeline: Pipeline) -> None:
        messages = self._local.tail(
            MEDIA_STREAM, [media(self._broadcast.broadcast_id, SOURCE)], start.sequence
        ).__aiter__()
        drained = True
        coming = asyncio.ensure_future(anext(messages))
        try:
            while True:
                done, _ = await asyncio.wait({coming}, timeout=self._config.idle_drain_s)
                if not done:
                    if not drained:
                        pipeline.drain()
                        drained = True
                    if self._ended:
                        return
                    continue
                message = coming.result()
                coming = asyncio.ensure_future(anext(messages))
                header = ChunkHeader.decode(message.headers[CHUNK_HEADER])
                if header.msn < start.msn:
                    continue
                await self._room.acquire()
                pipeline.put(SourceChunk(message.seq, header, message.data, self._config_of(header, message)))
                drained = False
        finally:
            coming.cancel()

    def _config_of(self, header: ChunkHeader, message: LogMessage) -> bytes:
        """The decoder configuration of a chunk, found in its initialisation segment."""
        if header.init not in self._configs:
            for init in self._source.inits:
                self._configs[init.init] = _avcc(init.data)
        if header.init not in self._configs:
            raise UnavailableError(f"init {header.init} of message {message.seq} is not announced yet")
        return self._configs[header.init]

    def _on_taken(self) -> None:
        self._loop.call_soon_threadsafe(self._room.release)

    def _on_failure(self, error: BaseException) -> None:
        self._loop.call_soon_threadsafe(self._fail, error)

    def _fail(self, error: BaseException) -> None:
        if not self._over.done():
            self._over.set_exception(error)

    def _on_output(self, output: Output) -> None:
        self._loop.call_soon_threadsafe(self._append, output)

    def _append(self, output: Output) -> None:
        if self._over.done():
            return
        expect = None
        if output.rung in self._fresh:
            self._fresh.discard(output.rung)
            expect = self._positions.rungs[output.rung].last_sequence
        broadcast_id, header = self._broadcast.broadcast_id, output.header
        future = self._appender.append(
            media(broadcast_id, output.rung),
            output.data,
            message_id=header.message_id(broadcast_id, output.rung),
            headers={CHUNK_HEADER: header.encode(), SOURCE_SEQUENCE: str(output.source_sequence)},
            expect_last=expect,
        )
        future.add_done_callback(self._on_appended)
        if header.flags & ChunkFlag.LAST_OF_PART and output.data:
            _PARTS.labels(output.rung).inc()
            _LATENCY.labels(output.rung).observe(max(0.0, (now_us() - header.late_us) / 1e6))

    def _on_appended(self, future: "asyncio.Future[int]") -> None:
        if future.cancelled():
            return
        error = future.exception()
        if isinstance(error, WrongSequenceError):
            self._fail(LeaseLostError("another worker appended to a rung"))
        elif error is not None:
            self._fail(error)


def _avcc(init: bytes) -> bytes:
    """The avcC box's content of an initialisation segment written by this product."""
    at = init.find(b"avcC")
    if at < 4:
        raise UnavailableError("the source is not AVC")
    return init[at + 4 : at - 4 + int.from_bytes(init[at - 4 : at], "big")]
