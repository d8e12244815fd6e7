"""VP8 (RFC 7741): a payload descriptor of one to six bytes before a piece of the frame."""

from typing import Final

from edge.protocols.webrtc.depayload.base import FrameCollector
from edge.protocols.webrtc.errors import RtpError

_EXTENDED: Final = 0x80
_START: Final = 0x10
_PARTITION: Final = 0x07
_PICTURE_ID: Final = 0x80
_TL0PICIDX: Final = 0x40
_TID_OR_KEYIDX: Final = 0x30
_LONG: Final = 0x80


class Vp8Depayloader(FrameCollector):
    """The one piece is the frame."""

    def _begins(self, payload: bytes) -> bool:
        return payload[0] & (_START | _PARTITION) == _START

    def _take(self, payload: bytes) -> None:
        at = 1
        if payload[0] & _EXTENDED:
            flags = payload[1]
            at = 2
            if flags & _PICTURE_ID:
                at += 2 if payload[at] & _LONG else 1
            at += bool(flags & _TL0PICIDX) + bool(flags & _TID_OR_KEYIDX)
        if self._begins(payload):
            self._key = not payload[at] & 1  # the frame tag's inverse key bit (RFC 6386, 9.1)
        elif not self._pieces:
            raise RtpError("a frame without its first partition")
        self._add(payload[at:])

    def _joined(self) -> tuple[bytes, ...]:
        return (b"".join(self._pieces),)
