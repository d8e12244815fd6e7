"""Writes tag bodies in the enhanced form (Enhanced RTMP v2). What is written here, `parse_*` reads back."""

from typing import Final

from edge.protocols.flv.tags import TagKind

_EX_VIDEO: Final = 0x80
_EX_AUDIO: Final = 0x90
_KEY: Final = 1
_INTER: Final = 2
_PACKETS: Final = {TagKind.CONFIG: 0, TagKind.FRAME: 1, TagKind.END: 2}
_CODED_FRAMES_X: Final = 3
_METADATA: Final = 4
_MULTITRACK_VIDEO: Final = 6
_MULTITRACK_AUDIO: Final = 5
_MOD_EX: Final = 7
_ONE_TRACK: Final = 0
_HAS_COMPOSITION_TIME: Final = frozenset({"avc1", "hvc1", "vvc1"})


def video_tag(
    codec: str, kind: TagKind, *, key: bool, cts_ms: int = 0, nano: int = 0, track: int = 0, data: bytes = b""
) -> bytes:
    """A video body. `codec` is a FourCC ("avc1", "hvc1", "av01", "vp09", "vp08"), `cts_ms` signed 24 bits.

    Only AVC, HEVC and VVC frames have a composition time. `nano` is 0 to 999999, `track` 0 to 255.
    """
    packet = _METADATA if kind is TagKind.METADATA else _PACKETS[kind]
    timed = kind is TagKind.FRAME and codec in _HAS_COMPOSITION_TIME
    if timed and not cts_ms:
        packet, timed = _CODED_FRAMES_X, False
    first = _EX_VIDEO | (_KEY if key else _INTER) << 4
    head = _header(first, packet, nano, track, _MULTITRACK_VIDEO, codec)
    return head + (cts_ms.to_bytes(3, "big", signed=True) if timed else b"") + data


def audio_tag(codec: str, kind: TagKind, *, nano: int = 0, track: int = 0, data: bytes = b"") -> bytes:
    """An audio body. `codec` is a FourCC ("mp4a", "Opus", "fLaC", "ac-3", "ec-3")."""
    return _header(_EX_AUDIO, _PACKETS[kind], nano, track, _MULTITRACK_AUDIO, codec) + data


def _header(first: int, packet: int, nano: int, track: int, multitrack: int, codec: str) -> bytes:
    """From the first byte to what a track's body begins with."""
    following = packet if not track else multitrack
    out = bytes([first | following])
    if nano:
        out = bytes([first | _MOD_EX, 2]) + nano.to_bytes(3, "big") + bytes([following])
    if track:
        out += bytes([_ONE_TRACK << 4 | packet])
    out += codec.encode("ascii")
    return out + (bytes([track]) if track else b"")
