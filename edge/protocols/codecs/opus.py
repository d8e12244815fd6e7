"""Opus: the identification header (RFC 7845, 5.1), dOps (Opus in ISOBMFF, 4.3.2) and packets (RFC 6716, 3.1)."""

import struct

import msgspec

from edge.protocols.codecs.bits import CodecError

RATE = 48_000
_MAGIC = b"OpusHead"
_MAX_SAMPLES = RATE * 120 // 1000
_SILK, _HYBRID, _CELT = (480, 960, 1920, 2880), (480, 960), (120, 240, 480, 960)
_PRE_SKIP = 312  # what libopus needs at 48 kHz


class OpusConfig(msgspec.Struct, frozen=True):
    """`input_rate` is what was encoded, for information; decoding is always at 48 kHz."""

    channels: int
    pre_skip: int
    input_rate: int
    gain: int = 0
    mapping: bytes = b"\0"  # channel mapping family and its table

    def encode(self) -> bytes:
        """The identification header, which is also a decoder's extra data."""
        fields = struct.pack("<BBHIh", 1, self.channels, self.pre_skip, self.input_rate, self.gain)
        return _MAGIC + fields + self.mapping

    def specific_box(self) -> bytes:
        """The payload of dOps."""
        fields = struct.pack(">BBHIh", 0, self.channels, self.pre_skip, self.input_rate, self.gain)
        return fields + self.mapping

    def rfc6381(self) -> str:
        """The codecs parameter."""
        return "opus"


def silence(channels: int) -> bytes:
    """20 ms of silence of one or two channels."""
    return bytes([0xF8 | (4 if channels == 2 else 0), 0xFF, 0xFE])


def parse_config(data: bytes) -> OpusConfig:
    """Reads an identification header. CodecError when it is not one."""
    if len(data) < 19 or data[:8] != _MAGIC or data[8] >> 4:
        raise CodecError("not an Opus header")
    channels, pre_skip, rate, gain = struct.unpack_from("<BHIh", data, 9)
    return _config(channels, pre_skip, rate, gain, bytes(data[18:]))


def parse_specific_box(data: bytes) -> OpusConfig:
    """Reads the payload of dOps. CodecError when it is not one."""
    if len(data) < 11 or data[0]:
        raise CodecError("not an Opus configuration")
    channels, pre_skip, rate, gain = struct.unpack_from(">BHIh", data, 1)
    return _config(channels, pre_skip, rate, gain, bytes(data[10:]))


def _config(channels: int, pre_skip: int, rate: int, gain: int, mapping: bytes) -> OpusConfig:
    size = 2 + channels + 1 if mapping[0] else 1
    if not channels or len(mapping) < size or (not mapping[0] and channels > 2):
        raise CodecError("an Opus channel mapping that cannot be")
    return OpusConfig(channels, pre_skip, rate, gain, mapping[:size])


def config(channels: int, sample_rate: int = RATE) -> bytes:
    """The identification header of mono or stereo. CodecError for more channels."""
    return _config(channels, _PRE_SKIP, sample_rate, 0, b"\0").encode()


def packet_samples(packet: bytes | memoryview) -> int:
    """Samples at 48 kHz of a packet, 120 to 5760. CodecError when it has no duration."""
    if not packet:
        raise CodecError("an empty Opus packet")
    number, code = packet[0] >> 3, packet[0] & 3
    if number < 12:
        frame = _SILK[number & 3]
    else:
        frame = _HYBRID[number & 1] if number < 16 else _CELT[number & 3]
    count = (1, 2, 2)[code] if code < 3 else packet[1] & 0x3F if len(packet) > 1 else 0
    samples = frame * count
    if not 0 < samples <= _MAX_SAMPLES:
        raise CodecError("an Opus packet of no or too long a duration")
    return samples
