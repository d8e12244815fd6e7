"""RTP packets (RFC 3550, 5.1), header extensions (RFC 8285), retransmissions (RFC 4588), serial numbers."""

import struct
from typing import Final

from edge.protocols.webrtc.errors import RtpError

_HEADER: Final = struct.Struct("!BBHII")
_TWO_BYTES: Final = struct.Struct("!HH")
_ONE_BYTE_PROFILE: Final = 0xBEDE
_TWO_BYTE_PROFILE: Final = 0x100


class RtpPacket:
    """One packet. `extensions` is the raw extension block, empty when there is none; `at` its arrival."""

    __slots__ = ("at", "extension_profile", "extensions", "marker", "payload", "payload_type", "sequence", "ssrc",
                 "timestamp")  # fmt: skip

    def __init__(
        self, payload_type: int, marker: bool, sequence: int, timestamp: int, ssrc: int, payload: bytes, at: float
    ) -> None:
        self.payload_type = payload_type
        self.marker = marker
        self.sequence = sequence
        self.timestamp = timestamp
        self.ssrc = ssrc
        self.payload = payload
        self.at = at
        self.extension_profile = 0
        self.extensions = b""


def is_rtcp(datagram: bytes) -> bool:
    """Whether a datagram of the RTP range is RTCP (RFC 5761, 4)."""
    return len(datagram) > 1 and 192 <= datagram[1] <= 223


def parse_packet(data: bytes, at: float) -> RtpPacket:
    """Reads a decrypted packet that arrived at `at` (seconds). RtpError when it is malformed."""
    end = len(data)
    if end < 12:
        raise RtpError("shorter than its header")
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    start = 12 + 4 * (first & 0x0F)
    profile, block = 0, b""
    if first & 0x10:
        if start + 4 > end:
            raise RtpError("header extension cut off")
        profile, words = _TWO_BYTES.unpack_from(data, start)
        block = data[start + 4 : start + 4 + 4 * words]
        start += 4 + 4 * words
    if first & 0x20:
        if not data[end - 1]:
            raise RtpError("padding of no length")
        end -= data[end - 1]
    if first >> 6 != 2 or start > end:
        raise RtpError("not RTP, or its payload is cut off")
    packet = RtpPacket(second & 0x7F, second > 0x7F, sequence, timestamp, ssrc, data[start:end], at)
    packet.extension_profile, packet.extensions = profile, block
    return packet


def header_extension(packet: RtpPacket, identifier: int) -> bytes:
    """The value of a header extension, empty when the packet has none of it; damage ends the search."""
    if packet.extension_profile == _ONE_BYTE_PROFILE:
        return _one_byte(packet.extensions, identifier)
    if packet.extension_profile >> 4 == _TWO_BYTE_PROFILE:
        return _two_byte(packet.extensions, identifier)
    return b""


def _one_byte(block: bytes, wanted: int) -> bytes:
    at, end = 0, len(block)
    while at < end:
        head = block[at]
        at += 1
        if not head:  # padding
            continue
        identifier, size = head >> 4, (head & 0x0F) + 1
        if identifier == wanted:
            return block[at : at + size]
        if identifier == 15:
            break
        at += size
    return b""


def _two_byte(block: bytes, wanted: int) -> bytes:
    at, end = 0, len(block)
    while at + 1 < end:
        if not block[at]:
            at += 1
            continue
        if block[at] == wanted:
            return block[at + 2 : at + 2 + block[at + 1]]
        at += 2 + block[at + 1]
    return b""


def restore_retransmission(packet: RtpPacket, payload_type: int, ssrc: int) -> RtpPacket | None:
    """The original packet inside a retransmission; None for one without content (a bandwidth probe)."""
    if len(packet.payload) < 2:
        return None
    sequence = packet.payload[0] << 8 | packet.payload[1]
    return RtpPacket(payload_type, packet.marker, sequence, packet.timestamp, ssrc, packet.payload[2:], packet.at)


class SerialUnwrap:
    """Serial numbers of `bits` bits to integers that go on growing; a late one maps below the highest.

    The first result is at least 2**bits, so that packets from before the first one stay positive.
    """

    __slots__ = ("_half", "_size", "highest")

    def __init__(self, bits: int) -> None:
        self._size = 1 << bits
        self._half = self._size >> 1
        self.highest = -1

    def __call__(self, value: int) -> int:
        if self.highest < 0:
            self.highest = value + self._size
            return self.highest
        step = (value - self.highest) % self._size
        if step < self._half:
            self.highest += step
            return self.highest
        return self.highest + step - self._size

    def near(self, value: int) -> int:
        """What `value` maps to, without taking it for a number that was seen. -1 before the first one."""
        if self.highest < 0:
            return -1
        step = (value - self.highest) % self._size
        return self.highest + step - (self._size if step >= self._half else 0)
