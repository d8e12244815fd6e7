"""HEVC (RFC 7798): single NAL units, aggregation packets, fragmentation units; without DONL fields."""

from typing import Final

from edge.protocols.webrtc.depayload.base import FrameCollector
from edge.protocols.webrtc.errors import RtpError

_VPS: Final = 32
_SPS: Final = 33
_AUD: Final = 35
_AGGREGATE: Final = 48
_FRAGMENT: Final = 49
_FIRST_IRAP: Final = 16
_LAST_IRAP: Final = 21
_START: Final = 0x80
_END: Final = 0x40


class HevcDepayloader(FrameCollector):
    """Pieces are NAL units without framing."""

    def _begins(self, payload: bytes) -> bool:
        first = payload[0] >> 1 & 0x3F
        if first == _AGGREGATE and len(payload) > 4:
            first = payload[4] >> 1 & 0x3F
        return first in (_VPS, _SPS, _AUD)

    def _take(self, payload: bytes) -> None:
        kind = payload[0] >> 1 & 0x3F
        if kind == _FRAGMENT:
            self._take_fragment(payload)
        elif kind == _AGGREGATE:
            self._take_aggregate(payload)
        elif kind < _AGGREGATE and len(payload) > 2:
            self._nal(payload)
        else:
            raise RtpError("an undefined packet type")

    def _take_fragment(self, payload: bytes) -> None:
        header = payload[2]
        if header & _START:
            self._open(bytes([payload[0] & 0x81 | (header & 0x3F) << 1, payload[1]]))
        self._extend(payload[3:])
        if header & _END:
            self._nal(self._close())

    def _take_aggregate(self, payload: bytes) -> None:
        at = 2
        while at + 2 < len(payload):
            size = payload[at] << 8 | payload[at + 1]
            at += 2
            if size < 2 or at + size > len(payload):
                raise RtpError("an aggregated NAL unit is cut off")
            self._nal(payload[at : at + size])
            at += size

    def _nal(self, nal: bytes) -> None:
        self._key = self._key or _FIRST_IRAP <= nal[0] >> 1 & 0x3F <= _LAST_IRAP
        self._add(nal)
