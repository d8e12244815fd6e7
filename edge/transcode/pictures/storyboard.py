"""Draws the storyboard: tiles onto sheets, and the cues that name them."""

from typing import NamedTuple

from av.video.frame import VideoFrame

from edge.media.storyboard import Cue, Layout, rolled
from edge.transcode.engines.base import TIME_BASE
from edge.transcode.pictures.still import Still, fitted, jpeg, scaled

TILE = 160  # longest side of a tile, pixels
_TICKS_PER_MS = 90
_BLACK = (16, 128, 128)  # of Y, U, V


class Sheet:
    """A sheet that is being filled."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.tiles = 0
        self._canvas = _black(*layout.size(layout.tiles))

    @property
    def is_full(self) -> bool:
        """Whether no tile has room any more."""
        return self.tiles >= self.layout.tiles

    def add(self, still: Still) -> tuple[int, int]:
        """Draws the next tile, centred where its shape is another than the sheet's; where its corner lies."""
        layout = self.layout
        place = layout.place(self.tiles)
        box = _box(still, layout)
        tile = scaled(still, (box,))[box]
        left, top = (layout.tile_width - tile.width) // 4 * 2, (layout.tile_height - tile.height) // 4 * 2
        _paste(tile, self._canvas, place.x + left, place.y + top)
        self.tiles += 1
        return place.x, place.y

    def jpeg(self) -> bytes:
        """The image of the tiles so far."""
        shown = _black(*self.layout.size(self.tiles))
        _paste(self._canvas, shown, 0, 0)
        return jpeg(shown)


def _box(still: Still, layout: Layout) -> int:
    """The longest side at which the picture fits a tile."""
    width, height = fitted(still.frame.width, still.frame.height, still.sample_aspect, TILE)
    side = max(width, height)
    return min(side, side * layout.tile_width // width, side * layout.tile_height // height)


def _black(width: int, height: int) -> VideoFrame:
    frame = VideoFrame(width, height, "yuv420p")
    for plane, level in zip(frame.planes, _BLACK, strict=True):
        plane.update(bytes([level]) * plane.buffer_size)
    frame.pts, frame.time_base = 0, TIME_BASE
    return frame


def _paste(source: VideoFrame, target: VideoFrame, x: int, y: int) -> None:
    """Copies `source` into `target` at an even place; what does not fit is left out."""
    width, height = min(source.width, target.width - x), min(source.height, target.height - y)
    for index, (one, other) in enumerate(zip(source.planes, target.planes, strict=True)):
        half = 1 if index == 0 else 2
        taken, given = memoryview(one), memoryview(other)
        for line in range(height // half):
            begin = line * one.line_size
            at = (y // half + line) * other.line_size + x // half
            given[at : at + width // half] = taken[begin : begin + width // half]


class Drawn(NamedTuple):
    """A sheet with one more tile, and every cue there is."""

    sheet: int
    image: bytes
    cues: list[Cue]


class StoryboardMaker:
    """Makes the storyboard of a broadcast as it goes on. Used by one thread.

    `cues` are those that another worker left: its sheets stay as they are, ours have the numbers after them.
    A sheet's URI is `sheet-N.jpg?v=VERSION-TILES`: a query that differs when the image does.
    """

    def __init__(
        self, *, step_s: float, window_s: float, version: str, cues: list[Cue], columns: int = 10, rows: int = 10
    ) -> None:
        self._step_ms = max(1, round(step_s * 1000))
        self._window_ms = round(window_s * 1000)
        self._version = version
        self._cues = cues
        self._number = max((sheet_number(cue.uri) for cue in cues), default=-1) + 1
        self._columns, self._rows = columns, rows
        self._sheet: Sheet | None = None

    def is_due(self, pts: int) -> bool:
        """Whether the picture at `pts` begins another step than the last tile's."""
        if not self._cues:
            return True
        return pts // _TICKS_PER_MS // self._step_ms > self._cues[-1].start_ms // self._step_ms

    def add(self, still: Still) -> Drawn:
        """Draws a tile. av.error.FFmpegError for a frame that cannot be scaled."""
        sheet = self._open(still)
        x, y = sheet.add(still)
        start = still.pts // _TICKS_PER_MS
        uri = f"sheet-{self._number}.jpg?v={self._version}-{sheet.tiles}"
        layout = sheet.layout
        cue = Cue(start, start + self._step_ms, uri, x, y, layout.tile_width, layout.tile_height)
        cues = rolled(self._cues, cue, self._window_ms)
        self._cues = [one._replace(uri=uri) if sheet_number(one.uri) == self._number else one for one in cues]
        return Drawn(self._number, sheet.jpeg(), self._cues)

    def _open(self, still: Still) -> Sheet:
        if self._sheet is not None and self._sheet.is_full:
            self._sheet = None
            self._number += 1
        if self._sheet is None:
            width, height = fitted(still.frame.width, still.frame.height, still.sample_aspect, TILE)
            self._sheet = Sheet(Layout(width, height, self._columns, self._rows))
        return self._sheet


def sheet_number(uri: str) -> int:
    """The number of the sheet in its URI; -1 when it is none of ours."""
    name, _, rest = uri.partition("-")
    number = rest.partition(".")[0]
    return int(number) if name == "sheet" and number.isdecimal() else -1
