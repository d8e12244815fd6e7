"""H.264 (RFC 6184): single NAL units, STAP-A, FU-A; the two packetization modes that real-time senders use."""

from typing import Final

from edge.protocols.webrtc.depayload.base import FrameCollector
from edge.protocols.webrtc.errors import RtpError

_IDR: Final = 5
_SPS: Final = 7
_AUD: Final = 9
_STAP_A: Final = 24
_FU_A: Final = 28
_START: Final = 0x80
_END: Final = 0x40


class H264Depayloader(FrameCollector):
    """Pieces are NAL units without framing."""

    def _begins(self, payload: bytes) -> bool:
        first = payload[0] & 0x1F
        if first == _STAP_A and len(payload) > 3:
            first = payload[3] & 0x1F
        return first in (_SPS, _AUD)

    def _take(self, payload: bytes) -> None:
        kind = payload[0] & 0x1F
        if kind == _FU_A:
            self._take_fragment(payload)
        elif kind == _STAP_A:
            self._take_aggregate(payload)
        elif 1 <= kind < _STAP_A:
            self._nal(payload)
        else:
            raise RtpError("an interleaved or undefined packet type")

    def _take_fragment(self, payload: bytes) -> None:
        header = payload[1]
        if header & _START:
            self._open(bytes([payload[0] & 0xE0 | header & 0x1F]))
        self._extend(payload[2:])
        if header & _END:
            self._nal(self._close())

    def _take_aggregate(self, payload: bytes) -> None:
        at = 1
        while at + 2 < len(payload):
            size = payload[at] << 8 | payload[at + 1]
            at += 2
            if not size or at + size > len(payload):
                raise RtpError("an aggregated NAL unit is cut off")
            self._nal(payload[at : at + size])
            at += size

    def _nal(self, nal: bytes) -> None:
        self._key = self._key or nal[0] & 0x1F == _IDR
        self._add(nal)
