"""Video bitstreams as publishers send them, each to access units as a file stores them. One class per codec.

`source` is what the next key frame needs, None until it is known. Reading raises CodecError only.
"""

from typing import ClassVar, Protocol

from edge.ingest.formats import VideoSource
from edge.protocols.codecs import av1, avc, hevc, vp8, vp9, vpx
from edge.protocols.codecs.bits import CodecError
from edge.protocols.codecs.picture import Picture
from edge.protocols.flv import VideoTag
from edge.protocols.flv.names import AV1, AVC, HEVC, VP8, VP9
from edge.protocols.record import Record


class AccessUnit(Record):
    """One picture as a sample has it. `open_gop`: a key frame that is no IDR picture."""

    __slots__ = ("cts_ms", "data", "key", "nano", "open_gop")

    def __init__(
        self, data: bytes | memoryview, key: bool, cts_ms: int, nano: int = 0, *, open_gop: bool = False
    ) -> None:
        self.data = data
        self.key = key
        self.cts_ms = cts_ms
        self.nano = nano
        self.open_gop = open_gop

    def fields(self) -> tuple[object, ...]:
        """See Record."""
        return self.data, self.key, self.cts_ms, self.nano, self.open_gop


class Bitstream(Protocol):
    """One codec of one track."""

    source: VideoSource | None
    has_captions: bool

    def configure(self, data: bytes) -> None:
        """A sequence start."""

    def unit(self, tag: VideoTag) -> AccessUnit | None:
        """The access unit of a frame's tag; None when it holds no picture."""


class AvcStream:
    """H.264 with length prefixes or start codes, parameter sets ahead or in band."""

    _LEFT_OUT: ClassVar[frozenset[int]] = frozenset({avc.NAL_SPS, avc.NAL_PPS, avc.NAL_FILLER})
    _SLICES: ClassVar[frozenset[int]] = frozenset({avc.NAL_SLICE, avc.NAL_IDR, 2})
    _PICTURE: ClassVar[int] = avc.kind_set(_SLICES)
    _UNUSUAL: ClassVar[int] = avc.kind_set(_LEFT_OUT)
    _KEY: ClassVar[int] = avc.kind_set({avc.NAL_IDR})
    _SEI: ClassVar[int] = avc.kind_set({avc.NAL_SEI})

    def __init__(self) -> None:
        self.source: VideoSource | None = None
        self.has_captions = False  # some came
        self._config: avc.AvcConfig | None = None
        self._length_size = 4
        self._seen_idr = False

    def configure(self, data: bytes) -> None:
        config = avc.parse_config(data)
        self._length_size = config.length_size
        if config.sps and config.pps:
            self._use(avc.config_from_nals((*config.sps, *config.pps)))

    def unit(self, tag: VideoTag) -> AccessUnit | None:
        kinds_set = avc.prefixed_kinds(tag.data) if self._length_size == 4 else 0
        if kinds_set & self._SEI and not self.has_captions:
            self.has_captions = avc.has_captions(avc.iter_nals(tag.data, self._length_size))
        if kinds_set & self._PICTURE and not kinds_set & self._UNUSUAL:
            key = bool(kinds_set & self._KEY)
            if key or not tag.key:
                self._seen_idr = self._seen_idr or key
                return AccessUnit(tag.data, key, tag.cts_ms, tag.nano)
        return self._unusual(tag)

    def _unusual(self, tag: VideoTag) -> AccessUnit | None:
        """With parameter sets, filler, start codes, or a key frame without an IDR picture."""
        nals, annexb = avc.split_any(tag.data, self._length_size)
        kinds = {nal[0] & 0x1F for nal in nals}
        if avc.NAL_SPS in kinds and avc.NAL_PPS in kinds:
            self._use(avc.config_from_nals(nals))
        if not kinds & self._SLICES:
            return None
        self._seen_idr = self._seen_idr or avc.NAL_IDR in kinds
        key = avc.NAL_IDR in kinds or (tag.key and (not self._seen_idr or avc.has_recovery_point(nals)))
        data = tag.data
        if annexb or self._length_size != 4 or kinds & self._LEFT_OUT:
            data = avc.join_avcc(nal for nal in nals if nal[0] & 0x1F not in self._LEFT_OUT)
        return AccessUnit(data, key, tag.cts_ms, tag.nano, open_gop=key and avc.NAL_IDR not in kinds)

    def _use(self, config: avc.AvcConfig) -> None:
        if config == self._config:
            return
        sps = config.picture()
        picture = Picture(
            sps.width,
            sps.height,
            sps.sample_aspect,
            sps.frame_rate,
            sps.fixed_frame_rate,
            interlaced=sps.interlaced,
        )
        self.source = VideoSource(AVC, config.encode(), config.rfc6381(), picture)
        self._config = config


