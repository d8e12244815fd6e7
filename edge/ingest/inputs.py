"""From FLV tags to access units: configuration changes, framing repairs, unsupported codecs by name."""

from typing import NamedTuple

from edge.protocols.codecs import aac, avc
from edge.protocols.codecs.bits import CodecError
from edge.protocols.flv import AudioTag, TagKind, VideoTag
from edge.protocols.flv.tags import AAC, AVC

_LEFT_OUT = frozenset({avc.NAL_SPS, avc.NAL_PPS, avc.NAL_FILLER})


class AccessUnit(NamedTuple):
    """Length-prefixed (4 bytes) NAL units of one picture."""

    data: bytes
    key: bool
    cts_ms: int


class VideoInput:
    """H.264 of one publisher. `config` is what the next key frame needs."""

    def __init__(self) -> None:
        self.config: avc.AvcConfig | None = None
        self.unsupported = ""  # name of a codec we cannot take
        self._length_size = 4
        self._seen_idr = False

    def take(self, tag: VideoTag) -> AccessUnit | None:
        """The access unit of a tag, None when it has none. CodecError when it is damaged."""
        if tag.kind is TagKind.OTHER and not tag.data:
            return None
        if tag.codec != AVC:
            self.unsupported = tag.codec
            return None
        if tag.kind is TagKind.CONFIG:
            self._configure(avc.parse_config(tag.data))
            return None
        if tag.kind is not TagKind.FRAME or not tag.data:
            return None
        return self._unit(tag)

    def _configure(self, config: avc.AvcConfig) -> None:
        self._length_size = config.length_size
        if config.sps and config.pps:
            config.picture()
            self.config = avc.config_from_nals((*config.sps, *config.pps))

    def _unit(self, tag: VideoTag) -> AccessUnit | None:
        annexb = avc.is_annexb(tag.data)
        nals = avc.split_annexb(tag.data) if annexb else list(avc.iter_nals(tag.data, self._length_size))
        kinds = {nal[0] & 0x1F for nal in nals}
        if avc.NAL_SPS in kinds and avc.NAL_PPS in kinds:
            config = avc.config_from_nals(nals)
            config.picture()
            self.config = config
        if not kinds & {avc.NAL_SLICE, avc.NAL_IDR, 2}:
            return None
        self._seen_idr = self._seen_idr or avc.NAL_IDR in kinds
        key = avc.NAL_IDR in kinds or (tag.key and not self._seen_idr)
        if annexb or self._length_size != 4 or kinds & _LEFT_OUT:
            data = avc.join_avcc(nal for nal in nals if nal[0] & 0x1F not in _LEFT_OUT)
        else:
            data = tag.data
        return AccessUnit(data, key, tag.cts_ms)


class AudioInput:
    """AAC of one publisher. `config` and `config_bytes` are what the next frame needs."""

    def __init__(self) -> None:
        self.config: aac.AacConfig | None = None
        self.config_bytes = b""
        self.unsupported = ""

    def take(self, tag: AudioTag) -> bytes | None:
        """The raw AAC frame of a tag, None when it has none. CodecError when it is damaged."""
        if tag.codec != AAC:
            self.unsupported = tag.codec
            return None
        if tag.kind is TagKind.CONFIG:
            if tag.data:  # some encoders send an empty one first
                self.config = aac.parse_config(tag.data)
                self.config_bytes = bytes(tag.data)
            return None
        return tag.data if tag.kind is TagKind.FRAME and tag.data else None


__all__ = ["AccessUnit", "AudioInput", "CodecError", "VideoInput"]
