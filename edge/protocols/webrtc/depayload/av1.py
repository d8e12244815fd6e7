"""AV1 (RTP Payload Format for AV1, v1.0): OBU elements, of which one may go on in the next packet."""

from typing import Final

from edge.protocols.webrtc.depayload.base import FrameCollector
from edge.protocols.webrtc.errors import RtpError

_CONTINUES: Final = 0x80
_GOES_ON: Final = 0x40
_NEW_SEQUENCE: Final = 0x08
_TEMPORAL_DELIMITER: Final = 2
_TILE_LIST: Final = 8
_PADDING: Final = 15
_LEFT_OUT: Final = frozenset({_TEMPORAL_DELIMITER, _TILE_LIST, _PADDING})


class Av1Depayloader(FrameCollector):
    """Pieces are OBUs as they were sent, mostly without a size field."""

    def _begins(self, payload: bytes) -> bool:
        return bool(payload[0] & _NEW_SEQUENCE) and not payload[0] & _CONTINUES

    def _take(self, payload: bytes) -> None:
        header = payload[0]
        count = header >> 4 & 3
        self._key = self._key or bool(header & _NEW_SEQUENCE)
        at, number = 1, 0
        while at < len(payload):
            number += 1
            size = len(payload) - at
            if number != count:
                size, at = read_leb128(payload, at)
            if at + size > len(payload):
                raise RtpError("an OBU element is cut off")
            element = payload[at : at + size]
            at += size
            self._element(element, is_first=number == 1, is_last=at >= len(payload), header=header)

    def _element(self, element: bytes, *, is_first: bool, is_last: bool, header: int) -> None:
        if is_first and header & _CONTINUES:
            self._extend(element)
        else:
            self._open(element)
        if is_last and header & _GOES_ON:
            return
        obu = self._close()
        if obu and obu[0] >> 3 & 0x0F not in _LEFT_OUT:
            self._add(obu)


def read_leb128(data: bytes, at: int) -> tuple[int, int]:
    """A leb128() value and the position behind it (AV1 specification, 4.10.5)."""
    value = 0
    for index in range(8):
        byte = data[at + index]
        value |= (byte & 0x7F) << 7 * index
        if not byte & 0x80:
            return value, at + index + 1
    raise RtpError("a length of more than eight bytes")
