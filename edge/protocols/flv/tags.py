"""Video and audio tag bodies to one shape, whichever of the generations of headers they have."""

import enum
from typing import Final, NamedTuple

from edge.protocols.flv.errors import FlvError
from edge.protocols.flv.names import (
    AAC,
    AVC,
    HEVC,
    LEGACY_AUDIO,
    LEGACY_VIDEO,
    canonical,
    is_hevc_record,
)
from edge.protocols.record import Record

MAX_TRACKS: Final = 32

_EX_AUDIO: Final = 9
_AAC_FORMAT: Final = 10
_SYNC: Final = 0xFF  # ADTS frames begin so, which encoders send against the rules
_KEY: Final = 1
_COMMAND_FRAME: Final = 5
_CODED_FRAMES_X: Final = 3
_METADATA: Final = 4
_MULTITRACK_VIDEO: Final = 6
_MULTITRACK_AUDIO: Final = 5
_MOD_EX: Final = 7
_ONE_TRACK: Final = 0
_MANY_TRACKS: Final = 1
_MANY_CODECS: Final = 2
_NANO_OFFSET: Final = 0
_HAS_COMPOSITION_TIME: Final = frozenset({AVC, HEVC, "vvc1"})
_LEGACY_WITH_TIME: Final = frozenset({7, 12, 13, 14})


class TagKind(enum.Enum):
    """What a tag carries. METADATA is an AMF0 name and value, such as colorInfo."""

    CONFIG = "config"
    FRAME = "frame"
    END = "end"
    METADATA = "metadata"
    OTHER = "other"


_PACKET_KINDS: Final = (TagKind.CONFIG, TagKind.FRAME, TagKind.END)


class VideoTag(Record):
    """`codec` is a FourCC, or the name of a codec that has none. `cts_ms` is signed, `nano` 0 to 999999."""

    __slots__ = ("codec", "cts_ms", "data", "key", "kind", "nano", "track")

    def __init__(
        self, codec: str, kind: TagKind, key: bool, cts_ms: int, data: bytes, track: int = 0, nano: int = 0
    ) -> None:
        self.codec = codec
        self.kind = kind
        self.key = key
        self.cts_ms = cts_ms
        self.data = data
        self.track = track
        self.nano = nano

    def fields(self) -> tuple[object, ...]:
        """See Record."""
        return self.codec, self.kind, self.key, self.cts_ms, self.data, self.track, self.nano


class AudioTag(Record):
    """`codec` is a FourCC, or the name of a codec that has none."""

    __slots__ = ("codec", "data", "kind", "nano", "track")

    def __init__(self, codec: str, kind: TagKind, data: bytes, track: int = 0, nano: int = 0) -> None:
        self.codec = codec
        self.kind = kind
        self.data = data
        self.track = track
        self.nano = nano

    def fields(self) -> tuple[object, ...]:
        """See Record."""
        return self.codec, self.kind, self.data, self.track, self.nano


class _Body(NamedTuple):
    """One track's part of an enhanced tag."""

    codec: str
    track: int
    data: bytes


def parse_video(body: bytes) -> list[VideoTag]:
    """The tracks of a video tag body, in its order. FlvError when it is cut off."""
    if not body:
        raise FlvError("a tag is cut off")
    return _enhanced_video(body) if body[0] & 0x80 else [_legacy_video(body)]


def parse_audio(body: bytes) -> list[AudioTag]:
    """The tracks of an audio tag body, in its order. FlvError when it is cut off."""
    if not body:
        raise FlvError("a tag is cut off")
    sound_format = body[0] >> 4
    if sound_format == _EX_AUDIO:
        return _enhanced_audio(body)
    codec = LEGACY_AUDIO.get(sound_format) or f"codec {sound_format}"
    if codec != AAC:
        return [AudioTag(codec, TagKind.FRAME, body[1:])]
    return [AudioTag(codec, _packet_kind(_byte(body, 1)), body[2:])]


def raw_aac(body: bytes) -> bytes:
    """The frame of an audio tag body that is nothing but raw AAC, as most are; empty when it may be another."""
    usual = len(body) > 2 and body[0] >> 4 == _AAC_FORMAT and body[1] == 1 and body[2] != _SYNC
    return body[2:] if usual else b""


def _legacy_video(body: bytes) -> VideoTag:
    frame_type, codec_id = body[0] >> 4, body[0] & 0x0F
    codec = LEGACY_VIDEO.get(codec_id) or f"codec {codec_id}"
    if frame_type == _COMMAND_FRAME:
        return VideoTag(codec, TagKind.OTHER, False, 0, b"")
    if codec_id not in _LEGACY_WITH_TIME:
        return VideoTag(codec, TagKind.FRAME, frame_type == _KEY, 0, body[1:])
    if len(body) < 5:
        raise FlvError("a video tag is cut off")
    kind, data = _packet_kind(body[1]), body[5:]
    if codec == AVC and kind is TagKind.CONFIG and is_hevc_record(data):
        codec = HEVC
    return VideoTag(codec, kind, frame_type == _KEY, _signed24(body, 2), data)


