"""Decode once, encode each rung: the threads of one broadcast.

The event loop puts source chunks in, rungs put finished chunks out through `emit`, which is called from
their threads. Every queue between threads is bounded: a slow rung slows the decoder, a slow decoder the
reader of the log. Nothing is dropped.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from av.video.frame import VideoFrame

from appliance.contracts.media import VIDEO_TIMESCALE, ChunkFlag, ChunkHeader
from appliance.runtime.metrics import counter
from edge.media.late_pictures import UNSEEN
from edge.media.segmenter import unled
from edge.protocols.fmp4 import Sample, read_fragments
from edge.transcode.asleep import Asleep
from edge.transcode.awaited import Awaited, Times
from edge.transcode.chunks import Boundary, SourceChunk
from edge.transcode.control import DECODE, RungControl, Usage
from edge.transcode.decoders.base import Card, Decoded, video_packet
from edge.transcode.decoders.decoding import Decoding
from edge.transcode.encoding import Picture
from edge.transcode.engines.base import TIME_BASE
from edge.transcode.fan_out import FanOut
from edge.transcode.forms import VideoForm
from edge.transcode.rung import Gap, Missing, RungWorker

_FRAMES = counter("nearcast_transcode_frames_total", "Frames decoded.")
_MAX_STARTS = 64  # segments, far more than a decoder holds pictures of
_US = 1_000_000


class _Start(NamedTuple):
    """Where a segment starts: its first frame's presentation time, 90 kHz ticks, and wall clock."""

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
        control: RungControl | None = None,
        ended: Callable[[], None] | None = None,
        offer: Callable[[VideoFrame, tuple[int, int], int], None] | None = None,
        card: Card | None = None,
    ) -> None:
        """`ended` is called from the decode thread once `control` has ended the work where segments meet.

        `offer` is shown each frame that starts a segment, its sample aspect and wall clock; it must not wait.
        `card` decodes where an encoder takes pictures on it.
        """
        self._offer = offer
        self._rungs = rungs
        self._taken = taken
        self._failed = failed
        self._control = control or RungControl()
        self._fan_out = FanOut(rungs, self._control)
        self._ended = ended
        self._is_over = False
        self._queue: queue.SimpleQueue[SourceChunk | _Drain | _Stop] = queue.SimpleQueue()  # reader bounds it
        self._thread = threading.Thread(target=self._run, name="decode", daemon=True)
        self._decoding = Decoding(card)
        self._form: VideoForm | None = None
        self._needs_key = True  # nothing decodes before a key frame
        self._key_sequence = 0  # stream sequence of the chunk with the last key frame
        self._awaited = Awaited()
        self._starts: deque[_Start] = deque(maxlen=_MAX_STARTS)  # segments of which no frame has come out yet
        self._rests = False  # no rung wants frames: nothing is decoded
        self._asleep = Asleep()
        self._reorder = 0  # ticks by which the last segment's first frame is shown later than it is decoded
        self._gone_until = 0  # the source has no pictures up to here: they were told as missing
        self._media_s = 0.0
        self._usage = Usage(0.0, 0.0)

    def start(self) -> None:
        """Begins."""
        for rung in self._rungs:
            rung.start()
        self._thread.start()

    def usage(self) -> dict[str, Usage]:
        """What each thread has used so far: the decoder and each rung by its name. From any thread."""
        return {DECODE: self._usage} | {rung.rung.name: rung.usage for rung in self._rungs}

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
                if not isinstance(item, _Drain):
                    self._chunk(item)
                    self._taken()
                elif not self._is_over:
                    self._flush()
                    self._fan_out.finish()
        except Exception as error:  # noqa: BLE001 - root of the thread: the job decides what a failure means
            self._failed(error)

    def _chunk(self, chunk: SourceChunk) -> None:
        header = chunk.header
        if self._is_over:
            return
        if header.is_gap_segment:
            self._source_gap(chunk)
            return
        if header.flags & ChunkFlag.GAP:
            self._source_missing(chunk)
            return
        if not chunk.data or not isinstance(chunk.form, VideoForm):
            return
        samples = unled([sample for piece in read_fragments(chunk.data) for sample in piece.samples], header.lead)
        start = self._start_of(chunk, samples)
        if start is not None:
            self._rest_or_wake(start, is_key=samples[0].key)
        if self._rests:
            self._rest(samples, chunk.form, start, header)
            return
        self._decode_all(samples, chunk.form, start, header)
        self._control.damaged += self._awaited.take_damaged()
        self._media_s += sum(sample.duration for sample in samples) / VIDEO_TIMESCALE
        self._usage = Usage(time.thread_time(), self._media_s)

    def _source_missing(self, chunk: SourceChunk) -> None:
        """A part without pictures. What comes behind it may refer to what the decoder has: that goes on.

        What it holds back is too late when it comes out.
        """
        header, boundary = chunk.header, None
        pts = header.dts + self._reorder
        if not (header.part or header.chunk):
            self._start_until(pts, everything=True)
            self._key_sequence = chunk.sequence
            boundary = Boundary(header.msn, chunk.sequence, bool(header.flags & ChunkFlag.DISCONTINUITY))
            if self._control.ends and not self._is_over:
                self._end_here()
            if self._rests and not self._fan_out.is_resting:
                self._recall(header.msn)
        if not self._is_over:
            self._gone_until = pts + header.duration
            self._awaited.forget(self._gone_until)
            self._fan_out.missing(Missing(boundary, pts, header.duration, header.pdt_us, header.late_us))

    def _source_gap(self, chunk: SourceChunk) -> None:
        header = chunk.header
        self._flush()
        if self._is_over:
            return
        self._start_until(header.dts, everything=True)
        boundary = Boundary(header.msn, chunk.sequence, bool(header.flags & ChunkFlag.DISCONTINUITY))
        if self._control.ends:
            self._end_here()
        else:
            self._gap(Gap(boundary, header.dts, header.duration, header.pdt_us))

    def _rest(self, samples: list[Sample], form: VideoForm, start: _Start | None, header: ChunkHeader) -> None:
        """The times of frames that nobody wants: in the order of decoding, each when it could be shown."""
        if self._is_over:
            return
        self._asleep.keep(samples, form)
        for sample in samples:
            if sample.duration <= UNSEEN:
                continue
            pts = sample.dts + self._reorder
            pdt_us = header.pdt_us + (pts - samples[0].pts) * _US // TIME_BASE.denominator
            boundary, start = start.boundary if start is not None else None, None
            self._fan_out.put(
                Picture(None, pts, sample.duration, pdt_us, header.late_us, boundary, form.frame_rate)
            )

    def _recall(self, msn: int) -> None:
        """A rung runs again while the source has no pictures: the last one is decoded, to be shown on."""
        form, samples = self._asleep.form, self._asleep.take()
        if form is None:
            return
        self._rests = False
        self._form, self._needs_key = form, False
        self._decoding.open(form, self._fan_out.wanted(msn))
        for sample in samples:
            packet = video_packet(bytes(sample.data), sample.pts, sample.dts, key=sample.key)
            for decoded in self._decoding.decode(packet):
                decoded.frame.time_base = TIME_BASE
                self._fan_out.recall(self._picture(decoded, Times(sample.duration, 0, 0), None))

    def _start_of(self, chunk: SourceChunk, samples: list[Sample]) -> _Start | None:
        """The segment that this chunk starts."""
        header, before = chunk.header, self._key_sequence
        if any(sample.key for sample in samples):
            self._key_sequence = chunk.sequence
        if header.part or header.chunk:
            return None
        begins = chunk.sequence if samples[0].key or not before else before
        discontinuity = bool(header.flags & ChunkFlag.DISCONTINUITY)
        first = samples[0]
        if first.duration > UNSEEN:
            self._reorder = first.pts - first.dts
        return _Start(Boundary(header.msn, begins, discontinuity), first.pts, header.pdt_us)

    def _rest_or_wake(self, start: _Start, *, is_key: bool) -> None:
        """At each segment: decoding rests while no rung wants frames, and begins again with a key frame."""
        rested, self._rests = self._rests, self._fan_out.is_resting or (self._rests and not is_key)
        if not self._rests:
            self._asleep.forget()
            return
        if not rested:
            self._flush()
            self._start_until(start.pts, everything=True)
        if self._control.ends and not self._is_over:
            self._end_here()

    def _decode_all(
        self, samples: list[Sample], form: VideoForm, start: _Start | None, header: ChunkHeader
    ) -> None:
        if form != self._form or not self._decoding.is_open:
            self._flush()
            self._form, self._needs_key = form, True
            self._decoding.open(form, self._fan_out.wanted(header.msn))
        elif start is not None:
            self._decoding.want(self._fan_out.wanted(header.msn))
        if start is not None:
            self._starts.append(start)
        for sample in samples:
            self._sample(sample, samples[0], header)

    def _end_here(self) -> None:
        """A successor goes on from the segment that starts here."""
        self._is_over = True
        self._fan_out.finish()
        if self._ended is not None:
            self._ended()

    def _sample(self, sample: Sample, first: Sample, header: ChunkHeader) -> None:
        if self._needs_key and not sample.key:
            return
        self._needs_key = False
        pdt_us = header.pdt_us + (sample.pts - first.pts) * _US // TIME_BASE.denominator
        self._awaited.add(sample.pts, Times(sample.duration, pdt_us, header.late_us))
        packet = video_packet(bytes(sample.data), sample.pts, sample.dts, key=sample.key)
        for decoded in self._decoding.decode(packet):
            self._frame(decoded)

    def _frame(self, decoded: Decoded) -> None:
        frame = decoded.frame
        times = self._awaited.take(frame)
        if times is None or frame.pts is None or frame.pts < self._gone_until or times.duration <= UNSEEN:
            return
        frame.time_base = TIME_BASE
        boundary = self._start_until(frame.pts)
        if boundary is not None and self._control.ends and not self._is_over:
            self._end_here()
        if self._is_over:
            return
        _FRAMES.inc()
        picture = self._picture(decoded, times, boundary)
        if boundary is not None and self._offer is not None:
            self._offer(frame, picture.sample_aspect, times.pdt_us)
        self._fan_out.put(picture)

    def _picture(self, decoded: Decoded, times: Times, boundary: Boundary | None) -> Picture:
        form = self._form or VideoForm("", b"")
        sample_aspect = form.sample_aspect if decoded.scaled is None else (1, 1)
        return Picture(
            decoded.frame, decoded.frame.pts or 0, times.duration, times.pdt_us, times.late_us, boundary,
            form.frame_rate, sample_aspect, decoded.scaled,
        )  # fmt: skip

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
        self._fan_out.gap(gap)

    def _flush(self) -> None:
        """Every frame the decoder still holds; the next chunk opens it anew."""
        for decoded in self._decoding.flush():
            self._frame(decoded)
        self._awaited.end()
        self._control.damaged += self._awaited.take_damaged()
