"""What a decoder must know of a source: read from an initialisation segment of the part log."""

from typing import NamedTuple

from appliance.contracts.errors import BadInputError
from appliance.contracts.media import Init
from edge.protocols.fmp4 import FragmentError, InitTrack, read_init

_VIDEO_DECODERS = {"avc1": "h264", "hvc1": "hevc", "av01": "libdav1d", "vp09": "vp9", "vp08": "vp8"}
_VIDEO_WITH_CONFIG = ("h264", "hevc", "libdav1d")
_AUDIO_DECODERS = {"mp4a": "aac", "Opus": "opus", "fLaC": "flac", "ac-3": "ac3", "ec-3": "eac3", ".mp3": "mp3float"}
_AUDIO_WITH_CONFIG = ("aac", "opus", "flac")
_PRE_SKIP = slice(10, 12)  # in the identification header (RFC 7845, 5.1)


class SourceError(BadInputError):
    """An initialisation segment that no decoder here is for."""

    code = "source_codec"


class VideoForm(NamedTuple):
    """A video decoder's name and extradata as FFmpeg has them, and what the picture is. Rates exact.

    `size` in samples as coded, (0, 0) unknown.
    """

    decoder: str
    extradata: bytes
    frame_rate: tuple[int, int] = (0, 1)
    sample_aspect: tuple[int, int] = (1, 1)
    size: tuple[int, int] = (0, 0)


class AudioForm(NamedTuple):
    """An audio decoder's name and extradata as FFmpeg has them. `timescale` ticks per second of its times."""

    decoder: str
    extradata: bytes
    sample_rate: int
    channels: int
    timescale: int


def video_form(init: Init) -> VideoForm:
    """The form of a video rendition. SourceError."""
    track = _track(init)
    decoder = _VIDEO_DECODERS.get(track.entry)
    if decoder is None or init.video is None:
        raise SourceError(f"no video decoder for {track.entry}")
    extradata = track.config if decoder in _VIDEO_WITH_CONFIG else b""
    size = init.video.width, init.video.height
    return VideoForm(decoder, extradata, init.video.frame_rate, init.video.sample_aspect, size)


def audio_form(init: Init) -> AudioForm:
    """The form of an audio rendition. SourceError."""
    track = _track(init)
    decoder = _AUDIO_DECODERS.get(track.entry)
    if decoder is None or init.audio is None:
        raise SourceError(f"no audio decoder for {track.entry}")
    extradata = track.config if decoder in _AUDIO_WITH_CONFIG else b""
    if decoder == "opus":
        extradata = _without_pre_skip(extradata)
    return AudioForm(decoder, extradata, init.audio.sample_rate, init.audio.channels, track.timescale)


def _track(init: Init) -> InitTrack:
    try:
        return read_init(init.data)
    except FragmentError as error:
        raise SourceError(error.detail) from error


def _without_pre_skip(head: bytes) -> bytes:
    """Times in the part log are those of what the decoder gives, from its first sample on."""
    changed = bytearray(head)
    changed[_PRE_SKIP] = b"\0\0"
    return bytes(changed)
