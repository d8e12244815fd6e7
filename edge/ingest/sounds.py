"""Audio as publishers send it, each codec to frames as a file stores them. One class per codec.

`source` is what the next frame needs, None until it is known. Reading raises CodecError only.
"""

from collections.abc import Sequence
from functools import cache
from typing import Protocol

from appliance.contracts.errors import BadInputError
from edge.ingest.formats import AudioSource
from edge.protocols.codecs import aac, ac3, ac3_silence, flac, mp3, opus
from edge.protocols.flv.names import AAC, AC3, EAC3, FLAC, MP3, OPUS
from edge.protocols.fmp4 import read_init
from edge.protocols.record import Record


class AudioFrame(Record):
    """One frame and how many samples it lasts, counted at its source's sample rate."""

    __slots__ = ("data", "nano", "samples")

    def __init__(self, data: bytes, samples: int, nano: int = 0) -> None:
        self.data = data
        self.samples = samples
        self.nano = nano

    def fields(self) -> tuple[object, ...]:
        """See Record."""
        return self.data, self.samples, self.nano


class Sound(Protocol):
    """One codec of one track."""

    source: AudioSource | None

    def configure(self, data: bytes) -> None:
        """A sequence start."""

    def frame(self, data: bytes) -> AudioFrame | None:
        """The frame of a tag; None when it cannot be used yet."""


class AacSound:
    """AAC, raw or, against the rules, in ADTS."""

    def __init__(self) -> None:
        self.source: AudioSource | None = None

    def configure(self, data: bytes) -> None:
        if data:  # some encoders send an empty one first
            config = aac.parse_config(data)
            self.source = AudioSource(
                AAC,
                bytes(data),
                config.rfc6381(),
                config.sample_rate,
                config.channels,
                config.frame_samples,
                config.silence(),
                (config.heard_rate, config.heard_channels),
            )

    def frame(self, data: bytes) -> AudioFrame | None:
        wrapped = aac.split_adts(data)
        if wrapped is not None:
            config, data = wrapped
            if self.source is None:
                self.configure(config)
        return AudioFrame(data, self.source.frame_samples) if self.source is not None and data else None


class OpusSound:
    """Opus, its header sent ahead or not at all."""

    _USUAL = opus.RATE // 50

    def __init__(self) -> None:
        self.source: AudioSource | None = None

    def configure(self, data: bytes) -> None:
        if data:
            self._use(opus.parse_config(data))

    def frame(self, data: bytes) -> AudioFrame | None:
        samples = opus.packet_samples(data)
        if self.source is None:
            self._use(opus.parse_config(opus.config(2 if data[0] & 4 else 1)))
        return AudioFrame(data, samples)

    def _use(self, config: opus.OpusConfig) -> None:
        silence = opus.silence(config.channels) if config.channels <= 2 else b""
        self.source = AudioSource(
            OPUS, config.encode(), config.rfc6381(), opus.RATE, config.channels, self._USUAL, silence
        )


class FlacSound:
    """FLAC, its stream header sent ahead."""

    def __init__(self) -> None:
        self.source: AudioSource | None = None

    def configure(self, data: bytes) -> None:
        if data:
            config = flac.parse_config(data)
            self.source = AudioSource(
                FLAC,
                config.stream_info,
                config.rfc6381(),
                config.sample_rate,
                config.channels,
                config.block_samples,
                config.silence(),
            )

    def frame(self, data: bytes) -> AudioFrame | None:
        return AudioFrame(data, flac.frame_samples(data)) if self.source is not None else None


class DolbySound:
    """AC-3 or E-AC-3: each frame says what it is."""

    def __init__(self) -> None:
        self.source: AudioSource | None = None
        self._frame: ac3.Ac3Config | None = None

    def configure(self, _data: bytes) -> None:
        """There is nothing to be said ahead."""

    def frame(self, data: bytes) -> AudioFrame | None:
        first, samples = ac3.parse_frame(data), ac3.packet_samples(data)
        if not self._frame or self._same(first) != self._same(self._frame):
            self.source = _dolby_source(first, list(ac3.iter_frames(data)))
            self._frame = first
        return AudioFrame(data, samples)

    @staticmethod
    def _same(frame: ac3.Ac3Config) -> tuple[object, ...]:
        """What a decoder must know; the bit rate may change with each frame."""
        return frame.enhanced, frame.sample_rate, frame.channels, frame.bsid, frame.layout


def _dolby_source(first: ac3.Ac3Config, frames: Sequence[ac3.Ac3Config]) -> AudioSource:
    """Of packets with these frames. None of further substreams is known that is silent."""
    is_one = all(frame.substream == (0, 0) for frame in frames)
    samples = sum(frame.samples for frame in frames if frame.substream[0] != 1 and not frame.substream[1])
    return AudioSource(
        EAC3 if first.enhanced else AC3,
        first.specific_box(),
        first.rfc6381(),
        first.sample_rate,
        first.channels,
        samples,
        b"".join(map(ac3_silence.silence, frames)) if is_one else b"",
    )


class Mp3Sound:
    """MP3: each frame says what it is."""

    def __init__(self) -> None:
        self.source: AudioSource | None = None

    def configure(self, _data: bytes) -> None:
        """There is nothing to be said ahead."""

    def frame(self, data: bytes) -> AudioFrame | None:
        samples, first = mp3.packet_samples(data), mp3.parse_frame(data)
        source = _mp3_source(first.sample_rate, first.channels)
        if source != self.source:
            self.source = source
        return AudioFrame(data, samples)


@cache
def _mp3_source(sample_rate: int, channels: int) -> AudioSource:
    silence = mp3.silence(sample_rate, channels)
    samples = mp3.parse_frame(silence).samples
    return AudioSource(MP3, b"", mp3.RFC6381, sample_rate, channels, samples, silence)


SOUNDS: dict[str, type[Sound]] = {
    AAC: AacSound, OPUS: OpusSound, FLAC: FlacSound, AC3: DolbySound, EAC3: DolbySound,
    MP3: Mp3Sound,
}  # fmt: skip


def silent_source(init: bytes) -> AudioSource | None:
    """What an initialisation segment tells of, if a frame of silence is known for it."""
    try:
        track = read_init(init)
        if track.entry == MP3:
            return _mp3_source(track.sample_rate, track.channels)
        if track.entry in (AC3, EAC3):
            frame = ac3.read_specific_box(track.config, enhanced=track.entry == EAC3)
            source = _dolby_source(frame, [frame])
            return source if source.silence else None
        sound = SOUNDS[track.entry]() if track.entry in SOUNDS else None
        if sound is not None:
            sound.configure(track.config)
    except BadInputError:
        return None
    return sound.source if sound is not None and sound.source is not None and sound.source.silence else None
