"""What a track is and what a sample is: the values the writer and the reader exchange."""

from typing import NamedTuple, TypeAlias

import msgspec

Payload: TypeAlias = bytes | memoryview


class Sample(NamedTuple):
    """One access unit (AVC: length-prefixed NAL units, AAC: a raw frame). Times in ticks of its track."""

    dts: int
    duration: int
    cts: int  # pts - dts, never negative
    key: bool
    data: Payload

    @property
    def pts(self) -> int:
        """Presentation time, ticks."""
        return self.dts + self.cts

    @property
    def end(self) -> int:
        """Decode time of the sample after this one, ticks."""
        return self.dts + self.duration


class VideoTrack(msgspec.Struct, frozen=True, kw_only=True):
    """An AVC track. `config` is the AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3)."""

    config: bytes
    width: int
    height: int
    timescale: int = 90_000
    sample_aspect: tuple[int, int] = (1, 1)
    track_id: int = 1


class AudioTrack(msgspec.Struct, frozen=True, kw_only=True):
    """An AAC track. `config` is the AudioSpecificConfig (ISO/IEC 14496-3, 1.6)."""

    config: bytes
    timescale: int  # the sample rate, so that a frame has a whole number of ticks
    channels: int
    bit_rate: int = 0  # 0: not known
    track_id: int = 1
