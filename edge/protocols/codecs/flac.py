"""FLAC: STREAMINFO (RFC 9639, 8.2), frame headers (9.1) and dfLa (FLAC in ISOBMFF, 3.3.2)."""

import msgspec

from edge.protocols.codecs.bits import BitReader, CodecError

_MARKER = b"fLaC"
_STREAMINFO_BYTES = 34
_LAST_STREAMINFO = b"\x80\x00\x00\x22"  # the last metadata block, type 0, 34 bytes
_MAX_SAMPLES = 65_535


class FlacConfig(msgspec.Struct, frozen=True):
    """`stream_info` is the STREAMINFO block without its header, also a decoder's extra data."""

    sample_rate: int
    channels: int
    bits: int
    block_samples: int  # the largest
    stream_info: bytes

    def specific_box(self) -> bytes:
        """The payload of dfLa, version and flags included."""
        return bytes(4) + _LAST_STREAMINFO + self.stream_info

    def silence(self) -> bytes:
        """A frame of as many samples as usual, each subframe a constant of 0 (RFC 9639, 9.2.3)."""
        size, depth = 7, 0  # the number of samples follows in two bytes; bits of a sample are those of STREAMINFO
        head = bytes([0xFF, 0xF8, size << 4, self.channels - 1 << 4 | depth << 1, 0])
        head += (self.block_samples - 1).to_bytes(2)
        frame = head + bytes([_crc(head, 8, 0x07)]) + bytes(-(-self.channels * (8 + self.bits) // 8))
        return frame + _crc(frame, 16, 0x8005).to_bytes(2)

    def rfc6381(self) -> str:
        """The codecs parameter."""
        return "fLaC"


def parse_config(data: bytes) -> FlacConfig:
    """Reads STREAMINFO with or without its block header and the stream marker. CodecError otherwise."""
    if data[:4] == _MARKER:
        data = data[4:]
    if len(data) >= 4 + _STREAMINFO_BYTES and data[0] & 0x7F == 0 and data[1:4] == _LAST_STREAMINFO[1:]:
        data = data[4:]
    info = bytes(data[:_STREAMINFO_BYTES])
    if len(info) < _STREAMINFO_BYTES:
        raise CodecError("not a FLAC stream header")
    reader = BitReader(info)
    reader.bits(16)
    block = reader.bits(16)
    reader.bits(48)
    rate, channels, bits = reader.bits(20), reader.bits(3) + 1, reader.bits(5) + 1
    if not 1_000 <= rate <= 655_350 or not block >= 16 or bits < 4:
        raise CodecError("a FLAC stream header out of range")
    return FlacConfig(rate, channels, bits, block, info)


def frame_samples(frame: bytes | memoryview) -> int:
    """Samples of a frame. CodecError when it is not one."""
    if len(frame) < 5 or frame[0] != 0xFF or frame[1] & 0xFC != 0xF8:
        raise CodecError("not a FLAC frame")
    code = frame[2] >> 4
    if code == 1:
        return 192
    if 2 <= code <= 5:
        return 576 << code - 2
    if code >= 8:
        return 256 << code - 8
    if not code:
        raise CodecError("not a FLAC frame")
    at = 4 + _coded_number_bytes(frame[4])
    size = code - 5  # one or two bytes
    if at + size > len(frame):
        raise CodecError("a FLAC frame is cut off")
    return min(int.from_bytes(frame[at : at + size], "big") + 1, _MAX_SAMPLES)


def _coded_number_bytes(first: int) -> int:
    """Length of the frame or sample number, coded as UTF-8 is."""
    if not first & 0x80:
        return 1
    ones = 8 - (~first & 0xFF).bit_length()
    if not 2 <= ones <= 7:
        raise CodecError("not a FLAC frame")
    return ones


def _crc(data: bytes, width: int, polynomial: int) -> int:
    """Most significant bit first, from 0 (9.1.8 and 9.3)."""
    found, top = 0, 1 << width - 1
    for byte in data:
        found ^= byte << width - 8
        for _ in range(8):
            found = (found << 1 ^ (polynomial if found & top else 0)) & (2 * top - 1)
    return found
