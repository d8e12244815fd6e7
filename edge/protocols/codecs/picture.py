"""What a video configuration says about its pictures, whatever the codec."""

from typing import NamedTuple

from edge.protocols.codecs.bits import CodecError

MAX_SIDE = 16_384
SQUARE = (1, 1)
UNKNOWN_RATE = (0, 1)


class Colour(NamedTuple):
    """Code points of ITU-T H.273; 2 is "unspecified"."""

    primaries: int
    transfer: int
    matrix: int
    full_range: bool = False


UNSPECIFIED = Colour(2, 2, 2)


class Picture(NamedTuple):
    """`frame_rate` is (numerator, denominator), (0, 1) when the configuration says nothing."""

    width: int
    height: int
    sample_aspect: tuple[int, int] = SQUARE
    frame_rate: tuple[int, int] = UNKNOWN_RATE
    fixed_frame_rate: bool = False
    colour: Colour = UNSPECIFIED
    interlaced: bool = False


def check_size(width: int, height: int) -> None:
    """CodecError when no picture is this large or small."""
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise CodecError("a picture size out of range")
