"""One rung: a thread that scales, encodes, cuts and packages the frames it is given.

A player decodes a segment with one initialisation segment, and learns of another one at a discontinuity, which
has to be in every rendition at the same segment. So when the parameter sets change, in mid-broadcast or after a
take-over, the announcement of the new initialisation segment names the segment that it begins with: one that no
rendition has begun. Frames until there are declared missing, as GAP parts: parts come as usual and the times of
the playlist stay true, players go to another rendition meanwhile.
"""

import queue
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from appliance.contracts.media import VIDEO_TIMESCALE, ChunkFlag
from appliance.runtime.metrics import counter
from edge.media.ladder import Rung
from edge.media.segmenter import Chunk, Segmenter
from edge.media.segmenter_config import SegmenterConfig
from edge.protocols.fmp4 import Sample, fragment
from edge.transcode.chunks import Boundary, Output
from edge.transcode.control import Usage
from edge.transcode.encoding import Done, Picture, RungEncoder
from edge.transcode.engines.base import EngineError
from edge.transcode.engines.lineup import Lineup
from edge.transcode.resume import RungPosition

_MOST_STEP = 16
_QUEUE = 2  # frames between decoder and rung, 3 MB each in 1080p: beyond it the decoder waits
_MISSING = counter("nearcast_transcode_frames_missing_total", "Frames left out until another engine can go on.")


class Gap(NamedTuple):
    """A segment without media."""

    boundary: Boundary
    dts: int
    duration: int
    pdt_us: int


class Missing(NamedTuple):
    """A part that the source has no pictures for. `boundary` when it starts a segment."""

    boundary: Boundary | None
    pts: int
    duration: int
    pdt_us: int
    late_us: int


class InitUse(NamedTuple):
    """Initialisation segment `init` serves from segment `from_msn` on, `before` decodes what is older."""

    init: int
    from_msn: int = 0
    before: int = 0


class _Finish:
    """Close the open segment: no frame follows for now."""


class _Stop:
    """End the thread."""


