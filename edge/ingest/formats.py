"""What a publisher's track is, whatever its codec: enough for an initialisation segment and a playlist."""

from typing import Final

import msgspec

from appliance.contracts.media import VIDEO_TIMESCALE, AudioFormat, VideoFormat
from edge.protocols.codecs.picture import UNSPECIFIED, Picture
from edge.protocols.fmp4 import AudioTrack, VideoTrack

_MOST_OF_USUAL: Final = 16  # declared rates beyond that are no rates
_USUAL_OF_CHANNEL: Final = 80_000  # bit/s with head room


class VideoSource(msgspec.Struct, frozen=True):
    """`entry` and `config` as in VideoTrack, `codec` the codecs parameter (RFC 6381)."""

    entry: str
    config: bytes
    codec: str
    picture: Picture

    def track(self) -> VideoTrack:
        """What the initialisation segment is made of."""
        picture = self.picture
        primaries, transfer, matrix, full = picture.colour
        known = (primaries, transfer, matrix) != UNSPECIFIED[:3]
        return VideoTrack(
            entry=self.entry,
            config=self.config,
            width=picture.width,
            height=picture.height,
            timescale=VIDEO_TIMESCALE,
            sample_aspect=picture.sample_aspect,
            colour=(primaries, transfer, matrix, full) if known else None,
        )

    def described(self, frame_rate: tuple[int, int]) -> VideoFormat:
        """What the rendition's record says."""
        picture = self.picture
        return VideoFormat(
            codec=self.codec,
            width=picture.width,
            height=picture.height,
            frame_rate=frame_rate,
            sample_aspect=picture.sample_aspect,
        )

    def expected_bandwidth(self, declared: int) -> int:
        """Bit/s for which players have to plan before anything was measured.

        What the encoder has `declared`, unless no picture of this size needs as much; where it has not (0), what
        encoders usually send.
        """
        usual = self.picture.width * self.picture.height * 5 // 2 + 250_000
        return min(declared, _MOST_OF_USUAL * usual) if declared else usual


class AudioSource(msgspec.Struct, frozen=True):
    """`entry` and `config` as in AudioTrack, `codec` the codecs parameter (RFC 6381)."""

    entry: str
    config: bytes
    codec: str
    sample_rate: int
    channels: int
    frame_samples: int  # of a usual frame
    silence: bytes = b""  # a usual frame of it; empty where none is known
    heard: tuple[int, int] = (0, 0)  # sample rate and channels, where they are others than those coded

    def track(self, timescale: int) -> AudioTrack:
        """What the initialisation segment is made of."""
        return AudioTrack(
            entry=self.entry,
            config=self.config,
            timescale=timescale,
            channels=self.channels,
            sample_rate=self.sample_rate,
        )

    def expected_bandwidth(self, declared: int) -> int:
        """Bit/s for which players have to plan before anything was measured: as `VideoSource`'s."""
        usual = _USUAL_OF_CHANNEL * max(1, self.channels)
        return min(declared, _MOST_OF_USUAL * usual) if declared else usual

    def described(self) -> AudioFormat:
        """What the rendition's record says."""
        rate, channels = self.heard if self.heard[0] else (self.sample_rate, self.channels)
        return AudioFormat(codec=self.codec, sample_rate=rate, channels=channels)
