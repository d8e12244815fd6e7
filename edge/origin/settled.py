"""The lines of a long playlist's older segments, rendered and compressed once.

Behind the skip boundary a line never changes; only the head goes away. So they are kept in blocks of consecutive
numbers, and an update of a two hour playlist costs as much as one of a minute.
"""

from collections.abc import Callable

from edge.origin.stored import StoredSegment
from edge.origin.window import RenditionWindow
from edge.protocols.hls.media import Segment, render_segments
from edge.protocols.http.gzip import Piece

_BLOCK = 64
LineOf = Callable[[RenditionWindow, StoredSegment, bool], Segment]


class SettledLines:
    """Of one rendition and kind of playlist. `line_of` makes a segment's line; True: it must name its map."""

    def __init__(self, line_of: LineOf) -> None:
        self._line_of = line_of
        self._blocks: dict[int, Piece] = {}
        self._ends: dict[tuple[int, int, bool], Piece] = {}  # what is no whole block, as of the last update

    def pieces(self, window: RenditionWindow, count: int) -> list[Piece]:
        """The lines of the first `count` listed segments. Their numbers have no holes."""
        if not count:
            return []
        head = window.segments[0].msn
        end = head + count
        for number in [number for number in self._blocks if number * _BLOCK < head]:
            del self._blocks[number]
        # The first segment always names its map, so it is never taken from a block.
        border = min(end, (head // _BLOCK + 1) * _BLOCK)
        ends, self._ends = self._ends, {}
        found = [self._end(window, head, border, ends)]
        while border < end:
            following = min(end, border + _BLOCK)
            if following - border < _BLOCK:
                found.append(self._end(window, border, following, ends))
            else:
                number = border // _BLOCK
                if number not in self._blocks:
                    self._blocks[number] = self._render(window, border, following)
                found.append(self._blocks[number])
            border = following
        return found

    def _end(
        self, window: RenditionWindow, first: int, end: int, known: dict[tuple[int, int, bool], Piece]
    ) -> Piece:
        key = first, end, first == window.segments[0].msn
        piece = self._ends[key] = known.get(key) or self._render(window, first, end)
        return piece

    def _render(self, window: RenditionWindow, first: int, end: int) -> Piece:
        head = window.segments[0].msn
        before = window.segments[first - head - 1].init if first > head else None
        lines: list[Segment] = []
        for segment in window.segments.span(first - head, end - head):
            lines.append(self._line_of(window, segment, segment.init != before))
            before = segment.init
        return Piece(render_segments(lines))
