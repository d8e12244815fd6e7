"""FLV tag bodies, legacy and enhanced (Adobe, "Video File Format 10.1", E.4; "Enhanced RTMP v2").

Says what a tag carries without decoding it. Reading raises FlvError only. Any edge role may call it.
"""

from edge.protocols.flv.errors import FlvError
from edge.protocols.flv.names import spoken
from edge.protocols.flv.tags import AudioTag, TagKind, VideoTag, parse_audio, parse_video, raw_aac
from edge.protocols.flv.writer import audio_tag, video_tag

__all__ = [
    "AudioTag",
    "FlvError",
    "TagKind",
    "VideoTag",
    "audio_tag",
    "parse_audio",
    "parse_video",
    "raw_aac",
    "spoken",
    "video_tag",
]
