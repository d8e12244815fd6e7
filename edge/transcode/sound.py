"""Sound decoded, resampled and encoded again, each sample at its place in absolute media time.

Positions count samples at 48 kHz from the broadcast's zero, the same as ticks of the AAC rendition.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple, cast

import av
import av.error
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.packet import Packet

from appliance.runtime.metrics import counter
from edge.protocols.fmp4 import Sample
from edge.transcode.forms import AudioForm

RATE = 48_000
FRAME = 1024  # samples of an AAC-LC access unit
BIT_RATE = 160_000  # stereo; half of it for one channel
SAMPLE_BYTES = 4  # planar float, one plane per channel
_TOLERANCE = RATE // 500  # how far a run may drift from the source's times before it is placed anew
_GLOBAL_HEADER = 1 << 22
_ERRORS = counter("nearcast_transcode_sound_errors_total", "Audio frames that could not be decoded.")


class Pcm(NamedTuple):
    """Samples that follow each other, one plane of floats per channel."""

    position: int
    planes: list[bytes]

    @property
    def end(self) -> int:
        """Position behind the last sample."""
        return self.position + len(self.planes[0]) // SAMPLE_BYTES


class SoundDecoder:
    """One configuration of the source. Used by one thread.

    Frames whose times follow each other are one run through the resampler, so nothing is lost between them;
    where a time does not follow, the run is flushed and the next begins exactly where the source says.
    """

    def __init__(self, form: AudioForm, channels: int) -> None:
        """`channels` of the output, 1 or 2: more are mixed down."""
        decoder = av.CodecContext.create(form.decoder, "r")
        if not isinstance(decoder, AudioCodecContext):
            raise TypeError(f"{form.decoder} is not an audio decoder")
        if form.extradata:
            decoder.extradata = form.extradata
        decoder.sample_rate = form.sample_rate
        decoder.layout = _LAYOUTS.get(form.channels, "stereo")
        decoder.thread_count = 1
        self._decoder = decoder
        self._form = form
        self._layout = _LAYOUTS[channels]
        self._resampler: AudioResampler | None = None
        self._at = 0  # position of the resampler's next output
        self._expected = Fraction(0)  # position of the next input

    def decode(self, sample: Sample) -> Iterator[Pcm]:
        """What an access unit completes, in order."""
        packet = Packet(bytes(sample.data))
        packet.pts = packet.dts = sample.pts
        packet.time_base = Fraction(1, self._form.timescale)
        try:
            frames = self._decoder.decode(cast("Packet[AudioStream]", packet))  # generic only in its stubs
        except av.error.FFmpegError:
            _ERRORS.inc()
            return
        for frame in frames:
            yield from self._frame(frame, sample.pts)

    def flush(self) -> Iterator[Pcm]:
        """What the resampler still holds; the next frame begins a run."""
        if self._resampler is None:
            return
        resampler, self._resampler = self._resampler, None
        yield from self._taken(resampler, None)

    def _frame(self, frame: AudioFrame, packet_pts: int) -> Iterator[Pcm]:
        pts = packet_pts if frame.pts is None else frame.pts
        position = Fraction(pts * RATE, self._form.timescale)
        if self._resampler is None or abs(position - self._expected) > _TOLERANCE:
            yield from self.flush()
            self._resampler = AudioResampler(format="fltp", layout=self._layout, rate=RATE)
            self._at = round(position)
            self._expected = position
        self._expected += Fraction(frame.samples * RATE, frame.sample_rate)
        frame.pts = None  # the resampler is to count, not to mend
        yield from self._taken(self._resampler, frame)

    def _taken(self, resampler: AudioResampler, frame: AudioFrame | None) -> Iterator[Pcm]:
        for out in resampler.resample(frame):
            size = out.samples * SAMPLE_BYTES
            if not size:
                continue
            pcm = Pcm(self._at, [bytes(plane)[:size] for plane in out.planes])
            self._at = pcm.end
            yield pcm


_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


class AacFrame(NamedTuple):
    """An access unit. `position` of its first sample, a multiple of FRAME."""

    position: int
    data: bytes


class AacEncoder:
    """AAC-LC of absolute frames: access unit k holds samples [k * FRAME, (k + 1) * FRAME).

    The encoder's priming (one frame before the first) is dropped, so positions are those of the sound itself.
    """

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._context = self._open()
        self._first: int | None = None

    @property
    def config(self) -> bytes:
        """The AudioSpecificConfig: the same for every worker."""
        return bytes(self._context.extradata or b"")

    def encode(self, position: int, planes: list[bytes]) -> list[AacFrame]:
        """FRAME samples per plane at `position`, which follows the last; access units come two frames later."""
        frame = AudioFrame("fltp", _LAYOUTS[self._channels], FRAME)
        for plane, data in zip(frame.planes, planes, strict=True):
            plane.update(data)
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), position
        if self._first is None:
            self._first = position
        return self._units(frame)

    def finish(self) -> list[AacFrame]:
        """The access units still held; what is encoded next begins anew, anywhere."""
        if self._first is None:
            return []
        units = self._units(None)
        self._context, self._first = self._open(), None
        return units

    def _units(self, frame: AudioFrame | None) -> list[AacFrame]:
        first = self._first or 0
        return [
            AacFrame(packet.pts, bytes(packet))
            for packet in self._context.encode(frame)
            if packet.pts is not None and packet.pts >= first
        ]

    def _open(self) -> AudioCodecContext:
        context = av.CodecContext.create("aac", "w")
        if not isinstance(context, AudioCodecContext):
            raise TypeError("aac is not an audio encoder")
        context.sample_rate, context.layout, context.format = RATE, _LAYOUTS[self._channels], "fltp"
        context.bit_rate = BIT_RATE * self._channels // 2
        context.time_base = Fraction(1, RATE)
        context.thread_count = 1
        context.flags |= _GLOBAL_HEADER
        context.open()
        return context