class HevcStream:
    """H.265 with length prefixes or start codes, parameter sets ahead or in band."""

    _SETS: ClassVar[frozenset[int]] = frozenset({hevc.NAL_VPS, hevc.NAL_SPS, hevc.NAL_PPS})
    _LEFT_OUT: ClassVar[frozenset[int]] = _SETS | {hevc.NAL_FILLER}

    def __init__(self) -> None:
        self.source: VideoSource | None = None
        self.has_captions = False
        self._config: hevc.HevcConfig | None = None
        self._length_size = 4

    def configure(self, data: bytes) -> None:
        config = hevc.parse_config(data)
        self._length_size = config.length_size
        if config.sps and config.pps:
            self._use(hevc.config_from_nals((*config.vps, *config.sps, *config.pps)))

    def unit(self, tag: VideoTag) -> AccessUnit | None:
        split, annexb = avc.split_any(tag.data, self._length_size)
        nals = [nal for nal in split if len(nal) > 2]
        kinds = {hevc.nal_type(nal) for nal in nals}
        if hevc.NAL_SPS in kinds and hevc.NAL_PPS in kinds:
            self._use(hevc.config_from_nals(nals))
        if not any(hevc.is_slice(kind) for kind in kinds):
            return None
        key = any(hevc.is_random_access(kind) for kind in kinds)
        data = tag.data
        if annexb or self._length_size != 4 or kinds & self._LEFT_OUT:
            data = avc.join_avcc(nal for nal in nals if hevc.nal_type(nal) not in self._LEFT_OUT)
        return AccessUnit(data, key, tag.cts_ms, tag.nano)

    def _use(self, config: hevc.HevcConfig) -> None:
        if config == self._config:
            return
        self.source = VideoSource(HEVC, config.encode(), config.rfc6381(), config.picture())
        self._config = config


class Av1Stream:
    """AV1 temporal units, with or without their temporal delimiter."""

    def __init__(self) -> None:
        self.source: VideoSource | None = None
        self.has_captions = False
        self._config: av1.Av1Config | None = None

    def configure(self, data: bytes) -> None:
        self._use(av1.parse_config(data))

    def unit(self, tag: VideoTag) -> AccessUnit | None:
        if not av1.has_frame(tag.data):
            return None
        key = av1.is_key(tag.data)
        if key:
            record = av1.config_from_obus(tag.data)
            if record is not None:
                self._use(av1.parse_config(record))
        return AccessUnit(av1.stored(tag.data), key, 0, tag.nano)

    def _use(self, config: av1.Av1Config) -> None:
        """Encoders repeat the sequence header with other unimportant bits: that is no change."""
        if self._config is not None and config.sequence == self._config.sequence:
            return
        self.source = VideoSource(AV1, config.encode(), config.rfc6381(), config.picture())
        self._config = config


class _VpStream:
    """VP9 or VP8: the picture's size is in key frames only."""

    entry: ClassVar[str]

    def __init__(self) -> None:
        self.source: VideoSource | None = None
        self.has_captions = False
        self._announced: vpx.VpConfig | None = None

    def configure(self, data: bytes) -> None:
        self._announced = vpx.parse_config(data) if data else None

    def unit(self, tag: VideoTag) -> AccessUnit | None:
        module = vp9 if self.entry == VP9 else vp8
        key = module.is_key(tag.data)
        if key:
            self._use(module.parse_key_frame(tag.data))
        return AccessUnit(tag.data, key, 0, tag.nano)

    def _use(self, header: vp9.FrameHeader | vp8.FrameHeader) -> None:
        """What was announced is better where it agrees: it knows the level and the colours."""
        config, announced = header.config, self._announced
        if announced and (announced.profile, announced.bit_depth) == (config.profile, config.bit_depth):
            config = announced
        picture = header.picture._replace(colour=config.colour)
        self.source = VideoSource(self.entry, config.encode(), config.rfc6381(self.entry), picture)


class Vp9Stream(_VpStream):
    """VP9 frames and superframes."""

    entry = VP9


class Vp8Stream(_VpStream):
    """VP8 frames."""

    entry = VP8


STREAMS: dict[str, type[Bitstream]] = {
    AVC: AvcStream, HEVC: HevcStream, AV1: Av1Stream, VP9: Vp9Stream, VP8: Vp8Stream,
}  # fmt: skip

__all__ = ["STREAMS", "AccessUnit", "Bitstream", "CodecError"]
