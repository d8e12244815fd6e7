"""RTP payloads back to frames, a class per codec behind `Depayloader`.

For the receiver of one source: packets in their order in, frames out. Damage marks a frame, it never raises.
"""

from edge.protocols.webrtc.depayload.av1 import Av1Depayloader
from edge.protocols.webrtc.depayload.base import Depayloader, Frame
from edge.protocols.webrtc.depayload.h264 import H264Depayloader
from edge.protocols.webrtc.depayload.hevc import HevcDepayloader
from edge.protocols.webrtc.depayload.opus import OpusDepayloader
from edge.protocols.webrtc.depayload.vp8 import Vp8Depayloader
from edge.protocols.webrtc.depayload.vp9 import Vp9Depayloader

DEPAYLOADERS: dict[str, type[Depayloader]] = {
    "h264": H264Depayloader,
    "h265": HevcDepayloader,
    "vp8": Vp8Depayloader,
    "vp9": Vp9Depayloader,
    "av1": Av1Depayloader,
    "opus": OpusDepayloader,
}
"""By the codec's name in rtpmap, lower case."""

__all__ = ["DEPAYLOADERS", "Depayloader", "Frame"]
