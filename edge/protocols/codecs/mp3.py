"""MPEG audio layer III: what its frames say of themselves (ISO/IEC 11172-3, 2.4.2.3; ISO/IEC 13818-3, 2.4.2.3).

MPEG-2.5, which no standard describes, has a quarter of the rates.
"""

from functools import cache
from typing import NamedTuple

from edge.protocols.codecs.bits import CodecError

OBJECT_TYPE = 0x6B  # of an elementary stream descriptor: audio of ISO/IEC 11172-3
RFC6381 = "mp4a.6B"
_HEADER = 4
_LAYER_3 = 1
_RATES = (44_100, 48_000, 32_000)
_HALVED = {3: 0, 2: 1, 0: 2}  # by the version's two bits: how often the rates are halved
_KBIT = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBIT_LOW = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # of halved rates
_SAMPLES, _SAMPLES_LOW = 1152, 576
_STEREO, _MONO = 0, 3
_MOST_SIDE = 32  # bytes of side information


class Mp3Frame(NamedTuple):
    """A frame: `samples` of each channel, `size` in bytes with its header."""

    sample_rate: int
    channels: int
    samples: int
    size: int


def parse_frame(data: bytes | memoryview) -> Mp3Frame:
    """Reads the frame that data begins with. CodecError when there is none, or its size is not told."""
    head = int.from_bytes(data[:_HEADER])
    halved = _HALVED.get(head >> 19 & 3)
    kbit, rate = head >> 12 & 15, head >> 10 & 3
    is_one = len(data) >= _HEADER and head >> 21 == 0x7FF and head >> 17 & 3 == _LAYER_3
    if halved is None or not is_one or not 0 < kbit < len(_KBIT) or rate >= len(_RATES):
        raise CodecError("not a frame of MPEG audio layer III")
    sample_rate = _RATES[rate] >> halved
    samples = _SAMPLES_LOW if halved else _SAMPLES
    bit_rate = (_KBIT_LOW if halved else _KBIT)[kbit] * 1000
    size = samples // 8 * bit_rate // sample_rate + (head >> 9 & 1)
    return Mp3Frame(sample_rate, 1 if head >> 6 & 3 == _MONO else 2, samples, size)


def packet_samples(data: bytes | memoryview) -> int:
    """Samples of all frames in data. CodecError when one is damaged or cut off."""
    samples, at = 0, 0
    while at < len(data):
        frame = parse_frame(data[at:])
        samples, at = samples + frame.samples, at + frame.size
    if at != len(data):
        raise CodecError("a frame of MPEG audio is cut off")
    return samples


@cache
def silence(sample_rate: int, channels: int) -> bytes:
    """A frame of which nothing is coded (2.4.1.7: no bits of main data), as small as its header allows.

    CodecError when there is no such rate.
    """
    for version, halved in _HALVED.items():
        for rate, full in enumerate(_RATES):
            if full >> halved != sample_rate:
                continue
            mode = _MONO if channels == 1 else _STEREO
            for kbit in range(1, len(_KBIT)):
                head = 0x7FF << 21 | version << 19 | _LAYER_3 << 17 | 1 << 16 | kbit << 12 | rate << 10 | mode << 6
                size = parse_frame(head.to_bytes(_HEADER)).size
                if size >= _HEADER + _MOST_SIDE:
                    return head.to_bytes(_HEADER) + bytes(size - _HEADER)
    raise CodecError("not a sample rate of MPEG audio layer III")
