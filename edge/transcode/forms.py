"""What a decoder must know of a source: read from an initialisation segment of the part log."""

import struct
from typing import NamedTuple

from appliance.contracts.errors import BadInputError
from appliance.contracts.media import Init

_VISUAL_FIELDS, _AUDIO_FIELDS = 78, 28  # of a sample entry before its boxes (ISO/IEC 14496-12, 12.1.3, 12.2.3)
_ENTRY_AT = 12  # from the type of stsd to its first entry

_VIDEO_DECODERS = {
    b"avc1": "h264",
    b"avc3": "h264",
    b"hvc1": "hevc",
    b"hev1": "hevc",
    b"av01": "libdav1d",
    b"vp09": "vp9",
    b"vp08": "vp8",
}
_VIDEO_CONFIGS = {"h264": b"avcC", "hevc": b"hvcC", "libdav1d": b"av1C"}
_AUDIO_DECODERS = {
    b"mp4a": "aac",
    b"Opus": "opus",
    b"fLaC": "flac",
    b"ac-3": "ac3",
    b"ec-3": "eac3",
    b".mp3": "mp3float",
}
_MPEG_AUDIO = (0x69, 0x6B)  # objectTypeIndication of MP3 (ISO/IEC 14496-1, table 5)


class SourceError(BadInputError):
    """An initialisation segment that no decoder here is for."""

    code = "source_codec"


class VideoForm(NamedTuple):
    """A video decoder's name and extradata as FFmpeg has them, and what the picture is. Rates exact."""

    decoder: str
    extradata: bytes
    frame_rate: tuple[int, int] = (0, 1)
    sample_aspect: tuple[int, int] = (1, 1)


class AudioForm(NamedTuple):
    """An audio decoder's name and extradata as FFmpeg has them. `timescale` ticks per second of its times."""

    decoder: str
    extradata: bytes
    sample_rate: int
    channels: int
    timescale: int


def video_form(init: Init) -> VideoForm:
    """The form of a video rendition. SourceError."""
    kind, boxes = _sample_entry(init.data, _VISUAL_FIELDS)
    decoder = _VIDEO_DECODERS.get(kind)
    if decoder is None or init.video is None:
        raise SourceError(f"no video decoder for {kind!r}")
    extradata = b""
    if decoder in _VIDEO_CONFIGS:
        extradata = boxes.get(_VIDEO_CONFIGS[decoder], b"")
        if not extradata:
            raise SourceError(f"no decoder configuration for {kind!r}")
    return VideoForm(decoder, extradata, init.video.frame_rate, init.video.sample_aspect)


def audio_form(init: Init, timescale: int) -> AudioForm:
    """The form of an audio rendition. SourceError."""
    kind, boxes = _sample_entry(init.data, _AUDIO_FIELDS)
    decoder = _AUDIO_DECODERS.get(kind)
    if decoder is None or init.audio is None:
        raise SourceError(f"no audio decoder for {kind!r}")
    extradata = b""
    if decoder == "aac":
        object_type, extradata = _elementary_stream(boxes.get(b"esds", b""))
        if object_type in _MPEG_AUDIO:
            decoder, extradata = "mp3float", b""
    elif decoder == "opus":
        extradata = _opus_head(boxes.get(b"dOps", b""))
    elif decoder == "flac":
        extradata = boxes.get(b"dfLa", b"")[8:42]  # STREAMINFO behind version, flags and block header
    return AudioForm(decoder, extradata, init.audio.sample_rate, init.audio.channels, timescale)


def _sample_entry(data: bytes, fields: int) -> tuple[bytes, dict[bytes, bytes]]:
    """Type and boxes of the only sample entry."""
    at = data.find(b"stsd")
    if at < 0 or at + _ENTRY_AT + 8 > len(data):
        raise SourceError("an initialisation segment without a sample entry")
    start = at + _ENTRY_AT
    size, kind = struct.unpack_from(">I4s", data, start)
    end = min(start + size, len(data))
    boxes: dict[bytes, bytes] = {}
    at = start + 8 + fields
    while at + 8 <= end:
        size, name = struct.unpack_from(">I4s", data, at)
        if size < 8:
            break
        boxes.setdefault(name, data[at + 8 : min(at + size, end)])
        at += size
    return kind, boxes


def _elementary_stream(esds: bytes) -> tuple[int, bytes]:
    """objectTypeIndication and DecoderSpecificInfo of an esds box (ISO/IEC 14496-1, 7.2.6)."""
    at, object_type = 4, 0
    while at + 2 <= len(esds):
        tag, at = esds[at], at + 1
        size = 0
        while at < len(esds):
            size, more, at = size << 7 | esds[at] & 0x7F, esds[at] & 0x80, at + 1
            if not more:
                break
        if tag == 0x03:
            at += 3
        elif tag == 0x04:
            object_type = esds[at] if at < len(esds) else 0
            at += 13
        elif tag == 0x05:
            return object_type, esds[at : at + size]
        else:
            at += size
    return object_type, b""


def _opus_head(box: bytes) -> bytes:
    """The identification header (RFC 7845, 5.1) of a dOps box, which has its numbers the other way round.

    Pre-skip is 0: times in the part log are those of what the decoder gives, from its first sample on.
    """
    if len(box) < 11:
        raise SourceError("no decoder configuration for Opus")
    _, channels, _, rate, gain, mapping = struct.unpack_from(">BBHIhB", box)
    return b"OpusHead" + struct.pack("<BBHIhB", 1, channels, 0, rate, gain, mapping) + box[11:]
