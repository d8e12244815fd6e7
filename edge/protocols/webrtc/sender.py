"""One outgoing RTP stream to one peer: header, retransmissions (RFC 4588), sender reports (RFC 3550, 6.4).

What is alike for all peers - payloads and media times - comes in; what differs - SSRC, numbers, offsets - is here.
"""

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from edge.protocols.webrtc import rtcp

RING = 512
"""Packets kept for retransmission: half of libsrtp's window."""

_HEADER = struct.Struct("!BBHII")
_NAME = b"nearcast"
_NTP_EPOCH_S = 2_208_988_800
_NTP_SECOND = 1 << 32
_EXTENDED = 0x10
_ONE_BYTE_BLOCK = b"\xbe\xde\x00\x01"


class StreamForm(NamedTuple):
    """What was negotiated. `rtx_type` is -1 without retransmissions; `send_time_id` 0 without that extension."""

    ssrc: int
    payload_type: int
    clock_rate: int
    rtx_ssrc: int = 0
    rtx_type: int = -1
    send_time_id: int = 0


class RtpSender:
    """Packets leave unprotected. `media` times are ticks of the clock rate, `wall_s` Unix seconds."""

    def __init__(self, form: StreamForm, *, sequence: int, rtx_sequence: int, offset: int) -> None:
        """First sequence numbers (16 bits) and the offset of RTP times (32 bits): random ones (RFC 3550, 5.1)."""
        self.form = form
        self.packets = 0
        self.octets = 0
        self._sequence = sequence & 0xFFFF
        self._rtx_sequence = rtx_sequence & 0xFFFF
        self._offset = offset & 0xFFFFFFFF
        self._ring: list[bytes | None] = [None] * (RING if form.rtx_type >= 0 else 0)

    def packetize(self, payloads: Sequence[bytes], media: int, wall_s: float, *, ends_frame: bool) -> list[bytes]:
        """Packets of (a part of) a frame at `media`; the last one has the marker when it `ends_frame`."""
        form, ring = self.form, self._ring
        extension = _send_time(form.send_time_id, wall_s)
        first = 0x80 | (_EXTENDED if extension else 0)
        timestamp = (media + self._offset) & 0xFFFFFFFF
        last = len(payloads) - 1 if ends_frame else -1
        sequence = self._sequence
        packets = []
        for number, payload in enumerate(payloads):
            second = form.payload_type | (0x80 if number == last else 0)
            packet = _HEADER.pack(first, second, sequence, timestamp, form.ssrc) + extension + payload
            packets.append(packet)
            if ring:
                ring[sequence % RING] = packet
            sequence = (sequence + 1) & 0xFFFF
            self.octets += len(payload)
        self._sequence = sequence
        self.packets += len(packets)
        return packets

    def repeat(self, sequences: Iterable[int], wall_s: float) -> list[bytes]:
        """Retransmissions of those that are still in the ring."""
        form = self.form
        if not self._ring:
            return []
        found = []
        for sequence in sequences:
            packet = self._ring[sequence % RING]
            if packet is not None and packet[2] << 8 | packet[3] == sequence:
                found.append(self._repetition(packet, _send_time(form.send_time_id, wall_s)))
        return found

    def _repetition(self, packet: bytes, extension: bytes) -> bytes:
        first, second, _, timestamp, _ = _HEADER.unpack_from(packet)
        second = second & 0x80 | self.form.rtx_type
        header = _HEADER.pack(first, second, self._rtx_sequence, timestamp, self.form.rtx_ssrc)
        self._rtx_sequence = (self._rtx_sequence + 1) & 0xFFFF
        return header + extension + packet[2:4] + packet[_HEADER.size + len(extension) :]

    def report(self, media: float, wall_s: float) -> bytes:
        """A sender report: at `wall_s` it was `media` on this stream's clock."""
        ntp = int((wall_s + _NTP_EPOCH_S) * _NTP_SECOND)
        rtp = int(media) + self._offset
        head = rtcp.sender_report(self.form.ssrc, ntp, rtp, self.packets, self.octets)
        return head + rtcp.source_description(self.form.ssrc, _NAME)


def _send_time(identifier: int, wall_s: float) -> bytes:
    """An extension block with the time of sending: seconds in 6.18 bits (abs-send-time)."""
    if not identifier:
        return b""
    stamp = int(wall_s * (1 << 18)) & 0xFFFFFF
    return _ONE_BYTE_BLOCK + (identifier << 28 | 2 << 24 | stamp).to_bytes(4, "big")
