"""The last picture again, while the source has none: sound is heard on by those whose players need both."""

from collections.abc import Iterator

from av.filter import Graph
from av.video.frame import VideoFrame

from edge.transcode.encoding import Picture
from edge.transcode.engines.base import TIME_BASE, EngineError
from edge.transcode.rung import Missing

_EVEN = 4  # so many are a whole number of frames for rungs with a half or a quarter of them


class Still:
    """One picture, as often as it is wanted. Frames share its bytes and have times of their own."""

    def __init__(self, picture: Picture, frame: VideoFrame) -> None:
        self._picture = picture
        self._graph = Graph()
        self._graph.threads = 1
        self._source = self._graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=TIME_BASE
        )
        self._sink = self._graph.add("buffersink")
        self._graph.link_nodes(self._source, self._graph.add("null"), self._sink).configure()
        self._frame = frame

    def instead_of(self, missing: Missing) -> Iterator[Picture]:
        """Pictures for the time of a part, about as many as are usual in it; the first one starts its segment."""
        count = _EVEN * max(1, round(missing.duration / max(1, _EVEN * self._picture.duration)))
        edges = [missing.duration * index // count for index in range(count + 1)]
        for index in range(count):
            frame = self._again(missing.pts + edges[index])
            yield self._picture._replace(
                frame=frame,
                pts=missing.pts + edges[index],
                duration=edges[index + 1] - edges[index],
                pdt_us=missing.pdt_us + edges[index] * 1_000_000 // TIME_BASE.denominator,
                late_us=missing.late_us,
                boundary=missing.boundary if index == 0 else None,
            )

    def _again(self, pts: int) -> VideoFrame:
        self._source.push(self._frame)
        frame = self._sink.pull()
        if not isinstance(frame, VideoFrame):
            raise EngineError("the picture cannot be shown again")
        frame.pts, frame.time_base = pts, TIME_BASE
        return frame
