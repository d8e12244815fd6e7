"""Raw pictures for a program that reads a pipe: a live Matroska stream (RFC 9559), one cluster per picture.

Chosen because it carries each picture's own time and the frame rate, needs no index, and is a dozen elements.
"""

from fractions import Fraction

_SCALE_NS = 1000  # a timestamp is a microsecond
_UNKNOWN = b"\x01" + b"\xff" * 7


def _size(count: int) -> bytes:
    return (1 << 56 | count).to_bytes(8, "big")


def _element(name: str, payload: bytes | int) -> bytes:
    if isinstance(payload, int):
        payload = payload.to_bytes(max(1, (payload.bit_length() + 7) // 8), "big")
    return bytes.fromhex(name) + _size(len(payload)) + payload


def stream_head(width: int, height: int, rate: Fraction) -> bytes:
    """What comes before the first picture, 8 bit 4:2:0 in three planes. `rate` in frames per second."""
    head = _element("4282", b"matroska") + _element("4287", 4) + _element("4285", 2)
    info = _element("2AD7B1", _SCALE_NS) + _element("4D80", b"nearcast") + _element("5741", b"nearcast")
    video = _element("B0", width) + _element("BA", height) + _element("2EB524", b"I420")
    track = _element("D7", 1) + _element("73C5", 1) + _element("83", 1) + _element("9C", 0)
    track += _element("86", b"V_UNCOMPRESSED") + _element("23E383", round(1_000_000_000 / rate))
    tracks = _element("1654AE6B", _element("AE", track + _element("E0", video)))
    return _element("1A45DFA3", head) + bytes.fromhex("18538067") + _UNKNOWN + _element("1549A966", info) + tracks


def picture_head(time_us: int, size: int) -> bytes:
    """What comes before a picture of `size` bytes."""
    stamp = _element("E7", time_us)
    block = b"\x81\0\0\x80"  # track 1, at the cluster's own time, a key frame
    simple = bytes.fromhex("A3") + _size(len(block) + size) + block
    return bytes.fromhex("1F43B675") + _size(len(stamp) + len(simple) + size) + stamp + simple
