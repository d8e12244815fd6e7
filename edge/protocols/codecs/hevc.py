"""H.265: decoder configuration (ISO/IEC 14496-15, 8.3.3) and NAL unit types (ITU-T H.265, 7.4.2.2).

The framings of NAL units are those of H.264: `avc.iter_nals`, `avc.split_annexb`, `avc.join_avcc`.
"""

import struct
from collections.abc import Iterable

import msgspec

from edge.protocols.codecs import avc
from edge.protocols.codecs.bits import CodecError
from edge.protocols.codecs.hevc_sps import HevcSps, parse_sps
from edge.protocols.codecs.picture import Picture

NAL_VPS, NAL_SPS, NAL_PPS, NAL_AUD, NAL_FILLER = 32, 33, 34, 35, 38
_FIRST_IRAP, _LAST_IRAP = 16, 21  # BLA, IDR and CRA
_LAST_SLICE = 31
_MAX_ARRAYS, _MAX_SETS = 16, 64
_SPACES = ("", "A", "B", "C")


class HevcConfig(msgspec.Struct, frozen=True):
    """Parameter sets of an HEVCDecoderConfigurationRecord, as NAL units; any of them may be empty."""

    length_size: int  # bytes of a NAL unit's length prefix: 1, 2 or 4
    vps: tuple[bytes, ...]
    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]

    def sequence(self) -> HevcSps:
        """What the first SPS says. CodecError when there is none."""
        if not self.sps:
            raise CodecError("the configuration carries no sequence parameter set")
        return parse_sps(self.sps[0])

    def picture(self) -> Picture:
        """Size, aspect, rate and colour. CodecError when there is no SPS."""
        return self.sequence().picture

    def encode(self) -> bytes:
        """The record's bytes, made of the parameter sets: encoders write wrong headers. CodecError."""
        sps = self.sequence()
        out = [b"\1", sps.profile_tier_level, b"\xf0\0\xfc"]
        out.append(bytes([0xFC | sps.chroma, 0xF8 | sps.luma_bits - 8 & 7, 0xF8 | sps.chroma_bits - 8 & 7, 0, 0]))
        out.append(bytes([min(sps.sub_layers, 7) << 3 | sps.nested << 2 | self.length_size - 1]))
        arrays = [(NAL_VPS, self.vps), (NAL_SPS, self.sps), (NAL_PPS, self.pps)]
        out.append(bytes([sum(1 for _, nals in arrays if nals)]))
        for kind, nals in arrays:
            if nals:
                out.append(struct.pack(">BH", 0x80 | kind, len(nals)))
                out.extend(struct.pack(">H", len(nal)) + nal for nal in nals)
        return b"".join(out)

    def rfc6381(self) -> str:
        """The codecs parameter, such as hvc1.1.6.L93.B0 (ISO/IEC 14496-15, E.3). CodecError."""
        general = self.sequence().profile_tier_level
        compatible = int(f"{int.from_bytes(general[1:5], 'big'):032b}"[::-1], 2)
        tier = "H" if general[0] & 0x20 else "L"
        constraints = general[5:11].rstrip(b"\0")
        parts = [f"hvc1.{_SPACES[general[0] >> 6]}{general[0] & 0x1F}", f"{compatible:X}", f"{tier}{general[11]}"]
        return ".".join(parts + [f"{byte:X}" for byte in constraints])


def parse_config(data: bytes) -> HevcConfig:
    """Reads an HEVCDecoderConfigurationRecord; Annex B parameter sets in its place are accepted too.

    CodecError when the bytes are neither.
    """
    if avc.is_annexb(data) or data[:3] == b"\0\0\1":
        return config_from_nals(avc.split_annexb(data))
    if len(data) < 23:
        raise CodecError("not an HEVC decoder configuration")
    sets: dict[int, list[bytes]] = {NAL_VPS: [], NAL_SPS: [], NAL_PPS: []}
    at = 23
    for _ in range(min(data[22], _MAX_ARRAYS)):
        if at + 3 > len(data):
            raise CodecError("a parameter set is cut off")
        kind, count = data[at] & 0x3F, int.from_bytes(data[at + 1 : at + 3], "big")
        nals, at = _nal_array(data, at + 3, count)
        if kind in sets:
            sets[kind] += nals
    return HevcConfig((data[21] & 3) + 1, *(tuple(sets[kind]) for kind in (NAL_VPS, NAL_SPS, NAL_PPS)))


def _nal_array(data: bytes, at: int, count: int) -> tuple[list[bytes], int]:
    if count > _MAX_SETS:
        raise CodecError("too many parameter sets")
    nals = []
    for _ in range(count):
        size = int.from_bytes(data[at : at + 2], "big")
        at += 2
        if at + size > len(data):
            raise CodecError("a parameter set is cut off")
        if size > 2:
            nals.append(bytes(data[at : at + size]))
        at += size
    return nals, at


def config_from_nals(nals: Iterable[bytes | memoryview]) -> HevcConfig:
    """The configuration of the parameter sets among `nals`, length prefix 4. CodecError without an SPS."""
    units = [bytes(nal) for nal in nals if len(nal) > 2]
    kinds = (NAL_VPS, NAL_SPS, NAL_PPS)
    sets = [tuple(dict.fromkeys(nal for nal in units if nal_type(nal) == kind)) for kind in kinds]
    if not sets[1]:
        raise CodecError("no sequence parameter set")
    return HevcConfig(4, *sets)


def nal_type(nal: bytes | memoryview) -> int:
    """nal_unit_type of a NAL unit that is not empty."""
    return nal[0] >> 1 & 0x3F


def is_slice(kind: int) -> bool:
    """Whether NAL units of this type carry a picture."""
    return kind <= _LAST_SLICE


def is_random_access(kind: int) -> bool:
    """Whether a picture of this type can be decoded first: IDR, BLA or CRA."""
    return _FIRST_IRAP <= kind <= _LAST_IRAP


def has_random_access(data: bytes | memoryview, length_size: int = 4) -> bool:
    """Whether a length-prefixed access unit can be decoded first. CodecError when it is cut off."""
    return any(is_random_access(nal_type(nal)) for nal in avc.iter_nals(data, length_size))
