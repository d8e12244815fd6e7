"""Video and audio tag bodies to one shape, whichever of the two generations of headers they have."""

import enum
from typing import NamedTuple

from appliance.contracts.errors import BadInputError

AVC, AAC = "avc1", "mp4a"

_LEGACY_VIDEO = {
    2: "Sorenson H.263", 3: "Screen video", 4: "VP6", 5: "VP6 with alpha", 6: "Screen video 2",
    7: AVC, 12: "HEVC", 13: "AV1",
}  # fmt: skip
_LEGACY_AUDIO = {
    0: "PCM", 1: "ADPCM", 2: "MP3", 3: "PCM", 4: "Nellymoser", 5: "Nellymoser", 6: "Nellymoser",
    7: "G.711", 8: "G.711", 10: AAC, 11: "Speex", 13: "Opus", 14: "MP3",
}  # fmt: skip
_NAMES = {
    b"avc1": AVC, b"mp4a": AAC, b"hvc1": "HEVC", b"hev1": "HEVC", b"vvc1": "VVC", b"av01": "AV1",
    b"vp08": "VP8", b"vp09": "VP9", b"Opus": "Opus", b"fLaC": "FLAC", b"ac-3": "AC-3", b"ec-3": "E-AC-3",
    b".mp3": "MP3",
}  # fmt: skip
_EX_AUDIO = 9
_KEY, _COMMAND_FRAME = 1, 5
_MULTITRACK_VIDEO, _MULTITRACK_AUDIO, _MOD_EX = 6, 5, 7


class FlvError(BadInputError):
    """A tag body too short for its header."""

    code = "flv"


class TagKind(enum.Enum):
    """What a tag carries."""

    CONFIG = "config"
    FRAME = "frame"
    END = "end"
    OTHER = "other"


class VideoTag(NamedTuple):
    """`codec` is "avc1" or the name of a codec we cannot take. `cts_ms` is signed."""

    codec: str
    kind: TagKind
    key: bool
    cts_ms: int
    data: bytes


class AudioTag(NamedTuple):
    """`codec` is "mp4a" or the name of a codec we cannot take."""

    codec: str
    kind: TagKind
    data: bytes


def parse_video(body: bytes) -> VideoTag:
    """Reads a video tag body. FlvError when it is cut off."""
    first = _byte(body, 0)
    if first & 0x80:
        return _enhanced_video(body)
    key, codec_id = first >> 4 == _KEY, first & 0x0F
    codec = _LEGACY_VIDEO.get(codec_id, f"codec {codec_id}")
    if first >> 4 == _COMMAND_FRAME:
        return VideoTag(codec, TagKind.OTHER, False, 0, b"")
    if codec_id not in (7, 12, 13):
        return VideoTag(codec, TagKind.FRAME, key, 0, body[1:])
    if len(body) < 5:
        raise FlvError("a video tag is cut off")
    return VideoTag(codec, _packet_kind(body[1]), key, _signed24(body, 2), body[5:])


def parse_audio(body: bytes) -> AudioTag:
    """Reads an audio tag body. FlvError when it is cut off."""
    sound_format = _byte(body, 0) >> 4
    if sound_format == _EX_AUDIO:
        packet, at = _skip_mod_ex(body, body[0] & 0x0F)
        if packet == _MULTITRACK_AUDIO:
            return AudioTag("several audio tracks", TagKind.OTHER, b"")
        return AudioTag(_fourcc(body, at), _packet_kind(packet), body[at + 4 :])
    codec = _LEGACY_AUDIO.get(sound_format, f"codec {sound_format}")
    if codec != AAC:
        return AudioTag(codec, TagKind.FRAME, body[1:])
    return AudioTag(codec, _packet_kind(_byte(body, 1)), body[2:])


def _enhanced_video(body: bytes) -> VideoTag:
    frame_type = body[0] >> 4 & 7
    packet, at = _skip_mod_ex(body, body[0] & 0x0F)
    if packet == _MULTITRACK_VIDEO:
        return VideoTag("several video tracks", TagKind.OTHER, False, 0, b"")
    if frame_type == _COMMAND_FRAME:
        return VideoTag("", TagKind.OTHER, False, 0, b"")
    codec = _fourcc(body, at)
    at += 4
    if packet == 3:  # CodedFramesX: no composition time
        return VideoTag(codec, TagKind.FRAME, frame_type == _KEY, 0, body[at:])
    kind = _packet_kind(packet)
    cts_ms = 0
    if kind is TagKind.FRAME and codec in (AVC, "HEVC", "VVC"):
        if len(body) < at + 3:
            raise FlvError("a video tag is cut off")
        cts_ms = _signed24(body, at)
        at += 3
    return VideoTag(codec, kind, frame_type == _KEY, cts_ms, body[at:])


def _skip_mod_ex(body: bytes, packet: int) -> tuple[int, int]:
    """Packet type and where it goes on, after any ModEx prefixes (Enhanced RTMP v2, ExVideoTagHeader)."""
    at = 1
    while packet == _MOD_EX:
        size = _byte(body, at) + 1
        at += 1
        if size == 256:
            size = (_byte(body, at) << 8 | _byte(body, at + 1)) + 1
            at += 2
        at += size
        packet = _byte(body, at) & 0x0F
        at += 1
    return packet, at


def _packet_kind(packet: int) -> TagKind:
    return (TagKind.CONFIG, TagKind.FRAME, TagKind.END)[packet] if packet < 3 else TagKind.OTHER


def _fourcc(body: bytes, at: int) -> str:
    code = body[at : at + 4]
    if len(code) < 4:
        raise FlvError("a tag is cut off")
    return _NAMES.get(code) or "".join(chr(letter) if 32 <= letter < 127 else "?" for letter in code)


def _byte(body: bytes, at: int) -> int:
    if at >= len(body):
        raise FlvError("a tag is cut off")
    return body[at]


def _signed24(body: bytes, at: int) -> int:
    return int.from_bytes(body[at : at + 3], "big", signed=True)
