"""Takes an initialisation segment apart: ftyp + moov to what its first track is."""

import struct

from edge.protocols.codecs import flac, mp3, opus
from edge.protocols.codecs.bits import CodecError
from edge.protocols.fmp4.entries import AUDIO_CONFIG, MP3, VIDEO_CONFIG
from edge.protocols.fmp4.reader import FragmentError, boxes
from edge.protocols.fmp4.track import InitTrack

_VISUAL_BYTES, _AUDIO_BYTES = 78, 28
_PATH = (b"moov", b"trak", b"mdia")


def read_init(data: bytes | memoryview) -> InitTrack:
    """The first track of an initialisation segment. FragmentError when it is not one we write."""
    view = memoryview(data)
    media = view
    for kind in _PATH:
        media = _child(media, kind)
    timescale = _timescale(_child(media, b"mdhd"))
    description = _child(_child(_child(media, b"minf"), b"stbl"), b"stsd")
    for kind, _, body, end in boxes(description, 8, len(description)):
        entry = kind.decode("latin-1")
        track = _child(_child(view, b"moov"), b"trak")
        track_id = _track_id(_child(track, b"tkhd"))
        if entry in VIDEO_CONFIG:
            return _video(entry, description[body:end], timescale, track_id)
        if entry in AUDIO_CONFIG:
            return _audio(entry, description[body:end], timescale, track_id)
        raise FragmentError("a sample entry that is not known")
    raise FragmentError("no sample entry")


def _video(entry: str, body: memoryview, timescale: int, track_id: int) -> InitTrack:
    if len(body) < _VISUAL_BYTES:
        raise FragmentError("a sample entry is cut off")
    width, height = struct.unpack_from(">HH", body, 24)
    if not width or not height:
        raise FragmentError("a sample entry without a size")
    inner = body[_VISUAL_BYTES:]
    aspect = (1, 1)
    for kind, _, at, end in boxes(inner, 0, len(inner)):
        if kind == b"pasp" and end - at >= 8:
            aspect = struct.unpack_from(">II", inner, at)
    return InitTrack(
        entry=entry,
        config=bytes(_child(inner, VIDEO_CONFIG[entry])),
        timescale=timescale,
        width=width,
        height=height,
        sample_aspect=aspect,
        track_id=track_id,
    )


def _audio(entry: str, body: memoryview, timescale: int, track_id: int) -> InitTrack:
    if len(body) < _AUDIO_BYTES:
        raise FragmentError("a sample entry is cut off")
    channels, rate = struct.unpack_from(">H", body, 16)[0], struct.unpack_from(">I", body, 24)[0] >> 16
    payload = bytes(_child(body[_AUDIO_BYTES:], AUDIO_CONFIG[entry]))
    if entry == "mp4a" and _decoder_config(payload[4:])[:1] == bytes([mp3.OBJECT_TYPE]):
        entry = MP3
    try:
        config = _audio_config(entry, payload)
    except CodecError as error:
        raise FragmentError(error.detail) from error
    return InitTrack(
        entry=entry,
        config=config,
        timescale=timescale,
        sample_rate=rate or timescale,
        channels=channels,
        track_id=track_id,
    )


def _audio_config(entry: str, payload: bytes) -> bytes:
    """What a decoder takes, of the payload of the configuration box."""
    if entry == "Opus":
        return opus.parse_specific_box(payload).encode()
    if entry == "fLaC":
        return flac.parse_config(payload[4:]).stream_info
    if entry == MP3:
        return b""
    return _descriptor(_decoder_config(payload[4:])[13:], 5) if entry == "mp4a" else payload


def _decoder_config(payload: bytes) -> bytes:
    """DecoderConfigDescriptor of an ES_Descriptor (ISO/IEC 14496-1, 7.2.6)."""
    return _descriptor(_descriptor(payload, 3)[3:], 4)


def _descriptor(payload: bytes, wanted: int) -> bytes:
    at = 0
    while at < len(payload):
        tag, at, size = payload[at], at + 1, 0
        for _ in range(4):
            if at >= len(payload):
                break
            byte, at = payload[at], at + 1
            size = size << 7 | byte & 0x7F
            if not byte & 0x80:
                break
        if tag == wanted:
            return payload[at : at + size]
        at += size
    raise FragmentError("an elementary stream descriptor is missing")


def _child(view: memoryview, wanted: bytes) -> memoryview:
    for kind, _, body, end in boxes(view, 0, len(view)):
        if kind == wanted:
            return view[body:end]
    raise FragmentError("a box is missing")


def _timescale(mdhd: memoryview) -> int:
    at = 20 if len(mdhd) and mdhd[0] == 1 else 12
    if len(mdhd) < at + 4:
        raise FragmentError("a box ends too early")
    value: int = struct.unpack_from(">I", mdhd, at)[0]
    if not value:
        raise FragmentError("a track without a timescale")
    return value


def _track_id(tkhd: memoryview) -> int:
    at = 20 if len(tkhd) and tkhd[0] == 1 else 12
    if len(tkhd) < at + 4:
        raise FragmentError("a box ends too early")
    value: int = struct.unpack_from(">I", tkhd, at)[0]
    return value
