"""VP8: the frame header (RFC 6386, 9.1)."""

from typing import NamedTuple

from edge.protocols.codecs import vpx
from edge.protocols.codecs.bits import CodecError
from edge.protocols.codecs.picture import UNSPECIFIED, Picture, check_size
from edge.protocols.codecs.vpx import VpConfig, parse_config

__all__ = ["FrameHeader", "VpConfig", "config_from_frame", "is_key", "parse_config", "parse_key_frame"]

_START_CODE = b"\x9d\x01\x2a"


class FrameHeader(NamedTuple):
    """A key frame's header."""

    config: VpConfig
    picture: Picture

    def rfc6381(self) -> str:
        """The codecs parameter, such as vp08.00.41.08."""
        return self.config.rfc6381("vp08")


def is_key(data: bytes | memoryview) -> bool:
    """Whether a frame is a key frame."""
    return len(data) >= 10 and not data[0] & 1 and bytes(data[3:6]) == _START_CODE


def parse_key_frame(data: bytes | memoryview, frame_rate: float = 30.0) -> FrameHeader:
    """Reads a key frame's header; `frame_rate` is for the level. CodecError when it is no key frame."""
    if not is_key(data):
        raise CodecError("not a VP8 key frame")
    width = int.from_bytes(data[6:8], "little") & 0x3FFF
    height = int.from_bytes(data[8:10], "little") & 0x3FFF
    check_size(width, height)
    profile = data[0] >> 1 & 3
    config = VpConfig(profile, vpx.level_of(width, height, frame_rate), 8, 0, UNSPECIFIED)
    return FrameHeader(config, Picture(width, height))


def config_from_frame(data: bytes | memoryview, frame_rate: float = 30.0) -> bytes:
    """The payload of vpcC for a key frame. CodecError when it is no key frame."""
    return parse_key_frame(data, frame_rate).config.encode()
