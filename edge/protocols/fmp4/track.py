"""What a track is and what a sample is: the values the writer and the reader exchange."""

from typing import TypeAlias

import msgspec

from edge.protocols.record import Record

Payload: TypeAlias = bytes | memoryview


class Sample(Record):
    """One access unit. Times in ticks of its track.

    AVC and HEVC: length-prefixed NAL units; AV1: a temporal unit; the others: a frame or packet as it is.
    """

    __slots__ = ("cts", "data", "dts", "duration", "key")

    def __init__(self, dts: int, duration: int, cts: int, key: bool, data: Payload) -> None:
        """`cts` is pts - dts, never negative."""
        self.dts = dts
        self.duration = duration
        self.cts = cts
        self.key = key
        self.data = data

    def fields(self) -> tuple[object, ...]:
        """See Record."""
        return self.dts, self.duration, self.cts, self.key, self.data

    def replace(
        self,
        *,
        dts: int | None = None,
        duration: int | None = None,
        cts: int | None = None,
        key: bool | None = None,
        data: Payload | None = None,
    ) -> "Sample":
        """The same but for what is given."""
        return Sample(
            self.dts if dts is None else dts,
            self.duration if duration is None else duration,
            self.cts if cts is None else cts,
            self.key if key is None else key,
            self.data if data is None else data,
        )

    @property
    def pts(self) -> int:
        """Presentation time, ticks."""
        return self.dts + self.cts

    @property
    def end(self) -> int:
        """Decode time of the sample after this one, ticks."""
        return self.dts + self.duration


class VideoTrack(msgspec.Struct, frozen=True, kw_only=True):
    """`entry` is the sample entry: avc1, hvc1, av01, vp09 or vp08.

    `config` is the payload of its configuration box: avcC and hvcC (ISO/IEC 14496-15), av1C, vpcC.
    `colour` is (primaries, transfer, matrix, full range) of ITU-T H.273, None when it is not known.
    """

    config: bytes
    width: int
    height: int
    entry: str = "avc1"
    timescale: int = 90_000
    sample_aspect: tuple[int, int] = (1, 1)
    colour: tuple[int, int, int, bool] | None = None
    track_id: int = 1


class AudioTrack(msgspec.Struct, frozen=True, kw_only=True):
    """`entry` is the sample entry: mp4a, Opus, fLaC, ac-3 or ec-3. MP3 is ".mp3" here, mp4a in a file.

    `config` is what a decoder takes as its extra data: AudioSpecificConfig (ISO/IEC 14496-3, 1.6), the Opus
    identification header (RFC 7845, 5.1), STREAMINFO (RFC 9639, 8.2), the payload of dac3 or dec3.
    """

    config: bytes
    timescale: int  # by custom the sample rate, so that a frame has a whole number of ticks
    channels: int
    entry: str = "mp4a"
    sample_rate: int = 0  # 0: as the timescale
    bit_rate: int = 0  # 0: not known
    track_id: int = 1


class InitTrack(msgspec.Struct, frozen=True, kw_only=True):
    """The track of an initialisation segment. `config` as in VideoTrack and AudioTrack; sizes or rate are 0."""

    entry: str
    config: bytes
    timescale: int
    width: int = 0
    height: int = 0
    sample_rate: int = 0
    channels: int = 0
    sample_aspect: tuple[int, int] = (1, 1)
    track_id: int = 1

    @property
    def is_video(self) -> bool:
        """Whether the samples are pictures."""
        return self.width > 0
