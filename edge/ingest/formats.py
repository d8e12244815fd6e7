"""What a publisher's track is, whatever its codec: enough for an initialisation segment and a playlist."""

import msgspec

from appliance.contracts.media import VIDEO_TIMESCALE, AudioFormat, VideoFormat
from edge.protocols.codecs.picture import UNSPECIFIED, Picture
from edge.protocols.fmp4 import AudioTrack, VideoTrack


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

    @property
    def first_bandwidth(self) -> int:
        """A guess in bit/s for the time before the first segment was measured."""
        return self.picture.width * self.picture.height * 2 + 200_000


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

    def described(self) -> AudioFormat:
        """What the rendition's record says."""
        rate, channels = self.heard if self.heard[0] else (self.sample_rate, self.channels)
        return AudioFormat(codec=self.codec, sample_rate=rate, channels=channels)
