"""The video encoder: x264 through PyAV, configured so that any worker can take over at any key frame.

Zero latency, no B-frames, a key frame exactly where it is asked for and nowhere else, length-prefixed
output (avcC), parameter sets only in the initialisation segment.
"""

from fractions import Fraction
from typing import NamedTuple

import av
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType, VideoFrame

TIME_BASE = Fraction(1, 90_000)
_GLOBAL_HEADER = 1 << 22
_NEVER = 100_000  # frames between key frames that nobody asked for
_FALLBACK_RATE = Fraction(30)
_SAME_SHAPE = Fraction(1, 50)  # of the width: less is not worth a border


class Encoded(NamedTuple):
    """An access unit. `pts` in 90 kHz ticks, `data` length-prefixed NAL units."""

    pts: int
    key: bool
    data: bytes


class RungFormat(NamedTuple):
    """What a rung encodes to. `bit_rate` in bit/s; `frame_rate` (0, 1) when unknown."""

    width: int
    height: int
    bit_rate: int
    frame_rate: tuple[int, int]
    preset: str


class Encoder:
    """One rung's encoder. Used by one thread."""

    def __init__(self, form: RungFormat) -> None:
        numerator, denominator = form.frame_rate
        rate = Fraction(numerator, denominator) if numerator > 0 else _FALLBACK_RATE
        context = av.CodecContext.create("libx264", "w")
        if not isinstance(context, VideoCodecContext):
            raise TypeError("libx264 is not a video encoder")
        context.width, context.height, context.pix_fmt = form.width, form.height, "yuv420p"
        context.time_base, context.framerate = TIME_BASE, rate
        context.bit_rate = form.bit_rate
        context.gop_size = _NEVER
        context.thread_count = 1
        context.flags |= _GLOBAL_HEADER
        kilobits = form.bit_rate // 1000
        context.options = {
            "preset": form.preset,
            "tune": "zerolatency",
            "profile": "high",
            "forced-idr": "1",
            "sc_threshold": "0",
            "maxrate": f"{kilobits}k",
            "bufsize": f"{kilobits}k",
            "x264-params": "annexb=0:scenecut=0:vbv-init=0.5",
        }
        context.open()
        self._context = context

    @property
    def config(self) -> bytes:
        """The AVCDecoderConfigurationRecord."""
        return bytes(self._context.extradata or b"")

    def encode(self, frame: VideoFrame, key: bool) -> list[Encoded]:
        """The access units that this frame completes (one, under zero latency)."""
        frame.pict_type = PictureType.I if key else PictureType.NONE
        return [
            Encoded(packet.pts or 0, packet.is_keyframe, bytes(packet)) for packet in self._context.encode(frame)
        ]


class Scaler:
    """Scales frames to one size; rebuilt by itself when the input changes.

    The size was chosen for the picture the broadcast began with. A picture of another shape is fitted in,
    centred, with black beside it.
    """

    def __init__(self, width: int, height: int) -> None:
        self._width = width
        self._height = height
        self._input: tuple[int, int, str, tuple[int, int]] | None = None
        self._graph: Graph | None = None  # the contexts hold it only weakly
        self._source: FilterContext | None = None
        self._sink: FilterContext | None = None

    def scale(self, frame: VideoFrame, sample_aspect: tuple[int, int] = (1, 1)) -> VideoFrame:
        """A frame of the size and format of the rung, same pts."""
        form = (frame.width, frame.height, frame.format.name, sample_aspect)
        if form != self._input or self._source is None or self._sink is None:
            self._source, self._sink = self._build(frame, sample_aspect)
            self._input = form
        self._source.push(frame)
        scaled = self._sink.pull()
        if not isinstance(scaled, VideoFrame):
            raise TypeError("the scaler gave no picture")
        return scaled

    def _build(self, frame: VideoFrame, sample_aspect: tuple[int, int]) -> tuple[FilterContext, FilterContext]:
        width, height = self._fit(frame.width, frame.height, sample_aspect)
        graph = Graph()
        graph.threads = 1
        source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=TIME_BASE)
        steps = [source, graph.add("scale", f"{width}:{height}:flags=bicubic")]
        if (width, height) != (self._width, self._height):
            left, top = (self._width - width) // 4 * 2, (self._height - height) // 4 * 2
            steps.append(graph.add("format", "yuv420p"))
            steps.append(graph.add("pad", f"{self._width}:{self._height}:{left}:{top}:black"))
        sink = graph.add("buffersink")
        steps += [graph.add("setsar", "1"), graph.add("format", "yuv420p"), sink]
        graph.link_nodes(*steps).configure()
        self._graph = graph
        return source, sink

    def _fit(self, width: int, height: int, sample_aspect: tuple[int, int]) -> tuple[int, int]:
        """The largest even size of the picture's shape; the whole of ours when it is as good as the same."""
        across, down = sample_aspect if min(sample_aspect) > 0 else (1, 1)
        shape = Fraction(width * across, height * down)
        if abs(shape * self._height - self._width) <= max(Fraction(2), self._width * _SAME_SHAPE):
            return self._width, self._height
        if shape * self._height > self._width:
            return self._width, max(2, 2 * round(self._width / shape / 2))
        return max(2, 2 * round(self._height * shape / 2)), self._height
