"""Small real sources of any codec: encoded and muxed here, then cut into chunks as ingest appends them."""

import array
import io
import math
import re
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import av
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from appliance.contracts.media import AudioFormat, ChunkFlag, ChunkHeader, Init, VideoFormat
from edge.protocols.fmp4 import Sample, fragment, read_fragments
from edge.transcode.chunks import SourceChunk
from edge.transcode.forms import AudioForm, VideoForm, audio_form, video_form
from edge.transcode.pipeline import Pipeline
from tests.media_tools.scheduling import ordinary_afterwards

FRAME = 3000
PDT = 1_000_000_000

_FAST = {
    "libx264": {"preset": "ultrafast", "tune": "zerolatency"},
    "libx265": {"preset": "ultrafast", "tune": "zerolatency", "x265-params": "log-level=none:scenecut=0"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
    "libsvtav1": {"preset": "12", "svtav1-params": "pred-struct=1:lookahead=0:lp=1"},
}


class Encoded(NamedTuple):
    """Samples in decode order, and what decodes them."""

    samples: list[Sample]
    form: VideoForm


@cache
@ordinary_afterwards()
def picture_source(
    codec: str,
    frames: int,
    gop: int,
    size: tuple[int, int] = (320, 180),
    *,
    start: int = 0,
    pixels: str = "yuv420p",
) -> Encoded:
    """`frames` pictures at 30 a second, a key frame each `gop`; the first is at frame `start`."""
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = size[0], size[1], pixels
    encoder.time_base, encoder.framerate = Fraction(1, 90_000), Fraction(30)
    encoder.flags |= 1 << 22
    encoder.options = {**_FAST[codec], "g": str(gop), "keyint_min": str(gop)}
    packets = []
    for index in range(frames):
        packets += encoder.encode(grey(size, level_of(index), index * FRAME))
    packets += encoder.encode(None)
    assert [packet.pts for packet in packets] == [index * FRAME for index in range(frames)]
    unit = _length_prefixed if codec in ("libx264", "libx265") else bytes
    samples = [
        Sample((start + index) * FRAME, FRAME, 0, packet.is_keyframe, unit(packet))
        for index, packet in enumerate(packets)
    ]
    form = VideoForm(codec, b"", (30, 1)) if codec == "libvpx" else _muxed_form(codec, size, gop, pixels)
    return Encoded(samples, form._replace(decoder="vp8") if codec == "libvpx" else form)


@cache
@ordinary_afterwards()
def reordered_source(frames: int, gop: int, size: tuple[int, int] = (320, 180)) -> Encoded:
    """H.264 with two B-frames between others, in closed GOPs: shown two frames after they are decoded at most."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = *size, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, 90_000), Fraction(30)
    encoder.flags |= 1 << 22
    encoder.max_b_frames = 2
    params = f"annexb=0:keyint={gop}:min-keyint={gop}:scenecut=0:b-adapt=0:b-pyramid=none:open-gop=0"
    encoder.options = {"preset": "ultrafast", "x264-params": params}
    packets = [p for i in range(frames) for p in encoder.encode(grey(size, level_of(i), i * FRAME))]
    packets += encoder.encode(None)
    delay = 2 * FRAME
    samples = [
        Sample(index * FRAME, FRAME, (packet.pts or 0) + delay - index * FRAME, packet.is_keyframe, bytes(packet))
        for index, packet in enumerate(packets)
    ]
    return Encoded(samples, VideoForm("h264", bytes(encoder.extradata or b""), (30, 1), (1, 1), size))


def pass_through(pipeline: Pipeline, chunks: Sequence[SourceChunk]) -> None:
    """Everything through the pipeline's threads, to the end of what they make of it."""
    pipeline.start()
    for chunk in chunks:
        pipeline.put(chunk)
    pipeline.drain()
    pipeline.stop()


def level_of(index: int) -> int:
    """The grey of picture `index`."""
    return 16 + index * 2 % 200


def _length_prefixed(packet: av.Packet) -> bytes:
    """NAL units behind their length, as in MP4, instead of behind start codes."""
    units = [unit for unit in re.split(b"\0\0\0\1|\0\0\1", bytes(packet)) if unit]
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


def _muxed_form(codec: str, size: tuple[int, int], gop: int, pixels: str) -> VideoForm:
    """The form as FFmpeg's own muxer describes it."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", options={"movflags": "empty_moov+default_base_moof"}) as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = size[0], size[1], pixels
        if codec == "libx265":
            stream.codec_context.codec_tag = "hvc1"
        stream.options = {**_FAST[codec], "g": str(gop), "keyint_min": str(gop)}
        container.mux(stream.encode(grey(size, 16, 0)))
        container.mux(stream.encode(None))
    form = VideoFormat(codec="test", width=size[0], height=size[1], frame_rate=(30, 1))
    return video_form(Init(init=0, data=file.getvalue(), video=form))


def grey(size: tuple[int, int], level: int, pts: int) -> VideoFrame:
    """A picture of one level."""
    frame = VideoFrame(*size, "yuv420p")
    for plane, value in zip(frame.planes, (level, 128, 128), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    frame.pts, frame.time_base = pts, Fraction(1, 90_000)
    return frame


def chunks_of(
    samples: Sequence[Sample],
    form: VideoForm | AudioForm,
    *,
    segments: Sequence[int],
    timescale: int = 90_000,
    per_chunk: int = 3,
    sequence: int = 1,
    first_msn: int = 0,
    init: int = 0,
) -> list[SourceChunk]:
    """Chunks of `per_chunk` samples, each its own part; `segments` are the indices at which one starts."""
    out: list[SourceChunk] = []
    bounds = [*segments, len(samples)]
    for msn, (begin, end) in enumerate(pairwise(bounds), first_msn):
        for part, at in enumerate(range(begin, end, per_chunk)):
            held = samples[at : min(at + per_chunk, end)]
            flags = ChunkFlag.LAST_OF_PART
            if held[0].key:
                flags |= ChunkFlag.INDEPENDENT
            if at + per_chunk >= end:
                flags |= ChunkFlag.LAST_OF_SEGMENT
            duration = sum(sample.duration for sample in held)
            pdt = PDT + held[0].dts * 1_000_000 // timescale
            header = ChunkHeader(1, msn, part, 0, len(out), flags, held[0].dts, duration, pdt, init)
            data = fragment(1, len(out), held[0].dts, held)
            out.append(SourceChunk(sequence + len(out), header, data, form))
    return out


def gap_chunk(msn: int, dts: int, duration: int, sequence: int) -> SourceChunk:
    """A segment without media."""
    flags = ChunkFlag.GAP | ChunkFlag.LAST_OF_PART | ChunkFlag.LAST_OF_SEGMENT
    return SourceChunk(sequence, ChunkHeader(1, msn, 0, 0, 0, flags, dts, duration, PDT, 0), b"", None)


class Sound(NamedTuple):
    """Encoded sound: samples with exact times of its own timescale."""

    samples: list[Sample]
    form: AudioForm


@cache
def sound_source(codec: str, seconds: float, rate: int, clicks: tuple[float, ...], channels: int = 2) -> Sound:
    """A quiet tone with a loud click (2 ms of a high tone) at each of `clicks` seconds, times from 0 on."""
    file = io.BytesIO()
    moov = "delay_moov" if codec == "ac3" else "empty_moov"
    options = {"movflags": f"{moov}+default_base_moof+frag_every_frame"}
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[channels]
    with av.open(file, "w", format="mp4", options=options) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        form = {"flac": "s16", "libopus": "flt", "aac": "fltp", "ac3": "fltp"}[codec]
        context = stream.codec_context
        context.format = form
        context.open()
        size = context.frame_size or 1024
        delay = _DELAYS.get(codec, 0)
        for first in range(-size, round(seconds * rate), size):
            values = [_level((first + index) / rate, clicks) for index in range(size)]
            container.mux(stream.encode(_audio(form, layout, channels, values, first, rate)))
        container.mux(stream.encode(None))
    data = file.getvalue()
    moof = data.index(b"moof") - 4
    samples = [sample for piece in read_fragments(data[moof:]) for sample in piece.samples]
    at = -size - delay
    placed = []
    for sample in samples:
        if at >= 0:
            placed.append(Sample(at, size, 0, True, bytes(sample.data)))
        at += size
    described = AudioFormat(codec="test", sample_rate=rate, channels=channels)
    return Sound(placed, audio_form(Init(init=0, data=data[:moof], audio=described)))


_DELAYS = {"libopus": 312, "ac3": 256, "aac": 1024}


def _level(at: float, clicks: Sequence[float]) -> float:
    for click in clicks:
        if 0 <= at - click < 0.002:
            return 0.8 * math.sin(2 * math.pi * 3000 * (at - click))
    return 0.02 * math.sin(2 * math.pi * 440 * at)


def _audio(form: str, layout: str, channels: int, values: list[float], pts: int, rate: int) -> AudioFrame:
    frame = AudioFrame(form, layout, len(values))
    if form == "s16":
        frame.planes[0].update(
            array.array("h", [int(v * 32767) for v in values for _ in range(channels)]).tobytes()
        )
    elif form == "flt":
        frame.planes[0].update(array.array("f", [v for v in values for _ in range(channels)]).tobytes())
    else:
        for plane in frame.planes:
            plane.update(array.array("f", values).tobytes())
    frame.sample_rate, frame.pts, frame.time_base = rate, pts, Fraction(1, rate)
    return frame
