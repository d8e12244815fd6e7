"""The last picture again, while the source has none: sound is heard on by those whose players need both."""

from collections.abc import Iterator

import av.error
from av.filter import Graph
from av.video.frame import VideoFrame

from edge.transcode.encoding import Picture
from edge.transcode.engines.base import TIME_BASE, EngineError
from edge.transcode.engines.scaler import in_memory
from edge.transcode.rung import Missing

_EVEN = 4  # so many are a whole number of frames for rungs with a half or a quarter of them


class Still:
    """One picture, as often as it is wanted, for all rungs or for each one its own."""

    def __init__(self, picture: Picture, frame: VideoFrame) -> None:
        """`frame` is that of the picture. EngineError when it cannot be read from a graphics card any more."""
        self._picture = picture
        self._frame = _Again(frame)
        scaled = picture.scaled
        self._scaled = None if scaled is None else {rung: _Again(one) for rung, one in scaled.items()}

    def instead_of(self, missing: Missing) -> Iterator[Picture]:
        """Pictures for the time of a part, about as many as are usual in it; the first one starts its segment."""
        count = _EVEN * max(1, round(missing.duration / max(1, _EVEN * self._picture.duration)))
        edges = [missing.duration * index // count for index in range(count + 1)]
        for index in range(count):
            pts = missing.pts + edges[index]
            scaled = self._scaled
            yield self._picture._replace(
                frame=self._frame.at(pts),
                pts=pts,
                duration=edges[index + 1] - edges[index],
                pdt_us=missing.pdt_us + edges[index] * 1_000_000 // TIME_BASE.denominator,
                late_us=missing.late_us,
                boundary=missing.boundary if index == 0 else None,
                scaled=None if scaled is None else {rung: one.at(pts) for rung, one in scaled.items()},
            )


class _Again:
    """Frames that share the bytes of one and have times of their own. They are in system memory."""

    def __init__(self, frame: VideoFrame) -> None:
        try:
            self._frame = in_memory(frame)
        except av.error.FFmpegError as error:
            raise EngineError(f"the last picture cannot be had from the card: {error}") from error
        self._graph = Graph()
        self._graph.threads = 1
        self._source = self._graph.add_buffer(
            width=self._frame.width, height=self._frame.height, format=self._frame.format, time_base=TIME_BASE
        )
        self._sink = self._graph.add("buffersink")
        self._graph.link_nodes(self._source, self._graph.add("null"), self._sink).configure()

    def at(self, pts: int) -> VideoFrame:
        self._source.push(self._frame)
        frame = self._sink.pull()
        if not isinstance(frame, VideoFrame):
            raise EngineError("the picture cannot be shown again")
        frame.pts, frame.time_base = pts, TIME_BASE
        return frame
