"""AV1: open bitstream units (AV1 specification, 5.3 and 5.5) and av1C (AV1 in ISOBMFF, 2.3)."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from edge.protocols.codecs.av1_sequence import SequenceHeader, parse_sequence_header
from edge.protocols.codecs.bits import CodecError
from edge.protocols.codecs.picture import UNSPECIFIED, Picture

OBU_SEQUENCE_HEADER, OBU_TEMPORAL_DELIMITER, OBU_FRAME_HEADER, OBU_FRAME, OBU_PADDING = 1, 2, 3, 6, 15
_TILE_LIST = 8
_NOT_STORED = frozenset({OBU_TEMPORAL_DELIMITER, _TILE_LIST, OBU_PADDING})
_HAS_SIZE, _HAS_EXTENSION = 0x02, 0x04
_MAX_LEB128 = 8


class Obu(NamedTuple):
    """`raw` is the whole unit, `payload` what follows its header and size."""

    kind: int
    sized: bool
    raw: memoryview
    payload: memoryview


class Av1Config(msgspec.Struct, frozen=True):
    """An AV1CodecConfigurationRecord. `obus` are its configOBUs: a sequence header, perhaps metadata."""

    sequence: SequenceHeader
    obus: bytes

    def encode(self) -> bytes:
        """The bytes of av1C."""
        head = self.sequence
        flags = head.tier << 7 | (head.bit_depth > 8) << 6 | (head.bit_depth == 12) << 5 | head.monochrome << 4
        flags |= head.subsampling[0] << 3 | head.subsampling[1] << 2 | head.sample_position
        return bytes([0x81, head.profile << 5 | head.level, flags, 0]) + self.obus

    def picture(self) -> Picture:
        """Size, rate and colour."""
        return self.sequence.picture

    def rfc6381(self) -> str:
        """The codecs parameter, such as av01.0.08M.08 (AV1 in ISOBMFF, 5)."""
        head = self.sequence
        short = f"av01.{head.profile}.{head.level:02d}{'H' if head.tier else 'M'}.{head.bit_depth:02d}"
        colour = head.picture.colour
        if colour[:3] in (UNSPECIFIED[:3], (1, 1, 1)) and not colour.full_range and not head.monochrome:
            return short
        position = head.sample_position if head.subsampling == (1, 1) else 0
        chroma = f"{int(head.monochrome)}.{head.subsampling[0]}{head.subsampling[1]}{position}"
        points = f"{colour.primaries:02d}.{colour.transfer:02d}.{colour.matrix:02d}.{int(colour.full_range)}"
        return f"{short}.{chroma}.{points}"


def parse_config(data: bytes) -> Av1Config:
    """Reads av1C; OBUs in its place are accepted too. CodecError without a sequence header."""
    if len(data) >= 4 and data[0] == 0x81:
        return _config_of(bytes(data[4:]))
    return _config_of(bytes(data))


def config_from_obus(data: bytes | memoryview) -> bytes | None:
    """av1C of the sequence header in a temporal unit; None when there is none. CodecError when damaged."""
    for obu in iter_obus(data):
        if obu.kind == OBU_SEQUENCE_HEADER:
            return _config_of(join_obus([obu.raw])).encode()
    return None


def _config_of(obus: bytes) -> Av1Config:
    for obu in iter_obus(obus):
        if obu.kind == OBU_SEQUENCE_HEADER:
            return Av1Config(parse_sequence_header(bytes(obu.payload)), join_obus([obu.raw]))
    raise CodecError("the configuration carries no sequence header")


def iter_obus(data: bytes | memoryview) -> Iterator[Obu]:
    """The units of a temporal unit; one without a size reaches to the end. CodecError when cut off."""
    view = memoryview(data)
    at = 0
    while at < len(view):
        first = view[at]
        if first & 0x80:
            raise CodecError("not an open bitstream unit")
        body = at + (2 if first & _HAS_EXTENSION else 1)
        sized = bool(first & _HAS_SIZE)
        size = len(view) - body
        if sized:
            size, body = _leb128(view, body)
        if size < 0 or body + size > len(view):
            raise CodecError("an open bitstream unit is cut off")
        yield Obu(first >> 3 & 0x0F, sized, view[at : body + size], view[body : body + size])
        at = body + size


def join_obus(obus: Iterable[bytes | memoryview]) -> bytes:
    """Single units, with or without their size field, as a temporal unit in which each has one. CodecError."""
    out = bytearray()
    for raw in obus:
        for obu in iter_obus(raw):
            if obu.sized:
                out += obu.raw
                continue
            out.append(obu.raw[0] | _HAS_SIZE)
            if obu.raw[0] & _HAS_EXTENSION:
                out.append(obu.raw[1])
            out += _to_leb128(len(obu.payload)) + obu.payload
    return bytes(out)


def stored(data: bytes | memoryview) -> bytes | memoryview:
    """A temporal unit as a file has it: sizes, and no temporal delimiter (AV1 in ISOBMFF, 2.4). CodecError."""
    units = list(iter_obus(data))
    if all(obu.sized and obu.kind not in _NOT_STORED for obu in units):
        return data
    return join_obus(obu.raw for obu in units if obu.kind not in _NOT_STORED)


def is_key(data: bytes | memoryview) -> bool:
    """Whether a temporal unit begins with a key frame that is shown. CodecError when it is cut off."""
    for obu in iter_obus(data):
        if obu.kind in (OBU_FRAME, OBU_FRAME_HEADER):
            # show_existing_frame 0, frame_type 0 (2 bits), show_frame 1
            return len(obu.payload) > 0 and obu.payload[0] >> 4 == 1
    return False


def has_frame(data: bytes | memoryview) -> bool:
    """Whether a temporal unit holds a picture. CodecError when it is cut off."""
    return any(obu.kind in (OBU_FRAME, OBU_FRAME_HEADER) for obu in iter_obus(data))


def _leb128(view: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for index in range(_MAX_LEB128):
        if at + index >= len(view):
            break
        byte = view[at + index]
        value |= (byte & 0x7F) << 7 * index
        if not byte & 0x80:
            return value, at + index + 1
    raise CodecError("an open bitstream unit is cut off")


def _to_leb128(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
