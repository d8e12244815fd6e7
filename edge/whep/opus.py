"""Sound made Opus, once for all viewers of a broadcast: a thread of its own, times kept to the sample."""

import queue
import threading
from collections.abc import Callable
from fractions import Fraction
from typing import cast

import av
import av.error
from av.audio.codeccontext import AudioCodecContext
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.packet import Packet

from edge.protocols.fmp4 import Sample
from edge.whep.sound_packet import RATE, SoundForm, SoundPacket

FRAME = 960  # samples: 20 ms
_BIT_RATE = 128_000
_DELAY = 312  # samples by which what a decoder gives is behind what was encoded
_TOLERANCE = RATE // 50  # how far a run may drift from the source's times before it begins anew
_AHEAD = 50  # chunks
_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


class _Run:
    """Sound without a hole: a decoder, a resampler and an encoder that begin together."""

    def __init__(self, form: SoundForm) -> None:
        decoder, encoder = av.CodecContext.create(form.decoder, "r"), av.CodecContext.create("libopus", "w")
        if not isinstance(decoder, AudioCodecContext) or not isinstance(encoder, AudioCodecContext):
            raise TypeError("not audio codecs")
        if form.extradata:
            decoder.extradata = form.extradata
        decoder.sample_rate, decoder.layout = form.sample_rate, _LAYOUTS.get(form.channels, "stereo")
        encoder.sample_rate, encoder.layout, encoder.format = RATE, "stereo", "flt"
        encoder.bit_rate, encoder.time_base = _BIT_RATE, Fraction(1, RATE)
        encoder.options = {"frame_duration": "20", "application": "audio"}
        encoder.open()
        self._decoder, self._encoder = decoder, encoder
        self._resampler = AudioResampler(format="flt", layout="stereo", rate=RATE)
        self._fifo = AudioFifo()
        self._form = form
        self._next: int | None = None  # media time of the next packet
        self._expected = Fraction(0)  # media time of the next frame of the source, in samples

    def follows(self, sample: Sample) -> bool:
        """Whether an access unit goes on where the run is."""
        return self._next is None or abs(self._place(sample) - self._expected) <= _TOLERANCE

    def _place(self, sample: Sample) -> Fraction:
        return Fraction(sample.pts * RATE, self._form.timescale)

    def encode(self, sample: Sample) -> list[SoundPacket]:
        """The packets that an access unit completes. FFmpegError when it does not decode."""
        if self._next is None:
            self._next = round(self._place(sample)) - _DELAY
        self._expected = self._place(sample) + Fraction(sample.duration * RATE, self._form.timescale)
        found: list[SoundPacket] = []
        for frame in self._decoder.decode(cast("Packet[AudioStream]", Packet(bytes(sample.data)))):
            frame.pts = None  # the resampler is to count, not to mend
            for out in self._resampler.resample(frame):
                out.pts = None
                self._fifo.write(out)
        while (piece := self._fifo.read(FRAME)) is not None:
            found += self._packets(piece)
        return found

    def _packets(self, frame: AudioFrame) -> list[SoundPacket]:
        frame.pts = None
        found = []
        for packet in self._encoder.encode(frame):
            found.append(SoundPacket(self._next or 0, bytes(packet)))
            self._next = (self._next or 0) + FRAME
        return found


class OpusMaker:
    """`put` on the loop; `made` and `failed` are called from the thread."""

    def __init__(
        self,
        made: Callable[[list[SoundPacket]], None],
        damaged: Callable[[], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """`damaged`: an access unit does not decode; `failed`: the thread ended by an error."""
        self._made = made
        self._damaged = damaged
        self._failed = failed
        self._queue: queue.Queue[tuple[SoundForm, list[Sample]] | None] = queue.Queue(_AHEAD)
        self._thread = threading.Thread(target=self._run, name="opus", daemon=True)
        self._current: tuple[SoundForm, _Run] | None = None

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def put(self, form: SoundForm, samples: list[Sample]) -> bool:
        """A chunk to work on; False when the thread is too far behind and it was left out."""
        try:
            self._queue.put_nowait((form, samples))
        except queue.Full:
            return False
        return True

    def stop(self) -> None:
        """Ends the thread; what is queued is left. Blocks until it has ended."""
        while True:
            try:
                self._queue.put_nowait(None)
                break
            except queue.Full:
                try:
                    self._queue.get_nowait()
                except queue.Empty:
                    continue
        self._thread.join(5.0)

    def _run(self) -> None:
        try:
            while (item := self._queue.get()) is not None:
                packets = [packet for sample in item[1] for packet in self._encode(item[0], sample)]
                if packets:
                    self._made(packets)
        except Exception as error:  # noqa: BLE001 - root of the thread: the role decides what a failure means
            self._failed(error)

    def _encode(self, form: SoundForm, sample: Sample) -> list[SoundPacket]:
        if self._current is None or self._current[0] != form or not self._current[1].follows(sample):
            self._current = form, _Run(form)
        try:
            return self._current[1].encode(sample)
        except av.error.FFmpegError:
            self._damaged()
            return []
