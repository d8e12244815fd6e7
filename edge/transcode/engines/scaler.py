"""Scales decoded frames to the size of a rung."""

from fractions import Fraction

from av.filter import Graph
from av.filter.context import FilterContext
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from edge.transcode.engines.base import TIME_BASE

_SAME_SHAPE = Fraction(1, 50)  # of the width: less is not worth a border


def in_memory(frame: VideoFrame) -> VideoFrame:
    """The frame itself, or where it is on a graphics card a copy of it that is not. av.error.FFmpegError.

    PyAV holds the interpreter's lock while it copies, about a millisecond: not a way for every picture.
    """
    inner = frame.sw_format
    return frame if inner is None else VideoReformatter().reformat(frame, format=inner.name, threads=1)


class Scaler:
    """Scales frames to one size; rebuilt by itself when the input changes.

    The size was chosen for the picture the broadcast began with. A picture of another shape is fitted in,
    centred, with black beside it.
    """

    def __init__(self, width: int, height: int, pixels: str = "yuv420p") -> None:
        """`pixels` is the format that the encoder takes."""
        self._width = width
        self._height = height
        self._pixels = pixels
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

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of what it gives."""
        return self._width, self._height

    def fills(self, width: int, height: int, sample_aspect: tuple[int, int]) -> bool:
        """Whether a picture of this size is scaled to the whole of the rung's, without a border."""
        return self._fit(width, height, sample_aspect) == (self._width, self._height)

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
        steps += [graph.add("setsar", "1"), graph.add("format", self._pixels), sink]
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
