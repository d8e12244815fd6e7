"""The sound's thread: decodes, resamples, encodes AAC, cuts at the source's segments and packages."""

import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from appliance.contracts.media import AUDIO_AAC, ChunkFlag
from edge.media.segmenter import Chunk, Segmenter
from edge.media.segmenter_config import SegmenterConfig
from edge.protocols.fmp4 import Sample, fragment, read_fragments
from edge.transcode.chunks import Output, SourceChunk
from edge.transcode.forms import AudioForm
from edge.transcode.grid import Grid, GridFrame
from edge.transcode.resume import RungPosition
from edge.transcode.sound import FRAME, RATE, AacEncoder, AacFrame, SoundDecoder

_WARM_UP = 8 * FRAME  # sound before a segment that a successor decodes and encodes first
_US = 1_000_000
_KEPT = 64  # source chunks whose places are remembered, and segments that may be waiting


class _Start(NamedTuple):
    """A segment of the source that no frame of ours has begun yet. A gap when it has a duration."""

    msn: int
    position: int
    discontinuity: bool
    source_sequence: int
    pdt_us: int
    gap: int = 0


class _Drain:
    """The source paused: everything held comes out and the segment ends."""


class _Stop:
    """End the thread."""


class AudioPipeline:
    """Makes rendition "aac" of rendition "audio". `taken` is called for each chunk that is worked off.

    A successor reads from SOURCE_SEQUENCE of the last chunk in the log, which lies a few frames before that
    chunk's segment, and encodes everything from there on; what the log has is not appended again. The frames
    are those of a fixed grid, so none is lost and none is doubled. Only the quantisation at the seam can
    differ: the two encoders' windows agree again after the frames of the warm-up.
    """

    def __init__(
        self,
        segmenter: SegmenterConfig,
        timescale: int,
        channels: int,
        position: RungPosition,
        emit: Callable[[Output], None],
        taken: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """`timescale` is the source's. Everything to call is called from the thread."""
        self.epoch = 0
        self.init = 0
        self.mark_discontinuity = False
        self._config = segmenter
        self._timescale = timescale
        self._channels = channels
        self._position = position
        self._emit = emit
        self._taken = taken
        self._failed = failed
        self._queue: queue.SimpleQueue[SourceChunk | _Drain | _Stop] = queue.SimpleQueue()  # reader bounds it
        self._thread = threading.Thread(target=self._run, name="sound", daemon=True)
        self._form: AudioForm | None = None
        self._decoder: SoundDecoder | None = None
        self._grid = Grid(channels)
        self._encoder = AacEncoder(channels)
        self._segmenter: Segmenter | None = None
        self._starts: deque[_Start] = deque(maxlen=_KEPT)
        self._places: deque[tuple[int, int]] = deque(maxlen=_KEPT)  # (position, stream sequence) of chunks
        self._anchor = (0, 0)  # position and wall clock of the newest chunk
        self._runs: set[int] = set()  # positions of frames that begin a run and are in the encoder
        self._source_sequence = 1
        self._sequence = 0
        self._late_us = 0

    @property
    def config(self) -> bytes:
        """The AudioSpecificConfig."""
        return self._encoder.config

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def put(self, chunk: SourceChunk) -> None:
        """Hands over a chunk; the caller keeps no more than a few beyond what `taken` told."""
        self._queue.put(chunk)

    def drain(self) -> None:
        """The source has paused or ended."""
        self._queue.put(_Drain())

    def stop(self) -> None:
        """Ends the thread after what is queued. Blocks until it has ended."""
        self._queue.put(_Stop())
        self._thread.join(10.0)

    def _run(self) -> None:
        try:
            while not isinstance(item := self._queue.get(), _Stop):
                if isinstance(item, _Drain):
                    self._finish()
                else:
                    self._chunk(item)
                    self._taken()
        except Exception as error:  # noqa: BLE001 - root of the thread: the job decides what a failure means
            self._failed(error)

    def _chunk(self, chunk: SourceChunk) -> None:
        header = chunk.header
        if header.flags & ChunkFlag.GAP:
            self._gap(chunk)
            return
        if not chunk.data or not isinstance(chunk.form, AudioForm):
            return
        position = _at(header.dts, self._timescale)
        if header.part == 0 and header.chunk == 0:
            self._starts.append(self._start_of(chunk, position))
        self._places.append((position, chunk.sequence))
        self._anchor = (position, header.pdt_us)
        self._late_us = header.late_us
        if chunk.form != self._form or self._decoder is None:
            self._flush_decoder()
            self._decoder, self._form = SoundDecoder(chunk.form, self._channels), chunk.form
        for piece in read_fragments(chunk.data):
            for sample in piece.samples:
                for pcm in self._decoder.decode(sample):
                    self._encode(self._grid.push(pcm))

    def _start_of(self, chunk: SourceChunk, position: int, gap: int = 0) -> _Start:
        header = chunk.header
        sequence = chunk.sequence
        for place, earlier in reversed(self._places):
            sequence = earlier
            if place <= position - _WARM_UP:
                break
        flagged = bool(header.flags & ChunkFlag.DISCONTINUITY)
        return _Start(header.msn, position, flagged, sequence, header.pdt_us, gap)

    def _gap(self, chunk: SourceChunk) -> None:
        """A segment without sound: what came before it is finished, then it is written as it is."""
        self._flush()
        timescale = self._timescale
        header = chunk.header
        start, end = _at(header.dts, timescale), _at(header.dts + header.duration, timescale)
        self._starts.append(self._start_of(chunk, start, max(1, end - start)))
        self._places.clear()
        self._begin_segments(end, run_start=True)

    def _finish(self) -> None:
        self._flush()
        if self._segmenter is not None:
            self._send(self._segmenter.finish())

    def _flush(self) -> None:
        self._flush_decoder()
        self._decoder = None
        self._encode(self._grid.finish())
        self._write(self._encoder.finish())

    def _flush_decoder(self) -> None:
        if self._decoder is not None:
            for pcm in self._decoder.flush():
                self._encode(self._grid.push(pcm))

    def _encode(self, frames: list[GridFrame]) -> None:
        for frame in frames:
            if frame.is_run_start:
                self._write(self._encoder.finish())
                self._runs.add(frame.position)
            self._write(self._encoder.encode(frame.position, frame.planes))

    def _write(self, units: list[AacFrame]) -> None:
        for unit in units:
            run_start = unit.position in self._runs
            self._runs.discard(unit.position)
            start = self._begin_segments(unit.position, run_start=run_start)
            segmenter = self._segmenter
            if segmenter is None:
                continue  # before the first segment, or the warm-up of a successor
            sample = Sample(unit.position, FRAME, 0, True, unit.data)
            pdt_us = self._pdt_us(unit.position)
            if start is None:
                self._send(segmenter.push(sample, pdt_us=pdt_us))
                continue
            discontinuity = start.discontinuity or self.mark_discontinuity
            self.mark_discontinuity = False
            chunks = segmenter.push(sample, pdt_us=pdt_us, msn=start.msn, discontinuity=discontinuity)
            self._send(chunks, start)

    def _begin_segments(self, position: int, *, run_start: bool) -> _Start | None:
        """The segment that begins with the frame at `position`; those that no frame is for become gaps.

        A segment begins with the first frame that begins in it; one that begins a run may begin before it.
        """
        begun: _Start | None = None
        reach = position + FRAME - 1 if run_start else position
        while self._starts and self._starts[0].position <= reach:
            following = self._starts.popleft()
            if begun is not None:
                self._empty(begun, following.position)
            begun = following
            if begun.gap:
                self._empty(begun, begun.position + begun.gap)
                begun = None
        if begun is None or begun.msn < self._position.first_msn:
            return None
        if self._segmenter is None:
            self._segmenter = self._segmenter_at(begun.msn)
        return begun

    def _empty(self, start: _Start, until: int) -> None:
        if start.msn < self._position.first_msn:
            return
        if self._segmenter is None:
            self._segmenter = self._segmenter_at(start.msn)
        segmenter = self._segmenter
        self._send(segmenter.finish())
        if start.msn < segmenter.next_msn:
            return
        self._source_sequence = start.source_sequence
        dts = max(start.position, segmenter.end_dts)
        duration = max(1, until - dts)
        self._send([segmenter.gap_segment(start.msn, dts, duration, pdt_us=start.pdt_us)])

    def _segmenter_at(self, msn: int) -> Segmenter:
        return Segmenter(self._config, msn=msn, serial=self._position.first_serial(msn))

    def _pdt_us(self, position: int) -> int:
        place, pdt_us = self._anchor
        return pdt_us + (position - place) * _US // RATE

    def _send(self, chunks: list[Chunk], start: _Start | None = None) -> None:
        for chunk in chunks:
            if start is not None and chunk.msn == start.msn:
                self._source_sequence, start = start.source_sequence, None
            if self._position.is_published(chunk.msn, chunk.part, chunk.chunk):
                continue
            self._sequence += 1
            data = fragment(1, self._sequence, chunk.dts, chunk.samples) if chunk.samples else b""
            header = chunk.header(epoch=self.epoch, init=self.init, late_us=self._late_us)
            self._emit(Output(AUDIO_AAC, header, self._source_sequence, data))
        if start is not None:
            self._source_sequence = start.source_sequence


def _at(ticks: int, timescale: int) -> int:
    """Position of a source time, to the nearest sample."""
    return (2 * ticks * RATE + timescale) // (2 * timescale)
