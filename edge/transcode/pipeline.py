"""Decode once, encode each rung: the threads of one broadcast.

The event loop puts source chunks in, rungs put finished chunks out through `emit`, which is called from
their threads. Every queue between threads is bounded: a slow rung slows the decoder, a slow decoder the
reader of the log. Nothing is dropped.
"""

import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, cast

import av
import av.error
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from appliance.contracts.media import ChunkFlag, ChunkHeader
from appliance.runtime.logs import get_logger
from appliance.runtime.metrics import counter
from edge.protocols.fmp4 import Sample, read_fragments
from edge.transcode.chunks import Boundary, SourceChunk
from edge.transcode.encoder import TIME_BASE
from edge.transcode.forms import VideoForm
from edge.transcode.rung import Gap, Picture, RungWorker

_DECODE_ERRORS = counter("nearcast_transcode_decode_errors_total", "Access units that could not be decoded.")
_FRAMES = counter("nearcast_transcode_frames_total", "Frames decoded.")
_MAX_REORDER = 64  # access units whose times are remembered while the decoder holds their frames
_US = 1_000_000


class _Times(NamedTuple):
    duration: int
    pdt_us: int
    late_us: int


class _Start(NamedTuple):
    """A segment of which no frame has come out yet."""

    boundary: Boundary
    pts: int
    pdt_us: int


class _Drain:
    """The source paused: give out every frame that is held and close the segments."""


class _Stop:
    """End the threads."""


