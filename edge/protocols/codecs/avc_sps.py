"""The sequence parameter set of H.264 (ITU-T H.264, 7.3.2.1.1 and E.1.1), as far as we need it."""

from math import gcd
from typing import NamedTuple

from edge.protocols.codecs.bits import BitReader, CodecError

_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
_EXTENDED_SAR = 255
_SAMPLE_ASPECT = (
    (1, 1), (1, 1), (12, 11), (10, 11), (16, 11), (40, 33), (24, 11), (20, 11), (32, 11),
    (80, 33), (18, 11), (15, 11), (64, 33), (160, 99), (4, 3), (3, 2), (2, 1),
)  # fmt: skip
_MAX_SIDE = 16_384


class Sps(NamedTuple):
    """`frame_rate` is VUI's (numerator, denominator), (0, 1) when it says nothing."""

    profile: int
    compatibility: int
    level: int
    width: int
    height: int
    sample_aspect: tuple[int, int]
    frame_rate: tuple[int, int]
    fixed_frame_rate: bool
    interlaced: bool = False  # pictures may be fields


def unescape(nal: bytes) -> bytes:
    """NAL unit bytes without emulation prevention (7.4.1.1)."""
    if b"\0\0\3" not in nal:
        return nal
    out = bytearray()
    start = 0
    while (found := nal.find(b"\0\0\3", start)) >= 0:
        out += nal[start : found + 2]
        start = found + 3
    return bytes(out + nal[start:])


def parse_sps(nal: bytes) -> Sps:
    """Reads an SPS NAL unit (header byte included). CodecError when it is not one."""
    if len(nal) < 4 or nal[0] & 0x1F != 7:
        raise CodecError("not a sequence parameter set")
    reader = BitReader(unescape(bytes(nal[1:4096])))
    profile, compatibility, level = reader.bits(8), reader.bits(8), reader.bits(8)
    reader.ue()  # seq_parameter_set_id
    chroma = _chroma(reader, profile)
    reader.ue()  # log2_max_frame_num_minus4
    _picture_order(reader)
    reader.ue()  # max_num_ref_frames
    reader.flag()  # gaps_in_frame_num_value_allowed_flag
    width, height, interlaced = _size(reader, chroma)
    aspect, rate, fixed = (1, 1), (0, 1), False
    if reader.flag():
        aspect, rate, fixed = _vui(reader)
    return Sps(profile, compatibility, level, width, height, aspect, rate, fixed, interlaced)


def _chroma(reader: BitReader, profile: int) -> int:
    """chroma_format_idc, having read up to the scaling matrices. Separate planes count as monochrome."""
    if profile not in _HIGH_PROFILES:
        return 1
    chroma = reader.ue()
    separate = reader.flag() if chroma == 3 else False
    reader.ue()  # bit_depth_luma_minus8
    reader.ue()  # bit_depth_chroma_minus8
    reader.flag()  # qpprime_y_zero_transform_bypass_flag
    if reader.flag():
        for index in range(8 if chroma != 3 else 12):
            if reader.flag():
                _scaling_list(reader, 16 if index < 6 else 64)
    return 0 if separate else chroma


def _scaling_list(reader: BitReader, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + reader.se()) % 256
        last = following or last


def _picture_order(reader: BitReader) -> None:
    kind = reader.ue()
    if kind == 0:
        reader.ue()
    elif kind == 1:
        reader.flag()
        reader.se()
        reader.se()
        count = reader.ue()
        if count > 255:
            raise CodecError("not a sequence parameter set")
        for _ in range(count):
            reader.se()


def _size(reader: BitReader, chroma: int) -> tuple[int, int, bool]:
    """Width and height after cropping (7-18 to 7-22), and whether pictures may be fields."""
    width = 16 * (reader.ue() + 1)
    map_units = reader.ue() + 1
    frames_only = reader.flag()
    height = 16 * map_units * (1 if frames_only else 2)
    if not frames_only:
        reader.flag()  # mb_adaptive_frame_field_flag
    reader.flag()  # direct_8x8_inference_flag
    if reader.flag():
        left, right, top, bottom = (reader.ue() for _ in range(4))
        unit_x = 2 if chroma in (1, 2) else 1
        unit_y = (2 if chroma == 1 else 1) * (1 if frames_only else 2)
        width -= unit_x * (left + right)
        height -= unit_y * (top + bottom)
    if not (0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE):
        raise CodecError("a picture size out of range")
    return width, height, not frames_only


def _vui(reader: BitReader) -> tuple[tuple[int, int], tuple[int, int], bool]:
    """Sample aspect, frame rate and whether it is fixed. Encoders cut the VUI short: that is no error."""
    aspect: tuple[int, int] = (1, 1)
    try:
        if reader.flag():
            aspect = aspect_ratio(reader)
        if reader.flag():
            reader.flag()  # overscan_appropriate_flag
        if reader.flag():
            reader.bits(4)  # video_format, video_full_range_flag
            if reader.flag():
                reader.bits(24)
        if reader.flag():
            reader.ue()
            reader.ue()
        if not reader.flag():
            return aspect, (0, 1), False
        units, scale, fixed = reader.bits(32), reader.bits(32), reader.flag()
    except CodecError:
        return aspect, (0, 1), False
    if not units or not scale:
        return aspect, (0, 1), False
    divisor = gcd(scale, 2 * units)
    return aspect, (scale // divisor, 2 * units // divisor), fixed


def aspect_ratio(reader: BitReader) -> tuple[int, int]:
    """aspect_ratio_idc and what follows it (E.2.1), the same in H.264 and H.265."""
    index = reader.bits(8)
    if index == _EXTENDED_SAR:
        width, height = reader.bits(16), reader.bits(16)
        return (width, height) if width and height else (1, 1)
    return _SAMPLE_ASPECT[index] if index < len(_SAMPLE_ASPECT) else (1, 1)
