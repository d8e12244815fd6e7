"""What sound is made of and what it becomes."""

from typing import NamedTuple

RATE = 48_000


class SoundForm(NamedTuple):
    """A decoder's name and extradata as FFmpeg has them. `timescale` ticks per second of its times."""

    decoder: str
    extradata: bytes
    sample_rate: int
    channels: int
    timescale: int


class SoundPacket(NamedTuple):
    """An Opus packet. `media` is the time of its first sample, at 48 kHz."""

    media: int
    data: bytes
