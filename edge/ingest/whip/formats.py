"""Frames of each video codec as the part log stores them, with the configuration that decodes them."""

from typing import ClassVar, Final, NamedTuple, Protocol

from edge.protocols.codecs import av1, avc, hevc, vp8, vp9
from edge.protocols.webrtc.depayload import Frame

_MOST_SETS: Final = 16  # parameter sets of one kind


class Stored(NamedTuple):
    """A frame. `config` is the decoder configuration it needs, `area` the size of its picture in pixels."""

    data: bytes
    key: bool
    config: bytes
    area: int


class VideoFormat(Protocol):
    """One layer's frames in their order."""

    fourcc: str

    def convert(self, frame: Frame) -> Stored | None:
        """The stored form; None while no configuration is known. CodecError when it is damaged."""


class AvcFormat:
    """H.264: parameter sets leave the stream, NAL units get lengths (ISO/IEC 14496-15)."""

    fourcc = "avc1"
    _SETS: ClassVar[tuple[int, ...]] = (avc.NAL_SPS, avc.NAL_PPS)
    _LEFT_OUT: ClassVar[frozenset[int]] = frozenset({*_SETS, avc.NAL_AUD, avc.NAL_FILLER})

    def __init__(self) -> None:
        self._sets: dict[int, dict[bytes, None]] = {kind: {} for kind in self._SETS}
        self._config = b""
        self._area = 0

    def convert(self, frame: Frame) -> Stored | None:
        """See VideoFormat."""
        kinds = [self._kind(nal) for nal in frame.pieces]
        if self._learn(frame.pieces, kinds):
            self._configure([nal for sets in self._sets.values() for nal in sets])
        if not self._config:
            return None
        kept = [nal for nal, kind in zip(frame.pieces, kinds, strict=True) if kind not in self._LEFT_OUT]
        return Stored(avc.join_avcc(kept), frame.key, self._config, self._area) if kept else None

    def _learn(self, nals: tuple[bytes, ...], kinds: list[int]) -> bool:
        """Takes parameter sets; whether they differ from those known. An SPS replaces all that came before."""
        found = [(nal, kind) for nal, kind in zip(nals, kinds, strict=True) if kind in self._sets]
        if not found or all(nal in self._sets[kind] for nal, kind in found):
            return False
        if any(kind == self._SETS[-2] for _, kind in found):
            self._sets = {kind: {} for kind in self._SETS}
        for nal, kind in found:
            if len(self._sets[kind]) < _MOST_SETS:
                self._sets[kind][nal] = None
        return all(self._sets.values())

    def _kind(self, nal: bytes) -> int:
        return nal[0] & 0x1F

    def _configure(self, nals: list[bytes]) -> None:
        config = avc.config_from_nals(nals)
        picture = config.picture()
        self._config, self._area = config.encode(), picture.width * picture.height


class HevcFormat(AvcFormat):
    """HEVC, likewise."""

    fourcc = "hvc1"
    _SETS: ClassVar[tuple[int, ...]] = (hevc.NAL_VPS, hevc.NAL_SPS, hevc.NAL_PPS)
    _LEFT_OUT: ClassVar[frozenset[int]] = frozenset(
        {hevc.NAL_VPS, hevc.NAL_SPS, hevc.NAL_PPS, hevc.NAL_AUD, hevc.NAL_FILLER}
    )

    def _kind(self, nal: bytes) -> int:
        return hevc.nal_type(nal)

    def _configure(self, nals: list[bytes]) -> None:
        config = hevc.config_from_nals(nals)
        picture = config.picture()
        self._config, self._area = config.encode(), picture.width * picture.height


class Vp8Format:
    """VP8: a key frame's header is its configuration."""

    fourcc = "vp08"

    def __init__(self) -> None:
        self._config = b""
        self._area = 0

    def convert(self, frame: Frame) -> Stored | None:
        """See VideoFormat."""
        data = frame.pieces[0]
        key = vp8.is_key(data)
        if key:
            header = vp8.parse_key_frame(data)
            self._config = header.config.encode()
            self._area = header.picture.width * header.picture.height
        return Stored(data, key, self._config, self._area) if self._config else None


class Vp9Format:
    """VP9, likewise."""

    fourcc = "vp09"

    def __init__(self) -> None:
        self._config = b""
        self._area = 0

    def convert(self, frame: Frame) -> Stored | None:
        """See VideoFormat."""
        data = frame.pieces[0]
        key = vp9.is_key(data)
        if key:
            header = vp9.parse_key_frame(data)
            self._config = header.config.encode()
            self._area = header.picture.width * header.picture.height
        return Stored(data, key, self._config, self._area) if self._config else None


class Av1Format:
    """AV1: OBUs get sizes, the sequence header is the configuration."""

    fourcc = "av01"

    def __init__(self) -> None:
        self._config = b""
        self._area = 0

    def convert(self, frame: Frame) -> Stored | None:
        """See VideoFormat."""
        data = av1.join_obus(frame.pieces)
        config = av1.config_from_obus(data) if frame.key else None
        if config is not None and config != self._config:
            picture = av1.parse_config(config).picture()
            self._config, self._area = config, picture.width * picture.height
        return Stored(data, av1.is_key(data), self._config, self._area) if self._config else None


FORMATS: dict[str, type[VideoFormat]] = {
    "h264": AvcFormat,
    "h265": HevcFormat,
    "vp8": Vp8Format,
    "vp9": Vp9Format,
    "av1": Av1Format,
}
"""By the codec's name in rtpmap, lower case."""