class Pipeline:
    """One broadcast's threads. `taken` is called for each chunk when its frames are with the rungs."""

    def __init__(
        self,
        rungs: list[RungWorker],
        taken: Callable[[], None],
        failed: Callable[[BaseException], None],
        offer: Callable[[VideoFrame, tuple[int, int], int], None] | None = None,
    ) -> None:
        """`offer` is shown each frame that starts a segment, its sample aspect and wall clock; it must not wait."""
        self._offer = offer
        self._rungs = rungs
        self._taken = taken
        self._failed = failed
        self._queue: queue.SimpleQueue[SourceChunk | _Drain | _Stop] = queue.SimpleQueue()  # reader bounds it
        self._thread = threading.Thread(target=self._run, name="decode", daemon=True)
        self._decoder: VideoCodecContext | None = None
        self._form: VideoForm | None = None
        self._needs_key = True  # nothing decodes before a key frame
        self._key_sequence = 0  # stream sequence of the chunk with the last key frame
        self._times: dict[int, _Times] = {}
        self._starts: deque[_Start] = deque(maxlen=_MAX_REORDER)
        self._log = get_logger("pipeline")

    def start(self) -> None:
        """Begins."""
        for rung in self._rungs:
            rung.start()
        self._thread.start()

    def put(self, chunk: SourceChunk) -> None:
        """Hands over a chunk; the caller keeps no more than a few beyond what `taken` told."""
        self._queue.put(chunk)

    def drain(self) -> None:
        """The source has paused or ended."""
        self._queue.put(_Drain())

    def stop(self) -> None:
        """Ends the threads after what is queued. Blocks until they have ended."""
        self._queue.put(_Stop())
        self._thread.join(10.0)
        for rung in self._rungs:
            rung.stop()

    def _run(self) -> None:
        try:
            while not isinstance(item := self._queue.get(), _Stop):
                if isinstance(item, _Drain):
                    self._flush()
                    for rung in self._rungs:
                        rung.finish()
                else:
                    self._chunk(item)
                    self._taken()
        except Exception as error:  # noqa: BLE001 - root of the thread: the job decides what a failure means
            self._failed(error)

    def _chunk(self, chunk: SourceChunk) -> None:
        header = chunk.header
        if header.flags & ChunkFlag.GAP:
            self._flush()
            self._start_until(header.dts, everything=True)
            boundary = Boundary(header.msn, chunk.sequence, bool(header.flags & ChunkFlag.DISCONTINUITY))
            self._gap(Gap(boundary, header.dts, header.duration, header.pdt_us))
            return
        if not chunk.data or not isinstance(chunk.form, VideoForm):
            return
        samples = [sample for piece in read_fragments(chunk.data) for sample in piece.samples]
        if chunk.form != self._form or self._decoder is None:
            self._flush()
            self._open(chunk.form)
        before = self._key_sequence
        if any(sample.key for sample in samples):
            self._key_sequence = chunk.sequence
        if header.part == 0 and header.chunk == 0:
            begins = chunk.sequence if samples[0].key or not before else before
            discontinuity = bool(header.flags & ChunkFlag.DISCONTINUITY)
            self._starts.append(_Start(Boundary(header.msn, begins, discontinuity), samples[0].pts, header.pdt_us))
        for sample in samples:
            self._sample(sample, samples[0], header)

    def _open(self, form: VideoForm) -> None:
        decoder = av.CodecContext.create(form.decoder, "r")
        if not isinstance(decoder, VideoCodecContext):
            raise TypeError(f"{form.decoder} is not a video decoder")
        if form.extradata:
            decoder.extradata = form.extradata
        decoder.thread_count = 1
        self._decoder = decoder
        self._form = form
        self._needs_key = True

    def _sample(self, sample: Sample, first: Sample, header: ChunkHeader) -> None:
        if self._needs_key and not sample.key:
            return
        self._needs_key = False
        pdt_us = header.pdt_us + (sample.pts - first.pts) * _US // TIME_BASE.denominator
        if len(self._times) >= _MAX_REORDER:
            self._times.pop(next(iter(self._times)))
        self._times[sample.pts] = _Times(sample.duration, pdt_us, header.late_us)
        packet = Packet(bytes(sample.data))
        packet.pts, packet.dts, packet.time_base = sample.pts, sample.dts, TIME_BASE
        self._decode(cast("Packet[VideoStream]", packet))  # generic only in its stubs

    def _decode(self, packet: "Packet[VideoStream] | None") -> None:
        if self._decoder is None:
            return
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError as error:
            if packet is not None:
                _DECODE_ERRORS.inc()
                self._log.debug("not_decoded", error=type(error).__name__)
            return
        for frame in frames:
            self._frame(frame)

    def _frame(self, frame: VideoFrame) -> None:
        if frame.pts is None:
            return
        frame.time_base = TIME_BASE
        times = self._times.pop(frame.pts, None)
        if times is None:
            return
        boundary = self._start_until(frame.pts)
        _FRAMES.inc()
        form = self._form or VideoForm("", b"")
        picture = Picture(
            frame, frame.pts, times.duration, times.pdt_us, times.late_us, boundary,
            form.frame_rate, form.sample_aspect,
        )  # fmt: skip
        if boundary is not None and self._offer is not None:
            self._offer(frame, form.sample_aspect, times.pdt_us)
        for rung in self._rungs:
            rung.put(picture)

    def _start_until(self, pts: int, *, everything: bool = False) -> Boundary | None:
        """The segment that starts with the frame at `pts`; those before it without a frame are gaps."""
        started: _Start | None = None
        while self._starts and (everything or self._starts[0].pts <= pts):
            following = self._starts.popleft()
            if started is not None:
                self._empty(started, following.pts)
            started = following
        if started is not None and everything:
            self._empty(started, pts)
        return started.boundary if started is not None else None

    def _empty(self, start: _Start, until: int) -> None:
        self._gap(Gap(start.boundary, start.pts, max(1, until - start.pts), start.pdt_us))

    def _gap(self, gap: Gap) -> None:
        for rung in self._rungs:
            rung.put(gap)

    def _flush(self) -> None:
        """Every frame the decoder still holds; the next chunk opens it anew."""
        self._decode(None)
        self._decoder = None
        self._times.clear()
