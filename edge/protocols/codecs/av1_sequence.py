"""The sequence header of AV1 (AV1 specification, 5.5)."""

from math import gcd
from typing import NamedTuple

from edge.protocols.codecs.bits import BitReader, CodecError
from edge.protocols.codecs.picture import SQUARE, UNKNOWN_RATE, UNSPECIFIED, Colour, Picture, check_size

_SRGB = (1, 13, 0)
_SELECT = 2


class SequenceHeader(NamedTuple):
    """`level` is seq_level_idx of the first operating point; `subsampling` is (x, y)."""

    profile: int
    level: int
    tier: int
    bit_depth: int
    monochrome: bool
    subsampling: tuple[int, int]
    sample_position: int
    picture: Picture


class _Points(NamedTuple):
    level: int
    tier: int
    rate: tuple[int, int]
    fixed: bool


class _ColourConfig(NamedTuple):
    bit_depth: int
    monochrome: bool
    subsampling: tuple[int, int]
    sample_position: int
    colour: Colour


def parse_sequence_header(payload: bytes) -> SequenceHeader:
    """Reads the payload of a sequence header OBU. CodecError when it is not one."""
    reader = BitReader(payload[:256])
    profile = reader.bits(3)
    if profile > 2:
        raise CodecError("not an AV1 sequence header")
    reader.flag()  # still_picture
    reduced = reader.flag()
    points = _Points(reader.bits(5), 0, UNKNOWN_RATE, False) if reduced else _operating_points(reader)
    width_bits, height_bits = reader.bits(4) + 1, reader.bits(4) + 1
    width, height = reader.bits(width_bits) + 1, reader.bits(height_bits) + 1
    check_size(width, height)
    if not reduced and reader.flag():
        reader.bits(7)  # lengths of frame ids
    reader.bits(3)  # use_128x128_superblock, enable_filter_intra, enable_intra_edge_filter
    if not reduced:
        _skip_tools(reader)
    reader.bits(3)  # enable_superres, enable_cdef, enable_restoration
    colours = _colour_config(reader, profile)
    picture = Picture(width, height, SQUARE, points.rate, points.fixed, colours.colour)
    return SequenceHeader(profile, points.level, points.tier, *colours[:4], picture)


def _operating_points(reader: BitReader) -> _Points:
    rate, fixed, delay_bits = UNKNOWN_RATE, False, 0
    if reader.flag():
        rate, fixed = _timing(reader)
        if reader.flag():
            delay_bits = reader.bits(5) + 1
            reader.bits(42)  # num_units_in_decoding_tick, two lengths
    display_delay = reader.flag()
    found: list[tuple[int, int]] = []
    for _ in range(reader.bits(5) + 1):
        reader.bits(12)
        level = reader.bits(5)
        found.append((level, reader.bits(1) if level > 7 else 0))
        if delay_bits and reader.flag():
            reader.bits(2 * delay_bits + 1)
        if display_delay and reader.flag():
            reader.bits(4)
    return _Points(*found[0], rate, fixed)


def _timing(reader: BitReader) -> tuple[tuple[int, int], bool]:
    units, scale = reader.bits(32), reader.bits(32)
    fixed = reader.flag()
    ticks = reader.ue() + 1 if fixed else 1  # uvlc() is ue(v) (4.10.3)
    if not units or not scale or not fixed:
        return UNKNOWN_RATE, False
    divisor = gcd(scale, units * ticks)
    return (scale // divisor, units * ticks // divisor), True


def _skip_tools(reader: BitReader) -> None:
    reader.bits(4)  # interintra, masked compound, warped motion, dual filter
    order_hint = reader.flag()
    if order_hint:
        reader.bits(2)
    screen_content = _SELECT if reader.flag() else reader.bits(1)
    if screen_content and not reader.flag():
        reader.flag()
    if order_hint:
        reader.bits(3)


def _colour_config(reader: BitReader, profile: int) -> _ColourConfig:
    high = reader.flag()
    bit_depth = 10 if high else 8
    if profile == 2 and high:
        bit_depth = 12 if reader.flag() else 10
    monochrome = reader.flag() if profile != 1 else False
    points = UNSPECIFIED[:3]
    if reader.flag():
        points = (reader.bits(8), reader.bits(8), reader.bits(8))
    if monochrome:
        return _ColourConfig(bit_depth, True, (1, 1), 0, Colour(*points, reader.flag()))
    if points == _SRGB:
        return _ColourConfig(bit_depth, False, (0, 0), 0, Colour(*points, full_range=True))
    full = reader.flag()
    subsampling = _subsampling(reader, profile, bit_depth)
    position = reader.bits(2) if subsampling == (1, 1) else 0
    return _ColourConfig(bit_depth, False, subsampling, position, Colour(*points, full))


def _subsampling(reader: BitReader, profile: int, bit_depth: int) -> tuple[int, int]:
    if profile != 2:
        return (1, 1) if profile == 0 else (0, 0)
    if bit_depth != 12:
        return (1, 0)
    across = reader.bits(1)
    return across, reader.bits(1) if across else 0
