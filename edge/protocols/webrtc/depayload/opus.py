"""Opus (RFC 7587): one packet, one frame."""

from edge.protocols.codecs.opus import silence
from edge.protocols.webrtc.depayload.base import Frame
from edge.protocols.webrtc.rtp import RtpPacket


class OpusDepayloader:
    """Nothing is collected; a hole before a packet does not damage it."""

    def push(self, packet: RtpPacket, after_loss: bool = False) -> list[Frame]:
        """The frame of this packet, none for an empty one."""
        _ = after_loss
        if not packet.payload:
            return []
        return [Frame(packet.timestamp, (packet.payload,), True, False, packet.at)]


def silence_like(packet: bytes) -> bytes:
    """20 ms of silence with as many channels as `packet` has."""
    return silence(2 if packet[0] & 0x04 else 1)
