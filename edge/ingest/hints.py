"""What metadata and codec configurations say about a source. Metadata lies, so nothing lasting depends on it."""

from collections.abc import Mapping

import msgspec

from edge.protocols.amf import AmfValue
from edge.protocols.codecs.picture import Picture

_MAX_RATE = 240
_MAX_TRACKS = 32


class Hints(msgspec.Struct, frozen=True):
    """Rates in bit/s with head room for peaks, 0 unknown. `tracks` has those of further video tracks.

    `pictures`: they are promised.
    """

    rate: tuple[int, int] = (0, 1)
    video_bit_rate: int = 0
    audio_bit_rate: int = 0
    encoder: str = ""
    pictures: bool = False
    tracks: Mapping[int, "Hints"] = {}

    @classmethod
    def of(cls, values: Mapping[str, AmfValue]) -> "Hints":
        """Reads onMetaData, the tracks' information of Enhanced RTMP v2 included."""
        encoder = values.get("encoder")
        tracks = values.get("videoTrackIdInfoMap")
        return cls(
            rate=exact_rate(_number(values, "framerate") or _number(values, "videoframerate")),
            video_bit_rate=int(_number(values, "videodatarate") * 1250),
            audio_bit_rate=int(_number(values, "audiodatarate") * 1250),
            encoder=encoder[:120] if isinstance(encoder, str) else "",
            pictures=values.get("videocodecid") is not None and _number(values, "width") > 0,
            tracks=_tracks(tracks) if isinstance(tracks, dict) else {},
        )

    def of_track(self, track: int) -> "Hints":
        """What was said of a further video track: the main one's rates are not its own."""
        return self.tracks.get(track, _NOTHING)

    def frame_rate(self, picture: Picture | None) -> tuple[int, int]:
        """The exact frame rate, (0, 1) unknown: a fixed one of the codec, else metadata, else the codec's."""
        said = picture.frame_rate if picture is not None else (0, 1)
        usable = 1 <= said[0] / said[1] <= _MAX_RATE
        if usable and picture is not None and picture.fixed_frame_rate:
            return said
        return self.rate if self.rate[0] else said if usable else (0, 1)


_NOTHING = Hints()


def _tracks(values: Mapping[str, AmfValue]) -> dict[int, Hints]:
    """By track number; what is no number of a track is left out."""
    return {
        int(name): Hints.of({key: value for key, value in said.items() if key != "videoTrackIdInfoMap"})
        for name, said in list(values.items())[:_MAX_TRACKS]
        if isinstance(said, dict) and name.isascii() and name.isdecimal() and len(name) <= 3
    }


def exact_rate(rate: float) -> tuple[int, int]:
    """29.97 is (30000, 1001); (0, 1) when it is no usual rate."""
    if not 1 <= rate <= _MAX_RATE:
        return 0, 1
    if abs(rate - round(rate)) < 0.005:
        return round(rate), 1
    if abs(rate * 1.001 - round(rate * 1.001)) < 0.02:
        return round(rate * 1.001) * 1000, 1001
    return 0, 1


def _number(values: Mapping[str, AmfValue], name: str) -> float:
    value = values.get(name)
    usable = isinstance(value, float) and 0 < value < 1_000_000
    return value if usable and isinstance(value, float) else 0.0
