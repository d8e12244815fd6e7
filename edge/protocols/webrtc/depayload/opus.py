"""Opus (RFC 7587): one packet, one frame."""

from edge.protocols.webrtc.depayload.base import Depayloader, Frame
from edge.protocols.webrtc.rtp import RtpPacket

_FRAME_48K = (480, 960, 1920, 2880)  # 10, 20, 40, 60 ms: SILK
_HYBRID_48K = (480, 960)
_CELT_48K = (120, 240, 480, 960)
_MOST_SAMPLES = 5760  # 120 ms


class OpusDepayloader(Depayloader):
    """Nothing is collected; a hole before a packet does not damage it."""

    def push(self, packet: RtpPacket, after_loss: bool = False) -> list[Frame]:
        """The frame of this packet, none for an empty one."""
        _ = after_loss
        if not packet.payload:
            return []
        return [Frame(packet.timestamp, (packet.payload,), True, False, packet.at)]


def samples_of(packet: bytes) -> int:
    """How many samples at 48 kHz an Opus packet lasts (RFC 6716, 3.1); 0 when it cannot be said."""
    if not packet:
        return 0
    configuration, code = packet[0] >> 3, packet[0] & 3
    if configuration < 12:
        each = _FRAME_48K[configuration & 3]
    elif configuration < 16:
        each = _HYBRID_48K[configuration & 1]
    else:
        each = _CELT_48K[configuration & 3]
    if code == 3:
        count = packet[1] & 0x3F if len(packet) > 1 else 0
    else:
        count = 1 if code == 0 else 2
    return each * count if each * count <= _MOST_SAMPLES else 0


def silence_like(packet: bytes) -> bytes:
    """20 ms of silence with as many channels as `packet` has."""
    return bytes([0xF8 | packet[0] & 0x04, 0xFF, 0xFE])
