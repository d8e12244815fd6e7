"""Initialisation segments: ftyp + moov with one empty track and mvex (ISO/IEC 23000-19, 7.3)."""

import struct

from edge.protocols.fmp4.boxes import box, full_box
from edge.protocols.fmp4.entries import audio_entry, visual_entry
from edge.protocols.fmp4.track import AudioTrack, VideoTrack

_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_SELF_CONTAINED = 1
_ENABLED_IN_MOVIE = 3


def init_segment(track: VideoTrack | AudioTrack) -> bytes:
    """The bytes of EXT-X-MAP for a track. The same track gives the same bytes."""
    ftyp = box(b"ftyp", b"iso6", struct.pack(">I", 0), b"iso6", b"cmfc", b"mp41")
    trex = full_box(b"trex", 0, 0, struct.pack(">5I", track.track_id, 1, 0, 0, 0))
    moov = box(b"moov", _mvhd(track.timescale, track.track_id + 1), _trak(track), box(b"mvex", trex))
    return ftyp + moov


def _mvhd(timescale: int, next_track_id: int) -> bytes:
    return full_box(
        b"mvhd",
        0,
        0,
        struct.pack(">4I", 0, 0, timescale, 0),
        struct.pack(">IHHII", 0x10000, 0x100, 0, 0, 0),
        _MATRIX,
        bytes(24),
        struct.pack(">I", next_track_id),
    )


def _trak(track: VideoTrack | AudioTrack) -> bytes:
    if isinstance(track, VideoTrack):
        width, height = _display_size(track)
        volume, handler, name = 0, b"vide", b"video"
        media_header = full_box(b"vmhd", 0, 1, bytes(8))
        entry = visual_entry(track)
    else:
        width = height = 0
        volume, handler, name = 0x100, b"soun", b"audio"
        media_header = full_box(b"smhd", 0, 0, bytes(4))
        entry = audio_entry(track)
    tkhd = full_box(
        b"tkhd",
        0,
        _ENABLED_IN_MOVIE,
        struct.pack(">5I", 0, 0, track.track_id, 0, 0),
        struct.pack(">IIHHHH", 0, 0, 0, 0, volume, 0),
        _MATRIX,
        struct.pack(">II", width, height),
    )
    mdhd = full_box(b"mdhd", 0, 0, struct.pack(">4IHH", 0, 0, track.timescale, 0, _UNDETERMINED, 0))
    hdlr = full_box(b"hdlr", 0, 0, struct.pack(">I4s12x", 0, handler), name + b"\0")
    minf = box(b"minf", media_header, _dinf(), _stbl(entry))
    return box(b"trak", tkhd, box(b"mdia", mdhd, hdlr, minf))


def _language(code: str) -> int:
    """ISO 639-2/T, three letters of five bits."""
    first, second, third = (ord(letter) - 0x60 for letter in code)
    return first << 10 | second << 5 | third


_UNDETERMINED = _language("und")


def _display_size(track: VideoTrack) -> tuple[int, int]:
    """Width and height with square pixels, 16.16 fixed point."""
    horizontal, vertical = track.sample_aspect
    if horizontal <= 0 or vertical <= 0:
        horizontal = vertical = 1
    return min((track.width * horizontal << 16) // vertical, 0xFFFFFFFF), track.height << 16


def _dinf() -> bytes:
    url = full_box(b"url ", 0, _SELF_CONTAINED)
    return box(b"dinf", full_box(b"dref", 0, 0, struct.pack(">I", 1), url))


def _stbl(entry: bytes) -> bytes:
    return box(
        b"stbl",
        full_box(b"stsd", 0, 0, struct.pack(">I", 1), entry),
        full_box(b"stts", 0, 0, bytes(4)),
        full_box(b"stsc", 0, 0, bytes(4)),
        full_box(b"stsz", 0, 0, bytes(8)),
        full_box(b"stco", 0, 0, bytes(4)),
    )
