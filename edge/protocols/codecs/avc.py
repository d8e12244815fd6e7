"""H.264: decoder configuration (ISO/IEC 14496-15, 5.3.3) and the two framings of NAL units."""

import re
import struct
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from edge.protocols.codecs.avc_sps import Sps, parse_sps
from edge.protocols.codecs.bits import CodecError

NAL_SLICE: Final = 1
NAL_IDR: Final = 5
NAL_SEI: Final = 6
NAL_SPS: Final = 7
NAL_PPS: Final = 8
NAL_AUD: Final = 9
NAL_FILLER: Final = 12

_START_CODE: Final = re.compile(rb"\x00\x00\x01")
_HIGH_PROFILES: Final = frozenset({100, 110, 122, 144})
_RECOVERY_POINT: Final = 6
_CAPTIONS: Final = b"\xb5\x00\x31GA94\x03"  # country, provider, user identifier and type of the data


class AvcConfig(msgspec.Struct, frozen=True):
    """An AVCDecoderConfigurationRecord. `sps` and `pps` are NAL units; either may be empty."""

    profile: int
    compatibility: int
    level: int
    length_size: int  # bytes of a NAL unit's length prefix: 1, 2 or 4
    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]

    def encode(self) -> bytes:
        """The record's bytes, with the High profile's extension from the SPS where it belongs."""
        out = [bytes([1, self.profile, self.compatibility, self.level, 0xFC | self.length_size - 1])]
        out.append(bytes([0xE0 | len(self.sps) & 0x1F]))
        out.extend(struct.pack(">H", len(nal)) + nal for nal in self.sps)
        out.append(bytes([len(self.pps) & 0xFF]))
        out.extend(struct.pack(">H", len(nal)) + nal for nal in self.pps)
        if self.profile in _HIGH_PROFILES:
            out.append(b"\xfd\xf8\xf8\x00")  # 4:2:0, 8 bit, no SPS extension
        return b"".join(out)

    def rfc6381(self) -> str:
        """The codecs parameter, such as avc1.64001f (RFC 6381, 3.3)."""
        return f"avc1.{self.profile:02x}{self.compatibility:02x}{self.level:02x}"

    def picture(self) -> Sps:
        """What the first SPS says. CodecError when there is none."""
        if not self.sps:
            raise CodecError("the configuration carries no sequence parameter set")
        return parse_sps(self.sps[0])


def parse_config(data: bytes) -> AvcConfig:
    """Reads an AVCDecoderConfigurationRecord; Annex B parameter sets in its place are accepted too.

    CodecError when the bytes are neither.
    """
    if data[:3] == b"\0\0\1" or data[:4] == b"\0\0\0\1":
        return config_from_nals(split_annexb(data))
    if len(data) < 6 or data[0] != 1:
        raise CodecError("not an AVC decoder configuration")
    sps, at = _parameter_sets(data, 6, data[5] & 0x1F)
    count = data[at] if at < len(data) else 0
    pps, _ = _parameter_sets(data, at + 1, count)
    return AvcConfig(data[1], data[2], data[3], (data[4] & 3) + 1, sps, pps)


def _parameter_sets(data: bytes, at: int, count: int) -> tuple[tuple[bytes, ...], int]:
    sets = []
    for _ in range(count):
        if at + 2 > len(data):
            raise CodecError("a parameter set is cut off")
        size = int.from_bytes(data[at : at + 2], "big")
        at += 2
        if at + size > len(data):
            raise CodecError("a parameter set is cut off")
        if size:
            sets.append(bytes(data[at : at + size]))
        at += size
    return tuple(sets), at


def config_from_nals(nals: Iterable[bytes | memoryview]) -> AvcConfig:
    """The configuration of the parameter sets among `nals`, length prefix 4. CodecError without an SPS."""
    units = [bytes(nal) for nal in nals]
    sps = tuple(dict.fromkeys(nal for nal in units if nal and nal[0] & 0x1F == NAL_SPS and len(nal) >= 4))
    pps = tuple(dict.fromkeys(nal for nal in units if nal and nal[0] & 0x1F == NAL_PPS))
    if not sps:
        raise CodecError("no sequence parameter set")
    return AvcConfig(sps[0][1], sps[0][2], sps[0][3], 4, sps, pps)


