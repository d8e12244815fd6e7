"""RTMP, the publishing half of a server (Adobe, "RTMP specification 1.0"; "Enhanced RTMP v2").

One `RtmpConnection` per TCP connection, called by the task that owns the socket. Encoders get the protocol
wrong in many ways: what can be understood is accepted and reported as a `Quirk`; what cannot closes the
connection with a reason. A stream key is never part of a reason or a quirk.
"""

from edge.protocols.rtmp.capabilities import CapsEx
from edge.protocols.rtmp.connection import RtmpConnection, RtmpLimits
from edge.protocols.rtmp.events import (
    AudioData,
    Closed,
    Connected,
    Cue,
    Event,
    Metadata,
    PublishRequested,
    Quirk,
    Unpublished,
    VideoData,
)
from edge.protocols.rtmp.names import KEY_PARAMETERS

__all__ = [
    "KEY_PARAMETERS",
    "AudioData",
    "CapsEx",
    "Closed",
    "Connected",
    "Cue",
    "Event",
    "Metadata",
    "PublishRequested",
    "Quirk",
    "RtmpConnection",
    "RtmpLimits",
    "Unpublished",
    "VideoData",
]
