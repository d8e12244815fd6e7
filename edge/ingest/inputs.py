"""From FLV tags of one track to access units and audio frames, whatever the codec; others are named."""

from typing import Final

from edge.ingest.bitstreams import STREAMS, AccessUnit, Bitstream
from edge.ingest.formats import AudioSource, VideoSource
from edge.ingest.sounds import SOUNDS, AudioFrame, Sound
from edge.protocols.codecs.bits import CodecError
from edge.protocols.flv import AudioTag, TagKind, VideoTag, spoken
from edge.protocols.flv.names import AVC, HEVC

_WITH_MEDIA: Final = (TagKind.CONFIG, TagKind.FRAME)


class VideoInput:
    """One video track of one publisher."""

    def __init__(self) -> None:
        self.unsupported = ""  # name of a codec we cannot take
        self._codec = ""
        self._stream: Bitstream | None = None

    @property
    def source(self) -> VideoSource | None:
        """What the next key frame needs, None until it is known."""
        return self._stream.source if self._stream is not None else None

    @property
    def has_captions(self) -> bool:
        """Whether closed captions came in the pictures."""
        return self._stream is not None and self._stream.has_captions

    def take(self, tag: VideoTag) -> AccessUnit | None:
        """The access unit of a tag, None when it has none. CodecError when it is damaged."""
        if self._stream is not None and tag.kind is TagKind.FRAME and tag.codec == self._codec:
            return self._stream.unit(tag) if tag.data else None
        if tag.kind not in _WITH_MEDIA:
            return None
        codec = tag.codec
        if codec == AVC and self._codec == HEVC and tag.kind is TagKind.FRAME:
            codec = HEVC  # H.265 under the number of H.264, as its configuration has shown
        if codec not in STREAMS:
            self.unsupported = spoken(codec)
            return None
        if codec != self._codec or self._stream is None:
            self._codec, self._stream = codec, STREAMS[codec]()
        if tag.kind is TagKind.CONFIG:
            self._stream.configure(tag.data)
            return None
        return self._stream.unit(tag) if tag.data else None


class AudioInput:
    """One audio track of one publisher."""

    def __init__(self) -> None:
        self.unsupported = ""
        self._codec = ""
        self._sound: Sound | None = None

    @property
    def source(self) -> AudioSource | None:
        """What the next frame needs, None until it is known."""
        return self._sound.source if self._sound is not None else None

    def take(self, tag: AudioTag) -> AudioFrame | None:
        """The frame of a tag, None when it has none. CodecError when it is damaged."""
        if tag.kind not in _WITH_MEDIA:
            return None
        if tag.codec != self._codec or self._sound is None:
            if tag.codec not in SOUNDS:
                self.unsupported = spoken(tag.codec)
                return None
            self._codec, self._sound = tag.codec, SOUNDS[tag.codec]()
        if tag.kind is TagKind.CONFIG:
            self._sound.configure(tag.data)
            return None
        if not tag.data:
            return None
        frame = self._sound.frame(tag.data)
        if frame is None or not tag.nano:
            return frame
        return AudioFrame(frame.data, frame.samples, tag.nano)


__all__ = ["AccessUnit", "AudioFrame", "AudioInput", "CodecError", "VideoInput"]