def iter_nals(data: bytes | memoryview, length_size: int) -> Iterator[memoryview]:
    """NAL units of a length-prefixed access unit; empty ones are left out. CodecError when it is cut off."""
    view = memoryview(data)
    at = 0
    while at < len(view):
        size = int.from_bytes(view[at : at + length_size], "big")
        at += length_size
        if at + size > len(view):
            raise CodecError("a NAL unit is cut off")
        if size:
            yield view[at : at + size]
        at += size


def kind_set(kinds: Iterable[int]) -> int:
    """NAL unit types as the bits of a number."""
    return sum(1 << kind for kind in set(kinds))


def prefixed_kinds(data: bytes) -> int:
    """The types of an access unit's NAL units as `kind_set` has them; 0 when it has no 4 byte lengths.

    Told from the lengths alone, without taking the access unit apart.
    """
    at, end, kinds = 0, len(data), 0
    if data.startswith(b"\0\0\0\1"):
        return 0
    while at + 4 <= end:
        start = at + 4
        at = start + (data[at] << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3])
        if start < at <= end:
            kinds |= 1 << (data[start] & 0x1F)
    return kinds if at == end else 0


def split_annexb(data: bytes | memoryview) -> list[memoryview]:
    """NAL units of a byte stream (ITU-T H.264, B.1), trailing zeros removed."""
    view = memoryview(data)
    starts = [match.end() for match in _START_CODE.finditer(view)]
    nals = []
    for index, start in enumerate(starts):
        end = starts[index + 1] - 3 if index + 1 < len(starts) else len(view)
        while end > start and view[end - 1] == 0:
            end -= 1
        if end > start:
            nals.append(view[start:end])
    return nals


def is_annexb(data: bytes | memoryview) -> bool:
    """Whether an access unit begins with a four byte start code.

    The three byte form is not looked for: it is also the length of a NAL unit of 256 to 511 bytes.
    """
    return bytes(data[:4]) == b"\0\0\0\1"


def split_any(data: bytes | memoryview, length_size: int) -> tuple[list[memoryview], bool]:
    """NAL units in either framing, and whether it was the byte stream's. CodecError when it is neither."""
    if is_annexb(data):
        return split_annexb(data), True
    try:
        return list(iter_nals(data, length_size)), False
    except CodecError:
        if bytes(data[:3]) != b"\0\0\1":
            raise
        return split_annexb(data), True


def join_avcc(nals: Iterable[bytes | memoryview]) -> bytes:
    """NAL units with 4 byte length prefixes."""
    pieces: list[bytes | memoryview] = []
    for nal in nals:
        pieces.append(len(nal).to_bytes(4, "big"))
        pieces.append(nal)
    return b"".join(pieces)


def has_recovery_point(nals: Iterable[bytes | memoryview]) -> bool:
    """Whether an SEI among `nals` says that decoding can begin here exactly (ITU-T H.264, D.1.8)."""
    return any(nal[0] & 0x1F == NAL_SEI and _says_recovery(bytes(nal[1:64])) for nal in nals if len(nal) > 3)


def has_captions(nals: Iterable[bytes | memoryview]) -> bool:
    """Whether an SEI message has closed captions: user data of ATSC A/53 Part 4, 6.2.3.1."""
    return any(nal[0] & 0x1F == NAL_SEI and _CAPTIONS in bytes(nal[1:128]) for nal in nals if len(nal) > 3)


def _says_recovery(payloads: bytes) -> bool:
    """Looks for payload type 6 with recovery_frame_cnt 0, one set bit at its start."""
    at = 0
    while at + 2 < len(payloads):
        numbers = []
        for _ in range(2):
            value = 0
            while at < len(payloads) and payloads[at] == 0xFF:
                value, at = value + 0xFF, at + 1
            if at >= len(payloads):
                return False
            numbers.append(value + payloads[at])
            at += 1
        kind, size = numbers
        if kind == _RECOVERY_POINT:
            return at < len(payloads) and bool(payloads[at] & 0x80)
        at += size
    return False
