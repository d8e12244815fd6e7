"""VP9: the uncompressed header (VP9 bitstream specification, 6.2 and 7.2)."""

from typing import NamedTuple

from edge.protocols.codecs import vpx
from edge.protocols.codecs.bits import BitReader, CodecError
from edge.protocols.codecs.picture import UNSPECIFIED, Colour, Picture
from edge.protocols.codecs.vpx import VpConfig, parse_config

__all__ = ["FrameHeader", "VpConfig", "config_from_frame", "is_key", "parse_config", "parse_key_frame"]

_SYNC_CODE = 0x498342
_RGB = 7
_COLOURS = {
    1: Colour(6, 6, 6), 2: Colour(1, 1, 1), 3: Colour(6, 6, 6), 4: Colour(7, 7, 7), 5: Colour(9, 14, 9),
    _RGB: Colour(1, 13, 0, True),
}  # fmt: skip


class FrameHeader(NamedTuple):
    """A key frame's header."""

    config: VpConfig
    picture: Picture

    def rfc6381(self) -> str:
        """The codecs parameter, such as vp09.00.41.08."""
        return self.config.rfc6381("vp09")


def is_key(data: bytes | memoryview) -> bool:
    """Whether a frame, or the first of a superframe, is a key frame."""
    if not data:
        return False
    first = data[0]
    if first >> 6 != 2:
        return False
    shift = 1 if first >> 4 & 3 == 3 else 0  # profile 3 has a reserved bit
    show_existing, frame_type = first >> 3 - shift & 1, first >> 2 - shift & 1
    return not show_existing and not frame_type


def parse_key_frame(data: bytes | memoryview, frame_rate: float = 30.0) -> FrameHeader:
    """Reads a key frame's header; `frame_rate` is for the level. CodecError when it is no key frame."""
    if not is_key(data):
        raise CodecError("not a VP9 key frame")
    reader = BitReader(bytes(data[:32]))
    reader.bits(2)
    profile = reader.bits(1) | reader.bits(1) << 1
    if profile == 3:
        reader.flag()
    reader.bits(4)  # show_existing_frame, frame_type, show_frame, error_resilient_mode
    if reader.bits(24) != _SYNC_CODE:
        raise CodecError("not a VP9 key frame")
    bit_depth = 8
    if profile >= 2:
        bit_depth = 12 if reader.flag() else 10
    chroma, colour = _colour_config(reader, profile, bit_depth)
    width, height = reader.bits(16) + 1, reader.bits(16) + 1
    config = VpConfig(profile, vpx.level_of(width, height, frame_rate), bit_depth, chroma, colour)
    return FrameHeader(config, Picture(width, height, colour=colour))


def config_from_frame(data: bytes | memoryview, frame_rate: float = 30.0) -> bytes:
    """The payload of vpcC for a key frame. CodecError when it is no key frame."""
    return parse_key_frame(data, frame_rate).config.encode()


def _colour_config(reader: BitReader, profile: int, bit_depth: int) -> tuple[int, Colour]:
    """chromaSubsampling as vpcC has it, and the colour."""
    space = reader.bits(3)
    colour = _COLOURS.get(space, UNSPECIFIED)
    if space == 5 and bit_depth == 8:
        colour = colour._replace(transfer=1)
    if space == _RGB:
        if profile in (1, 3):
            reader.flag()
        return 3, colour
    colour = colour._replace(full_range=reader.flag())
    if profile not in (1, 3):
        return 1, colour
    across, down = reader.flag(), reader.flag()
    reader.flag()
    return (1 if down else 2) if across else 3, colour
