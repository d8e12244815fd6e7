"""Storyboards: small pictures of a broadcast's course on sheets, and the WebVTT that says which lies where.

A sheet is one image of equal tiles, filled row by row. A cue names the sheet and the tile's place in it by a
media fragment (W3C Media Fragments URI 1.0, 4.2.2: `#xywh=x,y,w,h` in pixels). Times are milliseconds of media
time; X-TIMESTAMP-MAP ties them to the renditions' decode times (RFC 8216, 3.5).
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from appliance.contracts.errors import BadInputError

_HEAD = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n"
_TIMES = re.compile(r"(\S+) --> (\S+)\Z")
_CLOCK = re.compile(r"(?:(\d{2,9}):)?([0-5]\d):([0-5]\d)\.(\d{3})\Z")
_PLACE = re.compile(r"([^#\s]+)#xywh=(\d{1,6}),(\d{1,6}),(\d{1,6}),(\d{1,6})\Z")


class StoryboardError(BadInputError):
    """A text that is no storyboard."""

    code = "storyboard"


class Place(NamedTuple):
    """A tile's upper left corner on a sheet, in pixels."""

    sheet: int
    x: int
    y: int


class Layout(NamedTuple):
    """How tiles lie on a sheet. Pixels; even, for the chroma of the pictures."""

    tile_width: int
    tile_height: int
    columns: int = 10
    rows: int = 10

    @property
    def tiles(self) -> int:
        """Tiles of a full sheet."""
        return self.columns * self.rows

    def place(self, index: int) -> Place:
        """Where tile `index` of all sheets lies, counted from 0."""
        sheet, within = divmod(index, self.tiles)
        row, column = divmod(within, self.columns)
        return Place(sheet, column * self.tile_width, row * self.tile_height)

    def size(self, tiles: int) -> tuple[int, int]:
        """Width and height of a sheet that holds only its first `tiles`: no column or row without one."""
        held = max(1, min(tiles, self.tiles))
        return min(held, self.columns) * self.tile_width, -(-held // self.columns) * self.tile_height


class Cue(NamedTuple):
    """A tile: from when to when it stands for the picture, and where it lies. Times in ms, the rest in pixels."""

    start_ms: int
    end_ms: int
    uri: str  # of the sheet
    x: int
    y: int
    width: int
    height: int


def rolled(cues: Iterable[Cue], added: Cue, window_ms: int) -> list[Cue]:
    """`cues` with `added` behind them, which ends the last one; those that ended `window_ms` before are left out.

    A cue that begins no earlier than `added` is replaced by it.
    """
    found = [cue for cue in cues if cue.start_ms < added.start_ms]
    if found:
        found[-1] = found[-1]._replace(end_ms=added.start_ms)
    return [cue for cue in [*found, added] if cue.end_ms > added.end_ms - window_ms]


def render_vtt(cues: Iterable[Cue]) -> str:
    """The WebVTT of the cues, in their order."""
    return "\n".join([_HEAD, *(_block(cue) for cue in cues)])


def _block(cue: Cue) -> str:
    place = f"{cue.x},{cue.y},{cue.width},{cue.height}"
    return f"{_clock(cue.start_ms)} --> {_clock(cue.end_ms)}\n{cue.uri}#xywh={place}\n"


def parse_vtt(text: str) -> list[Cue]:
    """The cues of a WebVTT as `render_vtt` makes it. StoryboardError."""
    head, *blocks = text.split("\n\n")
    if not head.startswith("WEBVTT"):
        raise StoryboardError("not WebVTT")
    return [_cue(block) for block in blocks if block.strip()]


def _cue(block: str) -> Cue:
    lines = block.strip().split("\n")
    times = _TIMES.match(lines[0])
    place = _PLACE.match(lines[1]) if len(lines) == 2 else None
    if times is None or place is None:
        raise StoryboardError("not a cue of a storyboard")
    x, y, width, height = (int(number) for number in place.groups()[1:])
    return Cue(_ms(times[1]), _ms(times[2]), place[1], x, y, width, height)


def _clock(ms: int) -> str:
    """A WebVTT timestamp (W3C WebVTT, 4.3)."""
    seconds, millis = divmod(ms, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}.{millis:03}"


def _ms(clock: str) -> int:
    found = _CLOCK.match(clock)
    if found is None:
        raise StoryboardError("not a time of WebVTT")
    hour, minute, second, millis = (int(number or 0) for number in found.groups())
    return ((hour * 60 + minute) * 60 + second) * 1000 + millis
