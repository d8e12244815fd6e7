"""The sound of a broadcast on its way to its viewers: Opus as it came, or made of what came."""

import asyncio
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from appliance.contracts.errors import BadInputError
from appliance.contracts.media import Init
from edge.media.pacer import Pacer
from edge.protocols.codecs import opus
from edge.protocols.codecs.bits import CodecError
from edge.protocols.fmp4 import FragmentError, InitTrack, Sample, read_fragments, read_init
from edge.whep import metrics
from edge.whep.sound_packet import RATE, SoundForm, SoundPacket

if TYPE_CHECKING:
    from edge.whep.opus import OpusMaker

_DECODERS = {"mp4a": "aac", "Opus": "opus", "fLaC": "flac", "ac-3": "ac3", "ec-3": "eac3", ".mp3": "mp3float"}
_WITH_CONFIG = ("aac", "opus", "flac")


class SoundSink(Protocol):
    """A viewer."""

    def sound(self, packet: SoundPacket) -> None:
        """Sends a packet on; called on the loop."""


class SoundFeed:
    """Chunks of the rendition that was sent come in; used on the loop, `close` ends its thread."""

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self.viewers: set[SoundSink] = set()
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._pacer: Pacer[SoundPacket] = Pacer()
        self._timer: asyncio.TimerHandle | None = None
        self._maker: OpusMaker | None = None
        self._closed = False

    async def prepare(self, track: InitTrack) -> None:
        """To be called before `take`: loads FFmpeg's libraries where they are needed, and not on the loop."""
        if self._maker is None and not _is_passed_on(track):
            await asyncio.to_thread(importlib.import_module, "edge.whep.opus")

    def take(self, data: bytes, track: InitTrack) -> None:
        """The next chunk with media."""
        try:
            samples = [sample for piece in read_fragments(data) for sample in piece.samples]
        except FragmentError:
            metrics.DROPPED.labels("damaged_chunk").inc()
            return
        if _is_passed_on(track):
            self._arrived([SoundPacket(_at(sample, track), bytes(sample.data)) for sample in samples])
            return
        decoder = _DECODERS.get(track.entry)
        if decoder is None:
            metrics.DROPPED.labels("unknown_sound").inc()
            return
        extradata = track.config if decoder in _WITH_CONFIG else b""
        form = SoundForm(decoder, extradata, track.sample_rate, track.channels, track.timescale)
        if not self._made_by().put(form, [sample.replace(data=bytes(sample.data)) for sample in samples]):
            metrics.DROPPED.labels("late_sound").inc()

    def _made_by(self) -> "OpusMaker":
        if self._maker is None:
            # FFmpeg's libraries: 40 MB that a node without such viewers does not hold
            from edge.whep.opus import OpusMaker  # noqa: PLC0415

            self._maker = OpusMaker(self._on_made, metrics.DROPPED.labels("damaged_sound").inc, self._on_failed)
            self._maker.start()
        return self._maker

    def _on_made(self, packets: list[SoundPacket]) -> None:
        self._loop.call_soon_threadsafe(self._arrived, packets)

    def _on_failed(self, error: BaseException) -> None:
        self._loop.call_soon_threadsafe(self._failed, error)

    def _arrived(self, packets: list[SoundPacket]) -> None:
        if self._closed or not packets:
            return
        first = packets[0].media
        self._pacer.put([((packet.media - first) / RATE, packet) for packet in packets], self._loop.time())
        self._pump()

    def _pump(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for packet in self._pacer.take(self._loop.time()):
            for viewer in list(self.viewers):
                viewer.sound(packet)
        due = self._pacer.next_at
        if due is not None:
            self._timer = self._loop.call_at(due, self._pump)

    async def close(self) -> None:
        """Nothing leaves any more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._maker is not None:
            await asyncio.to_thread(self._maker.stop)


def sound_track(init: Init) -> InitTrack:
    """What an audio rendition is. BadInputError when it cannot be read."""
    try:
        return read_init(init.data)
    except (FragmentError, CodecError) as error:
        raise BadInputError(error.detail) from error


def _is_passed_on(track: InitTrack) -> bool:
    return track.entry == "Opus" and track.channels <= 2


def _at(sample: Sample, track: InitTrack) -> int:
    return sample.pts * opus.RATE // track.timescale
