"""The sequence parameter set of H.265 (ITU-T H.265, 7.3.2.2, 7.3.3, 7.3.7 and E.2.1), as far as we need it."""

from math import gcd
from typing import NamedTuple

from edge.protocols.codecs.avc_sps import aspect_ratio, unescape
from edge.protocols.codecs.bits import BitReader, CodecError
from edge.protocols.codecs.picture import SQUARE, UNKNOWN_RATE, UNSPECIFIED, Colour, Picture, check_size

_PROFILE_BYTES = 12  # general_profile_space to general_level_idc
_MAX_SETS, _MAX_PICTURES = 64, 16


class HevcSps(NamedTuple):
    """`profile_tier_level` is the general part of profile_tier_level(), 12 bytes."""

    profile_tier_level: bytes
    sub_layers: int
    nested: bool
    chroma: int
    luma_bits: int
    chroma_bits: int
    picture: Picture


def parse_sps(nal: bytes) -> HevcSps:
    """Reads an SPS NAL unit (two byte header included). CodecError when it is not one."""
    if len(nal) < 3 + _PROFILE_BYTES or nal[0] >> 1 & 0x3F != 33:
        raise CodecError("not a sequence parameter set")
    rbsp = unescape(bytes(nal[2:4096]))
    reader = BitReader(rbsp)
    reader.bits(4)  # sps_video_parameter_set_id
    extra_layers = reader.bits(3)
    nested = reader.flag()
    _profile_tier_level(reader, extra_layers)
    reader.ue()  # sps_seq_parameter_set_id
    chroma = reader.ue()
    if chroma > 3:
        raise CodecError("not a sequence parameter set")
    separate = reader.flag() if chroma == 3 else False
    width, height = _size(reader, 0 if separate else chroma)
    luma_bits, chroma_bits = 8 + reader.ue(), 8 + reader.ue()
    if luma_bits > 16 or chroma_bits > 16:
        raise CodecError("a bit depth out of range")
    picture = _vui_behind_tools(reader, Picture(width, height), extra_layers)
    return HevcSps(rbsp[1 : 1 + _PROFILE_BYTES], extra_layers + 1, nested, chroma, luma_bits, chroma_bits, picture)


def _profile_tier_level(reader: BitReader, extra_layers: int) -> None:
    reader.bits(8 * _PROFILE_BYTES)
    present = [(reader.flag(), reader.flag()) for _ in range(extra_layers)]
    if extra_layers:
        reader.bits(2 * (8 - extra_layers))
    for profile, level in present:
        reader.bits(88 * profile + 8 * level)


def _size(reader: BitReader, chroma: int) -> tuple[int, int]:
    """Width and height inside the conformance window."""
    width, height = reader.ue(), reader.ue()
    if reader.flag():
        left, right, top, bottom = (reader.ue() for _ in range(4))
        width -= (2 if chroma in (1, 2) else 1) * (left + right)
        height -= (2 if chroma == 1 else 1) * (top + bottom)
    check_size(width, height)
    return width, height


def _vui_behind_tools(reader: BitReader, picture: Picture, extra_layers: int) -> Picture:
    """Skips the coding tools. Encoders cut what follows the size short: that is no error."""
    try:
        _skip_tools(reader, extra_layers)
        return _vui(reader, picture) if reader.flag() else picture
    except CodecError:
        return picture


def _skip_tools(reader: BitReader, extra_layers: int) -> None:
    lsb_bits = reader.ue() + 4
    layers = extra_layers + 1 if reader.flag() else 1
    for _ in range(3 * layers + 6):  # buffering per layer, then block sizes and depths
        reader.ue()
    if reader.flag() and reader.flag():
        _scaling_lists(reader)
    reader.bits(2)  # amp_enabled_flag, sample_adaptive_offset_enabled_flag
    if reader.flag():
        reader.bits(8)  # pcm sample bit depths
        reader.ue()
        reader.ue()
        reader.flag()
    _reference_sets(reader)
    if reader.flag():
        for _ in range(_bounded(reader.ue(), 32)):
            reader.bits(lsb_bits + 1)
    reader.bits(2)  # sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag


def _scaling_lists(reader: BitReader) -> None:
    for size in range(4):
        for _ in range(2 if size == 3 else 6):
            if not reader.flag():
                reader.ue()
                continue
            if size > 1:
                reader.se()
            for _ in range(min(64, 1 << 4 + 2 * size)):
                reader.se()


def _reference_sets(reader: BitReader) -> None:
    """st_ref_pic_set() of each index; only the number of pictures of the one before matters."""
    pictures = 0
    for index in range(_bounded(reader.ue(), _MAX_SETS)):
        if index and reader.flag():
            reader.flag()
            reader.ue()
            kept = 0
            for _ in range(pictures + 1):
                kept += 1 if reader.flag() or reader.flag() else 0
            pictures = _bounded(kept, 2 * _MAX_PICTURES)
            continue
        pictures = _bounded(reader.ue(), _MAX_PICTURES) + _bounded(reader.ue(), _MAX_PICTURES)
        for _ in range(pictures):
            reader.ue()
            reader.flag()


def _vui(reader: BitReader, picture: Picture) -> Picture:
    aspect = aspect_ratio(reader) if reader.flag() else SQUARE
    picture = picture._replace(sample_aspect=aspect)
    if reader.flag():
        reader.flag()  # overscan_appropriate_flag
    if reader.flag():
        picture = picture._replace(colour=_colour(reader))
    if reader.flag():
        reader.ue()
        reader.ue()
    reader.bits(3)  # neutral_chroma_indication_flag, field_seq_flag, frame_field_info_present_flag
    if reader.flag():
        for _ in range(4):
            reader.ue()
    return picture._replace(frame_rate=_rate(reader)) if reader.flag() else picture


def _colour(reader: BitReader) -> Colour:
    full = bool(reader.bits(4) & 1)  # video_format, video_full_range_flag
    if not reader.flag():
        return UNSPECIFIED._replace(full_range=full)
    return Colour(reader.bits(8), reader.bits(8), reader.bits(8), full)


def _rate(reader: BitReader) -> tuple[int, int]:
    units, scale = reader.bits(32), reader.bits(32)
    if not units or not scale:
        return UNKNOWN_RATE
    divisor = gcd(scale, units)
    return scale // divisor, units // divisor


def _bounded(count: int, limit: int) -> int:
    if count > limit:
        raise CodecError("not a sequence parameter set")
    return count