class RungWorker:
    """Runs one rung's thread. `emit`, `change` and `failed` are called from it.

    `change` announces the initialisation segment of another decoder configuration.
    """

    def __init__(
        self,
        rung: Rung,
        lineup: Lineup,
        segmenter: SegmenterConfig,
        position: RungPosition,
        emit: Callable[[Output], None],
        failed: Callable[[BaseException], None],
        change: Callable[[bytes], InitUse] | None = None,
    ) -> None:
        """Opens the engine, which blocks. EngineError when none opens."""
        self.rung = rung
        self.epoch = 0
        self.use = InitUse(0)
        self._encoder = RungEncoder(lineup, self._changed)
        self._config = segmenter
        self._segmenter: Segmenter | None = None
        self._position = position
        self._emit = emit
        self._failed = failed
        self._change = change
        self._queue: queue.Queue[Picture | Missing | Gap | _Finish | _Stop] = queue.Queue(_QUEUE)
        self._thread = threading.Thread(target=self._run, name=f"rung-{rung.name}", daemon=True)
        self._encoding = False
        self._last_pts = 0  # of the frame encoded last
        self._msn = 0  # of the segment that the frame at hand belongs to
        self._index = 0  # of the frame in its segment: which ones a slower rung leaves out
        self._source_sequence = 1
        self._sequence = 0
        self._late_us = 0
        self._working = True
        self.usage = Usage(0.0, 0.0)  # of its thread; replaced as a whole

    @property
    def config(self) -> bytes:
        """The rung's AVCDecoderConfigurationRecord: the same for every worker with the same engine."""
        return self._encoder.config

    @property
    def on_card(self) -> bool:
        """Whether its encoder of now takes pictures on a graphics card. From any thread."""
        return self._encoder.on_card

    def began(self, msn: int) -> bool:
        """Whether the log had pictures of this segment, not all, when the rung started."""
        last = self._position.last
        begun = last is not None and last.msn == msn and self._position.first_msn == msn
        return begun and last is not None and not last.flags & ChunkFlag.GAP

    def has(self, msn: int, pts: int) -> bool:
        """Whether the log had the frame at `pts` of this segment when the rung started."""
        return msn < self._position.first_msn or self._position.has_frame(msn, pts)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def put(self, item: Picture | Missing | Gap) -> None:
        """Hands over a frame; waits while the rung is behind."""
        self._hand_over(item)

    def finish(self) -> None:
        """The open segment ends here."""
        self._hand_over(_Finish())

    def _hand_over(self, item: Picture | Missing | Gap | _Finish | _Stop) -> None:
        while self._working:
            try:
                self._queue.put(item, timeout=0.2)
            except queue.Full:
                continue
            return

    def stop(self) -> None:
        """Ends the thread after what is queued."""
        if self._thread.is_alive():
            self._hand_over(_Stop())
        if self._thread.is_alive():
            self._thread.join(5.0)

    def close(self) -> None:
        """Gives the engine back. For a worker that was never started, or has ended."""
        self._encoder.close()

    def _run(self) -> None:
        try:
            while not isinstance(item := self._queue.get(), _Stop):
                self._handle(item)
        except Exception as error:  # noqa: BLE001 - root of the thread: the job decides what a failure means
            self._working = False
            self._failed(error)
        finally:
            self.close()

    def _handle(self, item: Picture | Missing | Gap | _Finish) -> None:
        if isinstance(item, Picture):
            self._picture(item)
        elif isinstance(item, Missing):
            self._missing(item)
        elif isinstance(item, Gap):
            self._gap(item)
        elif self._segmenter is not None:
            self._drain()
            self._send(self._segmenter.finish())

    def _picture(self, picture: Picture) -> None:
        boundary = picture.boundary
        if not self._enters(boundary):
            return
        step, index = self._step(picture), self._index
        self._index += 1
        if index % step:
            return
        if step > 1:
            picture = picture._replace(duration=step * picture.duration)
        if picture.frame is None:
            if self._encoding:
                self._drain()
            self._push(Done(picture, None))
            return
        if self._is_left_out(picture):
            self._push(Done(picture, None))
            return
        key = boundary is not None or not self._encoding or self._is_behind_a_hole(picture)
        self._encoding = True
        self._last_pts = picture.pts
        for done in self._encoder.encode(picture, key):
            self._push(done)

    def _enters(self, boundary: Boundary | None) -> bool:
        """Whether what comes belongs to a segment that is still to be made."""
        if boundary is not None:
            if boundary.msn < self._position.first_msn:
                return False
            self._index = 0
            self._msn = boundary.msn
        elif self._segmenter is None:
            return False
        self._begin(boundary)
        return True

    def _missing(self, missing: Missing) -> None:
        if not self._enters(missing.boundary):
            return
        self._drain()
        boundary, pts, duration, pdt_us, late_us = missing
        self._push(Done(Picture(None, pts, duration, pdt_us, late_us, boundary), None))
        self._send(self._begin(boundary).close_part(0))  # a picture that follows is in a part of its own

    def _is_left_out(self, picture: Picture) -> bool:
        """The log has it, or it cannot be decoded with its segment. A GOP that is reordered is made as a whole."""
        if self._msn < self.use.from_msn:
            return True
        return not self._encoder.reorder_delay and self._position.has_frame(self._msn, picture.pts)

    def _is_behind_a_hole(self, picture: Picture) -> bool:
        """Whether reordered frames would be shown before they are decoded, so far is it from the one before."""
        delay = self._encoder.reorder_delay
        return 0 < delay < picture.pts - self._last_pts

    def _push(self, done: Done) -> None:
        """Frames without an access unit are counted, so that parts are cut where every worker cuts them."""
        picture, unit = done
        boundary = picture.boundary
        segmenter = self._begin(boundary)
        self._late_us = picture.late_us
        msn, discontinuity = None, False
        if boundary is not None:
            msn = boundary.msn
            discontinuity = boundary.discontinuity or 0 < msn == self.use.from_msn
        if unit is not None:
            self.usage = Usage(time.thread_time(), self.usage.media_s + picture.duration / VIDEO_TIMESCALE)
        key, data = (unit.key, unit.data) if unit is not None else (False, b"")
        dts = picture.pts - self._encoder.reorder_delay
        cts = unit.pts - dts if unit is not None else 0
        sample = Sample(dts, picture.duration, cts, key, data)
        self._send(segmenter.push(sample, pdt_us=picture.pdt_us, msn=msn, discontinuity=discontinuity), boundary)

    def _begin(self, boundary: Boundary | None) -> Segmenter:
        if self._segmenter is None:
            msn = boundary.msn if boundary is not None else 0
            serial = self._position.first_serial(msn)
            self._segmenter = Segmenter(self._config, msn=msn, serial=serial)
        return self._segmenter

    def _step(self, picture: Picture) -> int:
        """One of so many frames is encoded, counted from the segment: the source is faster than the rung."""
        (numerator, denominator), (slow, per) = picture.frame_rate, self.rung.frame_rate
        step = 1
        while step < _MOST_STEP and 0 < 4 * slow * denominator * step < 3 * numerator * per:
            step *= 2
        return step

    def _drain(self) -> None:
        for done in self._encoder.drain():
            self._push(done)
        self._encoding = False

    def _changed(self, config: bytes) -> None:
        """Another engine goes on with other parameter sets. UnavailableError when that cannot be announced."""
        if self._change is None:
            raise EngineError("the parameter sets have changed and nobody announces it")
        self.use = self._change(config)
        self._encoding = False

    def _gap(self, gap: Gap) -> None:
        if gap.boundary.msn < self._position.first_msn:
            return
        self._drain()
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
            self._emit(self._output(chunk))
        if boundary is not None:
            self._source_sequence = boundary.source_sequence

    def _output(self, chunk: Chunk) -> Output:
        """A part with a missing frame is a GAP part: what follows the frame could not be decoded."""
        data = b""
        if not all(sample.data for sample in chunk.samples):
            if chunk.msn < self.use.from_msn:
                _MISSING.inc(len(chunk.samples))
            flags = (chunk.flags | ChunkFlag.GAP) & ~ChunkFlag.INDEPENDENT
            chunk = chunk._replace(flags=flags)
        elif chunk.samples:
            self._sequence += 1
            data = fragment(1, self._sequence, chunk.samples[0].dts, chunk.samples)
        init = self.use.init if chunk.msn >= self.use.from_msn else self.use.before
        header = chunk.header(epoch=self.epoch, init=init, late_us=self._late_us)
        return Output(self.rung.name, header, self._source_sequence, data)
