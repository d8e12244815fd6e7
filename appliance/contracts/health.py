"""How well a publisher's stream arrives, and what the streamer can put right: the state of an encoder.

Ingest measures and writes a report every two seconds at `health.<channel_id>` of the live bucket, and deletes
it when the publisher is gone. Origin tells it to the owner of the channel.
"""

import enum

import msgspec


class Severity(enum.StrEnum):
    """How much an advice matters. notice: could be better; warning: viewers notice; error: it fails for some."""

    NOTICE = "notice"
    WARNING = "warning"
    ERROR = "error"


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to change. `setting` names it as OBS Studio does, with the value to set; "" when there is none."""

    code: str
    severity: Severity
    text: str
    setting: str = ""


class VideoHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The picture. Rates in bit/s and frames/s, lengths in seconds; 0 while not known."""

    codec: str = ""  # RFC 6381
    profile: str = ""  # in words, such as "High"
    width: int = 0
    height: int = 0
    frame_rate: float = 0.0  # measured over the last seconds
    expected_frame_rate: float = 0.0  # announced, or the highest that was measured
    bit_rate_1s: int = 0
    bit_rate_10s: int = 0
    bit_rate_peak: int = 0  # highest second since the publisher came
    bit_rate_variation: float = 0.0  # largest deviation from the mean, relative to it
    gop_s: float = 0.0  # last key frame distance
    gop_longest_s: float = 0.0  # of the last eight, and of the one being sent
    gop_regular: bool = True
    b_frames: bool = False
    interlaced: bool = False
    damaged: int = 0  # access units of the last minute that no whole picture comes from
    late: int = 0  # access units of the last minute that came too long after their sound
    missing_s: float = 0.0  # so long only sound has come


class AudioHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The sound. `bit_rate` over ten seconds, `holes` in the last minute: nothing was sent for 0.15 s or more.

    `late_s`: so much later than pictures of the same time it has arrived for ten seconds; negative: earlier.
    """

    codec: str = ""
    sample_rate: int = 0
    channels: int = 0
    bit_rate: int = 0
    holes: int = 0
    late_s: float = 0.0


class HealthReport(msgspec.Struct, frozen=True, kw_only=True):
    """A publisher at one moment. `video` and `audio` are None when there is none."""

    at_ms: int  # Unix milliseconds
    since_ms: int  # when the publisher's media began to arrive
    video: VideoHealth | None = None
    audio: AudioHealth | None = None
    drift_ppm: int | None = None  # media time against arrival, positive: media runs fast; None: not known yet
    jitter_ms: float = 0.0  # of arrival against media time, smoothed as in RFC 3550, 6.4.1
    stalls: int = 0  # pauses of arrival of more than half a second in the last minute
    stalls_total: int = 0
    longest_stall_ms: int = 0  # in the last minute
    behind_ms: int = 0  # so much later than at the best moment of the last two minutes media arrives
    advice: list[Advice] = []
