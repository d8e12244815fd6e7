"""H.264 (RFC 6184) in packetization mode 1: small NAL units together in a STAP-A, large ones in FU-A pieces."""

from collections.abc import Iterable

MOST_BYTES = 1180
"""Of a payload: with RTP header, extension, SRTP tag and IPv6 it stays below 1280 bytes, which every path takes."""

_STAP_A, _FU_A = 24, 28
_FU_HEAD = 2
_START, _END = 0x80, 0x40


def packetize_h264(nals: Iterable[bytes | memoryview], most: int = MOST_BYTES) -> list[bytes]:
    """The payloads of an access unit in order; the packet of the last one carries the marker.

    NAL units come without framing. Fragments of one NAL unit are of equal size but for the last.
    """
    payloads: list[bytes] = []
    held: list[bytes | memoryview] = []
    size = 1
    for nal in nals:
        if not len(nal):
            continue
        if held and size + 2 + len(nal) > most:
            payloads.append(_together(held))
            held, size = [], 1
        if len(nal) > most:
            payloads += _fragments(nal, most)
            continue
        held.append(nal)
        size += 2 + len(nal)
    if held:
        payloads.append(_together(held))
    return payloads


def _together(nals: list[bytes | memoryview]) -> bytes:
    """A single NAL unit packet, or a STAP-A with the highest NRI of its units (RFC 6184, 5.7)."""
    if len(nals) == 1:
        return bytes(nals[0])
    importance = max(nal[0] & 0x60 for nal in nals)
    forbidden = max(nal[0] & 0x80 for nal in nals)
    pieces: list[bytes | memoryview] = [bytes([forbidden | importance | _STAP_A])]
    for nal in nals:
        pieces.append(len(nal).to_bytes(2, "big"))
        pieces.append(nal)
    return b"".join(pieces)


def _fragments(nal: bytes | memoryview, most: int) -> list[bytes]:
    count = -(-(len(nal) - 1) // (most - _FU_HEAD))
    step = -(-(len(nal) - 1) // count)
    indicator, kind = nal[0] & 0xE0 | _FU_A, nal[0] & 0x1F
    pieces = []
    for at in range(1, len(nal), step):
        end = at + step
        flags = (_START if at == 1 else 0) | (_END if end >= len(nal) else 0)
        pieces.append(bytes([indicator, flags | kind]) + nal[at:end])
    return pieces
