"""Byte streams of encoders (ITU-T H.264, Annex B) into access units as fMP4 has them. Sans-I/O.

An access unit delimiter in front of each access unit makes the borders plain (7.4.1.2.3): one is finished when
the next delimiter has come.
"""

from collections.abc import Iterable

from edge.protocols.codecs.avc import (
    NAL_AUD,
    NAL_FILLER,
    NAL_IDR,
    NAL_PPS,
    NAL_SPS,
    AvcConfig,
    config_from_nals,
    join_avcc,
    parse_config,
    split_annexb,
)
from edge.protocols.codecs.bits import CodecError
from edge.transcode.engines.base import EngineError

_DELIMITER = b"\0\0\1\x09"  # nal_ref_idc is 0 (7.4.1); emulation prevention keeps it out of NAL units
_BORDER = 4  # bytes of a delimiter that may be split between two reads
_MOST_BYTES = 8 << 20  # of an access unit
_NOT_MEDIA = frozenset({NAL_AUD, NAL_FILLER, NAL_SPS, NAL_PPS})


class AccessUnitSplitter:
    """Cuts a byte stream at its access unit delimiters."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0  # a delimiter that begins before this is known already
        self._begun = False

    def feed(self, data: bytes) -> list[bytes]:
        """The access units that `data` finishes, with start codes. EngineError when it is no such stream."""
        self._buffer += data
        out: list[bytes] = []
        while (at := self._buffer.find(_DELIMITER, self._searched)) >= 0:
            if self._begun:
                out.append(bytes(self._buffer[:at]))
            elif any(self._buffer[:at]):
                raise EngineError("the stream does not begin with an access unit delimiter")
            self._begun = True
            del self._buffer[:at]
            self._searched = _BORDER
        self._searched = max(self._searched, len(self._buffer) - _BORDER + 1)
        if len(self._buffer) > _MOST_BYTES:
            raise EngineError(f"an access unit of more than {_MOST_BYTES} bytes")
        return out

    def finish(self) -> list[bytes]:
        """The last access unit: the stream is over."""
        rest, self._buffer = bytes(self._buffer), bytearray()
        begun, self._begun, self._searched = self._begun, False, 0
        return [rest] if begun else []


class Repackager:
    """Access units with start codes into length-prefixed ones; parameter sets move to `config`."""

    def __init__(self, extradata: bytes = b"") -> None:
        """`extradata` as an encoder gives it, in either form; without, the first IDR has the sets. EngineError."""
        self._config: AvcConfig | None = None
        if extradata:
            try:
                self._config = parse_config(extradata)
            except CodecError as error:
                raise EngineError(f"parameter sets: {error.detail}") from error

    @property
    def config(self) -> bytes:
        """The AVCDecoderConfigurationRecord; nothing before the parameter sets have come."""
        return self._config.encode() if self._config is not None else b""

    def unit(self, data: bytes) -> tuple[bool, bytes]:
        """Whether an access unit is an IDR, and its length-prefixed form.

        EngineError when there is no picture, or parameter sets that differ from those of before.
        """
        nals = split_annexb(data)
        kinds = [nal[0] & 0x1F for nal in nals]
        if NAL_SPS in kinds or NAL_PPS in kinds:
            self._learn(nal for nal, kind in zip(nals, kinds, strict=True) if kind in (NAL_SPS, NAL_PPS))
        media = join_avcc(nal for nal, kind in zip(nals, kinds, strict=True) if kind not in _NOT_MEDIA)
        if not any(1 <= kind <= NAL_IDR for kind in kinds):
            raise EngineError("an access unit without a picture")
        return NAL_IDR in kinds, media

    def _learn(self, sets: Iterable[memoryview]) -> None:
        units = tuple(bytes(nal) for nal in sets)
        if self._config is None:
            try:
                self._config = config_from_nals(units)
            except CodecError as error:
                raise EngineError(f"parameter sets: {error.detail}") from error
        elif not set(units) <= {*self._config.sps, *self._config.pps}:
            raise EngineError("the parameter sets have changed in mid-stream")


def same_sets(one: bytes, other: bytes) -> bool:
    """Whether two decoder configurations say the same: one may leave out what its profile does not need."""
    return one == other or parse_config(one) == parse_config(other)
