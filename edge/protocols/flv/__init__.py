"""FLV tag bodies, legacy and enhanced (Adobe, "Video File Format 10.1", E.4; "Enhanced RTMP v2").

Says what a tag carries without decoding it. Reading raises FlvError only.
"""

from edge.protocols.flv.tags import AudioTag, FlvError, TagKind, VideoTag, parse_audio, parse_video

__all__ = ["AudioTag", "FlvError", "TagKind", "VideoTag", "parse_audio", "parse_video"]
