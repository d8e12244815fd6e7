"""RTP payloads of frames that we send: the other way round than `depayload`. One call per frame, no state."""

from edge.protocols.webrtc.payload.h264 import MOST_BYTES, packetize_h264

__all__ = ["MOST_BYTES", "packetize_h264"]
