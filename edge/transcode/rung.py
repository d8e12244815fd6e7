"""One rung: a thread that scales, encodes, cuts and packages the frames it is given."""

import queue
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from av.video.frame import VideoFrame

from appliance.contracts.media import VIDEO_TIMESCALE
from edge.media.ladder import Rung
from edge.media.segmenter import Chunk, Segmenter, SegmenterConfig
from edge.protocols.fmp4 import Sample, fragment
from edge.transcode.chunks import Boundary, Output
from edge.transcode.control import Usage
from edge.transcode.encoder import Encoder, RungFormat, Scaler
from edge.transcode.resume import RungPosition

_QUEUE = 8  # frames between decoder and rung: beyond it the decoder waits


class Picture(NamedTuple):
    """A decoded frame on its way to the rungs. Times in 90 kHz ticks; `boundary` when it starts a segment.

    Frame rate, (0, 1) unknown, and sample aspect are the source's of now: they may change in mid-stream.
    """

    frame: VideoFrame
    pts: int
    duration: int
    pdt_us: int
    late_us: int
    boundary: Boundary | None
    frame_rate: tuple[int, int] = (0, 1)
    sample_aspect: tuple[int, int] = (1, 1)


class Gap(NamedTuple):
    """A segment without media."""

    boundary: Boundary
    dts: int
    duration: int
    pdt_us: int


class _Finish:
    """Close the open segment: no frame follows for now."""


class _Stop:
    """End the thread."""


class RungWorker:
    """Runs one rung's thread. `emit` and `failed` are called from it."""

    def __init__(
        self,
        rung: Rung,
        preset: str,
        segmenter: SegmenterConfig,
        position: RungPosition,
        emit: Callable[[Output], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self.rung = rung
        self.epoch = 0
        self.init = 0
        self.mark_discontinuity = False
        form = RungFormat(rung.width, rung.height, rung.bit_rate, rung.frame_rate, preset)
        self._encoder = Encoder(form)
        self._scaler = Scaler(rung.width, rung.height)
        self._config = segmenter
        self._segmenter: Segmenter | None = None
        self._position = position
        self._emit = emit
        self._failed = failed
        self._queue: queue.Queue[Picture | Gap | _Finish | _Stop] = queue.Queue(_QUEUE)
        self._thread = threading.Thread(target=self._run, name=f"rung-{rung.name}", daemon=True)
        self._encoding = False
        self._index = 0  # of the frame in its segment: which ones a halved rate drops
        self._source_sequence = 1
        self._sequence = 0
        self._late_us = 0
        self._working = True
        self.usage = Usage(0.0, 0.0)  # of its thread; replaced as a whole

    @property
    def config(self) -> bytes:
        """The rung's AVCDecoderConfigurationRecord: the same for every worker of the same rung."""
        return self._encoder.config

    def began(self, msn: int) -> bool:
        """Whether the log had some of this segment, not all, when the rung started."""
        last = self._position.last
        return last is not None and last.msn == msn and self._position.first_msn == msn

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def put(self, item: Picture | Gap) -> None:
        """Hands over a frame; waits while the rung is behind."""
        self._hand_over(item)

    def _hand_over(self, item: Picture | Gap | _Finish) -> None:
        while self._working:
            try:
                self._queue.put(item, timeout=0.2)
            except queue.Full:
                continue
            return

    def finish(self) -> None:
        """The open segment ends here."""
        self._hand_over(_Finish())

    def stop(self) -> None:
        """Ends the thread after what is queued."""
        while self._working and self._thread.is_alive():
            try:
                self._queue.put(_Stop(), timeout=0.2)
            except queue.Full:
                continue
            break
        if self._thread.is_alive():
            self._thread.join(5.0)

    def _run(self) -> None:
        try:
            while not isinstance(item := self._queue.get(), _Stop):
                self._handle(item)
        except Exception as error:  # noqa: BLE001 - root of the thread: the job decides what a failure means
            self._working = False
            self._failed(error)

    def _handle(self, item: Picture | Gap | _Finish) -> None:
        if isinstance(item, Picture):
            self._picture(item)
        elif isinstance(item, Gap):
            self._gap(item)
        elif self._segmenter is not None:
            self._send(self._segmenter.finish())

    def _picture(self, picture: Picture) -> None:
        boundary = picture.boundary
        if boundary is not None:
            if boundary.msn < self._position.first_msn:
                return
            self._index = 0
        elif self._segmenter is None:
            return
        segmenter = self._begin(boundary)
        halved = self._is_halved(picture)
        if halved and self._index % 2 == 0:
            return
        self._late_us = picture.late_us
        sample = self._encode(picture, boundary is not None, halved)
        if sample.data:
            self.usage = Usage(time.thread_time(), self.usage.media_s + sample.duration / VIDEO_TIMESCALE)
        msn = boundary.msn if boundary is not None else None
        discontinuity = boundary is not None and boundary.discontinuity
        if boundary is not None and self.mark_discontinuity:
            discontinuity, self.mark_discontinuity = True, False
        self._send(segmenter.push(sample, pdt_us=picture.pdt_us, msn=msn, discontinuity=discontinuity), boundary)

    def _begin(self, boundary: Boundary | None) -> Segmenter:
        if self._segmenter is None:
            msn = boundary.msn if boundary is not None else 0
            serial = self._position.first_serial(msn)
            self._segmenter = Segmenter(self._config, msn=msn, serial=serial)
        return self._segmenter

    def _is_halved(self, picture: Picture) -> bool:
        """Whether every second frame is left out, counted from the segment: the source is faster than the rung."""
        self._index += 1
        (numerator, denominator), (slow, per) = picture.frame_rate, self.rung.frame_rate
        return 0 < 4 * slow * denominator < 3 * numerator * per

    def _encode(self, picture: Picture, starts_segment: bool, halved: bool) -> Sample:
        """The sample of a frame; frames that the log already has are counted, not encoded."""
        duration = picture.duration * (2 if halved else 1)
        if picture.pts < self._position.end_dts:
            return Sample(picture.pts, duration, 0, starts_segment, b"")
        key = starts_segment or not self._encoding
        self._encoding = True
        encoded = self._encoder.encode(self._scaler.scale(picture.frame, picture.sample_aspect), key)
        if len(encoded) != 1 or encoded[0].pts != picture.pts:
            raise RuntimeError(f"the encoder gave {len(encoded)} access units for one frame")
        return Sample(picture.pts, duration, 0, encoded[0].key, encoded[0].data)

    def _gap(self, gap: Gap) -> None:
        if gap.boundary.msn < self._position.first_msn:
            return
        segmenter = self._begin(gap.boundary)
        self._send(segmenter.finish())
        if gap.boundary.msn < segmenter.next_msn:
            return
        self._source_sequence = gap.boundary.source_sequence
        self._send([segmenter.gap_segment(gap.boundary.msn, gap.dts, gap.duration, pdt_us=gap.pdt_us)])

    def _send(self, chunks: list[Chunk], boundary: Boundary | None = None) -> None:
        for chunk in chunks:
            if boundary is not None and chunk.msn == boundary.msn:
                self._source_sequence = boundary.source_sequence
                boundary = None
            if self._position.is_published(chunk.msn, chunk.part, chunk.chunk):
                continue
            self._sequence += 1
            data = fragment(1, self._sequence, chunk.dts, chunk.samples) if chunk.samples else b""
            header = chunk.header(epoch=self.epoch, init=self.init, late_us=self._late_us)
            self._emit(Output(self.rung.name, header, self._source_sequence, data))
        if boundary is not None:
            self._source_sequence = boundary.source_sequence
