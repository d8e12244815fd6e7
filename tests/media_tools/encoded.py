"""Small streams of every codec that publishers send, made on the spot: packets, not files."""

from fractions import Fraction
from functools import cache
from typing import NamedTuple

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from tests.media_tools.scheduling import ordinary_afterwards

RATE = 30
SAMPLE_RATE = 48_000
_X265 = "log-level=none:pools=none:frame-threads=1:annexb=1:repeat-headers={headers}:keyint={gop}:min-keyint={gop}"
VIDEO = {
    "avc1": ("libx264", {"preset": "ultrafast", "threads": "1"}),
    "hvc1": ("libx265", {"preset": "ultrafast", "x265-params": _X265}),
    "av01": ("libsvtav1", {"preset": "12", "svtav1-params": "lp=1"}),
    "vp09": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    "vp08": ("libvpx", {"deadline": "realtime", "cpu-used": "8"}),
}
AUDIO = {
    "mp4a": ("aac", "fltp"),
    "Opus": ("libopus", "flt"),
    "fLaC": ("flac", "s16"),
    "ac-3": ("ac3", "fltp"),
    "ec-3": ("eac3", "fltp"),
    ".mp3": ("libmp3lame", "fltp"),
}


class Unit(NamedTuple):
    """A packet in decode order; times in frames, or samples."""

    dts: int
    pts: int
    key: bool
    data: bytes


class Stream(NamedTuple):
    """What an encoder made, its extra data first."""

    extra: bytes
    units: list[Unit]


@cache
@ordinary_afterwards()
def video(
    codec: str, frames: int = 10, *, width: int = 128, height: int = 96, gop: int = 5, options: str = ""
) -> Stream:
    """Pictures that change, a key frame each `gop`. `options` "a=b,c=d" are the encoder's."""
    name, given = VIDEO[codec]
    context = av.CodecContext.create(name, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, RATE), Fraction(RATE)
    context.gop_size = gop
    given = {key: value.format(gop=gop, headers=0) for key, value in given.items()}
    context.options = given | dict(option.split("=", 1) for option in options.split(",") if option)
    if codec not in ("vp08", "vp09"):
        context.flags |= 1 << 22  # AV_CODEC_FLAG_GLOBAL_HEADER
    packets = []
    for number in range(frames):
        frame = VideoFrame(width, height, "yuv420p")
        for index, plane in enumerate(frame.planes):
            plane.update(bytes([(40 * index + 16 * number) % 200 + 20]) * plane.buffer_size)
        frame.pts, frame.time_base = number, Fraction(1, RATE)
        packets += context.encode(frame)
    packets += context.encode(None)
    units = [Unit(p.dts or 0, p.pts or 0, p.is_keyframe, bytes(p)) for p in packets]
    return Stream(bytes(context.extradata or b""), units)


@cache
def audio(codec: str, seconds: float = 0.3, *, layout: str = "stereo") -> Stream:
    """A tone of 48 kHz."""
    name, sample_format = AUDIO[codec]
    context = av.CodecContext.create(name, "w")
    assert isinstance(context, AudioCodecContext)
    context.sample_rate, context.layout, context.format = SAMPLE_RATE, layout, sample_format
    context.time_base = Fraction(1, SAMPLE_RATE)
    context.open()
    size = context.frame_size or 1152
    packets = []
    for number in range(round(seconds * SAMPLE_RATE / size)):
        frame = AudioFrame(format=sample_format, layout=layout, samples=size)
        for plane in frame.planes:
            plane.update(
                bytes((number + index // 64) % 50 if index % 4 < 2 else 0 for index in range(plane.buffer_size))
            )
        frame.sample_rate, frame.pts = SAMPLE_RATE, number * size
        frame.time_base = Fraction(1, SAMPLE_RATE)
        packets += context.encode(frame)
    packets += context.encode(None)
    return Stream(
        bytes(context.extradata or b""), [Unit(p.dts or 0, p.pts or 0, True, bytes(p)) for p in packets if p.size]
    )
