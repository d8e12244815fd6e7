"""VP9 (RFC 9628), flexible mode or not. Several spatial layers of a picture become one superframe."""

from typing import Final

from edge.protocols.webrtc.depayload.base import FrameCollector
from edge.protocols.webrtc.errors import RtpError

_ID: Final = 0x80
_PREDICTED: Final = 0x40
_LAYERS: Final = 0x20
_FLEXIBLE: Final = 0x10
_BEGIN: Final = 0x08
_END: Final = 0x04
_STRUCTURE: Final = 0x02
_LONG: Final = 0x80
_MORE: Final = 0x01
_SIZES: Final = 0x10
_GROUP: Final = 0x08
_MOST_LAYERS: Final = 8


class Vp9Depayloader(FrameCollector):
    """The one piece is a frame, or a superframe with its index (VP9 bitstream, annex B)."""

    def __init__(self) -> None:
        super().__init__()
        self._starts: list[int] = []  # piece at which each layer frame begins

    def _begins(self, payload: bytes) -> bool:
        first = payload[0]
        if not first & _BEGIN:
            return False
        if not first & _LAYERS:
            return True
        at = 1
        if first & _ID:
            at += 2 if len(payload) > 1 and payload[1] & _LONG else 1
        return len(payload) > at and not payload[at] >> 1 & 7  # spatial layer 0

    def _take(self, payload: bytes) -> None:
        first = payload[0]
        at = _skip_descriptor(payload)
        if first & _BEGIN:
            if len(self._starts) >= _MOST_LAYERS:
                raise RtpError("more layers than a superframe has")
            self._starts.append(len(self._pieces))
        if not self._pieces:
            if not self._begins(payload):
                raise RtpError("a picture without its beginning")
            self._key = not first & _PREDICTED
        self._add(payload[at:])

    def _joined(self) -> tuple[bytes, ...]:
        starts, self._starts = self._starts, []
        whole = b"".join(self._pieces)
        if len(starts) < 2:
            return (whole,)
        ends = [*starts[1:], len(self._pieces)]
        sizes = [
            sum(len(piece) for piece in self._pieces[start:end]) for start, end in zip(starts, ends, strict=True)
        ]
        marker = bytes([0xC0 | 3 << 3 | len(sizes) - 1])
        index = marker + b"".join(size.to_bytes(4, "little") for size in sizes) + marker
        return (whole + index,)


def _skip_descriptor(payload: bytes) -> int:
    """Where the picture's bytes begin. IndexError when the descriptor is cut off."""
    first = payload[0]
    at = 1
    if first & _ID:
        at += 2 if payload[at] & _LONG else 1
    if first & _LAYERS:
        at += 1 if first & _FLEXIBLE else 2
    if first & _FLEXIBLE and first & _PREDICTED:
        while payload[at] & _MORE:
            at += 1
        at += 1
    return _skip_structure(payload, at) if first & _STRUCTURE else at


def _skip_structure(payload: bytes, at: int) -> int:
    """The scalability structure (RFC 9628, 4.2.1)."""
    flags = payload[at]
    at += 1
    if flags & _SIZES:
        at += 4 * ((flags >> 5) + 1)
    if flags & _GROUP:
        count = payload[at]
        at += 1
        for _ in range(count):
            at += 1 + (payload[at] >> 2 & 3)
    return at