def _enhanced_video(body: bytes) -> list[VideoTag]:
    frame_type = body[0] >> 4 & 7
    packet, at, nano = _mod_ex(body, body[0] & 0x0F)
    if frame_type == _COMMAND_FRAME and packet != _METADATA:
        return []
    if packet == _MULTITRACK_VIDEO:
        packet, bodies = _tracks(body, at)
    else:
        bodies = [_Body(_fourcc(body, at), 0, body[at + 4 :])]
    return [_video(piece, packet, frame_type == _KEY, nano) for piece in bodies]


def _video(piece: _Body, packet: int, key: bool, nano: int) -> VideoTag:
    codec, track, data = piece
    if packet == _CODED_FRAMES_X:  # no composition time
        return VideoTag(codec, TagKind.FRAME, key, 0, data, track, nano)
    kind = TagKind.METADATA if packet == _METADATA else _packet_kind(packet)
    cts_ms = 0
    if kind is TagKind.FRAME and codec in _HAS_COMPOSITION_TIME:
        if len(data) < 3:
            raise FlvError("a video tag is cut off")
        cts_ms, data = _signed24(data, 0), data[3:]
    return VideoTag(codec, kind, key, cts_ms, data, track, nano)


def _enhanced_audio(body: bytes) -> list[AudioTag]:
    packet, at, nano = _mod_ex(body, body[0] & 0x0F)
    if packet == _MULTITRACK_AUDIO:
        packet, bodies = _tracks(body, at)
    else:
        bodies = [_Body(_fourcc(body, at), 0, body[at + 4 :])]
    return [AudioTag(piece.codec, _packet_kind(packet), piece.data, piece.track, nano) for piece in bodies]


def _tracks(body: bytes, at: int) -> tuple[int, list[_Body]]:
    """Packet type and the bodies of a multitrack tag (Enhanced RTMP v2, ExVideoTagBody)."""
    kind, packet = _byte(body, at) >> 4, body[at] & 0x0F
    at += 1
    if kind > _MANY_CODECS or packet in (_MULTITRACK_VIDEO, _MOD_EX):
        raise FlvError("a multitrack tag of no known kind")
    codec = ""
    if kind != _MANY_CODECS:
        codec, at = _fourcc(body, at), at + 4
    out: list[_Body] = []
    while at < len(body):
        if len(out) >= MAX_TRACKS:
            raise FlvError("too many tracks in one tag")
        if kind == _MANY_CODECS:
            codec, at = _fourcc(body, at), at + 4
        track, at = _byte(body, at), at + 1
        if kind == _ONE_TRACK:
            out.append(_Body(codec, track, body[at:]))
            break
        if at + 3 > len(body):
            raise FlvError("a tag is cut off")
        size, at = int.from_bytes(body[at : at + 3], "big"), at + 3
        if at + size > len(body):
            raise FlvError("a track of a multitrack tag is cut off")
        out.append(_Body(codec, track, body[at : at + size]))
        at += size
    return packet, out


def _mod_ex(body: bytes, packet: int) -> tuple[int, int, int]:
    """Packet type, where it goes on, and the nanoseconds that ModEx prefixes give (ExVideoTagHeader)."""
    at, nano = 1, 0
    while packet == _MOD_EX:
        size = _byte(body, at) + 1
        at += 1
        if size == 256:
            size = (_byte(body, at) << 8 | _byte(body, at + 1)) + 1
            at += 2
        data = body[at : at + size]
        at += size
        following = _byte(body, at)
        at += 1
        packet = following & 0x0F
        if following >> 4 == _NANO_OFFSET and size >= 3:
            nano = min(int.from_bytes(data[:3], "big"), 999_999)
    return packet, at, nano


def _packet_kind(packet: int) -> TagKind:
    return _PACKET_KINDS[packet] if packet < 3 else TagKind.OTHER


def _fourcc(body: bytes, at: int) -> str:
    code = body[at : at + 4]
    if len(code) < 4:
        raise FlvError("a tag is cut off")
    return canonical(code)


def _byte(body: bytes, at: int) -> int:
    if at >= len(body):
        raise FlvError("a tag is cut off")
    return body[at]


def _signed24(body: bytes, at: int) -> int:
    value = body[at] << 16 | body[at + 1] << 8 | body[at + 2]
    return value - (value >> 23 << 24)
