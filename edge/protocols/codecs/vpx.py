"""VPCodecConfigurationRecord, the same for VP8 and VP9 (VP Codec ISO Media File Format Binding, 2.2)."""

import msgspec

from edge.protocols.codecs.bits import CodecError
from edge.protocols.codecs.picture import UNSPECIFIED, Colour

_FULL_BOX = b"\1\0\0\0"
_LEVELS = (
    (10, 829_440, 36_864), (11, 2_764_800, 73_728), (20, 4_608_000, 122_880), (21, 9_216_000, 245_760),
    (30, 20_736_000, 552_960), (31, 36_864_000, 983_040), (40, 83_558_400, 2_228_224),
    (41, 160_432_128, 2_228_224), (50, 311_951_360, 8_912_896), (51, 588_251_136, 8_912_896),
    (52, 1_176_502_272, 8_912_896), (60, 1_176_502_272, 35_651_584), (61, 2_353_004_544, 35_651_584),
)  # fmt: skip
_HIGHEST = 62


class VpConfig(msgspec.Struct, frozen=True):
    """`chroma` is chromaSubsampling: 0 and 1 are 4:2:0, 2 is 4:2:2, 3 is 4:4:4."""

    profile: int
    level: int
    bit_depth: int
    chroma: int
    colour: Colour

    def encode(self) -> bytes:
        """The payload of vpcC, version and flags included."""
        packed = self.bit_depth << 4 | self.chroma << 1 | self.colour.full_range
        return _FULL_BOX + bytes([self.profile, self.level, packed, *self.colour[:3], 0, 0])

    def rfc6381(self, entry: str) -> str:
        """The codecs parameter of "vp09" or "vp08", such as vp09.00.41.08."""
        short = f"{entry}.{self.profile:02d}.{self.level:02d}.{self.bit_depth:02d}"
        if self.colour[:3] in (UNSPECIFIED[:3], (1, 1, 1)) and not self.colour.full_range and self.chroma < 2:
            return short
        points = ".".join(f"{point:02d}" for point in self.colour[:3])
        return f"{short}.{self.chroma:02d}.{points}.{int(self.colour.full_range):02d}"


def parse_config(data: bytes) -> VpConfig:
    """Reads the record with or without the version and flags of vpcC. CodecError when it is neither."""
    record = data[4:] if len(data) >= 12 and data[:4] == _FULL_BOX else data
    if len(record) < 6 or record[0] > 3 or record[2] >> 4 not in (8, 10, 12):
        raise CodecError("not a VP codec configuration")
    colour = Colour(record[3], record[4], record[5], bool(record[2] & 1))
    return VpConfig(record[0], record[1], record[2] >> 4, record[2] >> 1 & 7, colour)


def level_of(width: int, height: int, frame_rate: float = 30.0) -> int:
    """The lowest level for pictures of this size and rate (VP9 levels, webmproject.org/vp9/levels)."""
    size = width * height
    rate = size * frame_rate
    return next((level for level, rates, sizes in _LEVELS if rate <= rates and size <= sizes), _HIGHEST)
