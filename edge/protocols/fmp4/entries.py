"""Sample entries: what stsd holds for each codec (ISO/IEC 14496-12, 8.5.2, and each codec's own binding)."""

import struct

from edge.protocols.codecs import flac, mp3, opus
from edge.protocols.fmp4.boxes import box, full_box
from edge.protocols.fmp4.track import AudioTrack, VideoTrack

VIDEO_CONFIG = {"avc1": b"avcC", "hvc1": b"hvcC", "av01": b"av1C", "vp09": b"vpcC", "vp08": b"vpcC"}
AUDIO_CONFIG = {
    "mp4a": b"esds",
    "Opus": b"dOps",
    "fLaC": b"dfLa",
    "ac-3": b"dac3",
    "ec-3": b"dec3",
    ".mp3": b"esds",
}
MP3 = ".mp3"  # no sample entry of its own: mp4a whose descriptor says so
_OBJECT_TYPE_AAC, _AUDIO_STREAM = 0x40, 0x15


def visual_entry(track: VideoTrack) -> bytes:
    """VisualSampleEntry with its configuration, aspect and colour. ValueError for an unknown entry."""
    if track.entry not in VIDEO_CONFIG:
        raise ValueError(f"no sample entry {track.entry}")
    extra = b""
    if track.sample_aspect not in ((1, 1), (0, 0)):
        extra += box(b"pasp", struct.pack(">II", *track.sample_aspect))
    if track.colour is not None:
        *points, full = track.colour
        extra += box(b"colr", b"nclx" + struct.pack(">HHHB", *points, full << 7))
    return box(
        track.entry.encode("ascii"),
        struct.pack(">6xH16xHH", 1, track.width, track.height),
        struct.pack(">IIIH32xHh", 0x480000, 0x480000, 0, 1, 0x18, -1),
        box(VIDEO_CONFIG[track.entry], track.config),
        extra,
    )


def audio_entry(track: AudioTrack) -> bytes:
    """AudioSampleEntry with its configuration. ValueError for an unknown entry, CodecError for its bytes."""
    if track.entry not in AUDIO_CONFIG:
        raise ValueError(f"no sample entry {track.entry}")
    rate = track.sample_rate or track.timescale
    return box(
        b"mp4a" if track.entry == MP3 else track.entry.encode("ascii"),
        struct.pack(">6xH8xHHHHI", 1, track.channels, 16, 0, 0, (rate if rate <= 0xFFFF else 0) << 16),
        _audio_config(track),
    )


def _audio_config(track: AudioTrack) -> bytes:
    if track.entry in ("mp4a", MP3):
        return full_box(b"esds", 0, 0, _es_descriptor(track))
    payload = track.config
    if track.entry == "Opus":
        payload = opus.parse_config(payload).specific_box()
    elif track.entry == "fLaC":
        payload = flac.parse_config(payload).specific_box()
    return box(AUDIO_CONFIG[track.entry], payload)


def _descriptor(tag: int, payload: bytes) -> bytes:
    """ISO/IEC 14496-1, 8.3.3, the length in its four byte form."""
    size = len(payload)
    return (
        bytes([tag, 0x80 | size >> 21 & 0x7F, 0x80 | size >> 14 & 0x7F, 0x80 | size >> 7 & 0x7F, size & 0x7F])
        + payload
    )


def _es_descriptor(track: AudioTrack) -> bytes:
    """ISO/IEC 14496-14, 3.1.2: ES_Descriptor, DecoderConfigDescriptor, DecoderSpecificInfo."""
    is_mp3 = track.entry == MP3
    kind = mp3.OBJECT_TYPE if is_mp3 else _OBJECT_TYPE_AAC
    specific = b"" if is_mp3 else _descriptor(0x05, track.config)
    rates = struct.pack(">II", track.bit_rate, track.bit_rate)
    decoder = _descriptor(0x04, bytes([kind, _AUDIO_STREAM, 0, 0, 0]) + rates + specific)
    return _descriptor(0x03, struct.pack(">HB", track.track_id, 0) + decoder + _descriptor(0x06, b"\x02"))
