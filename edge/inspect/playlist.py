"""A media playlist as it is, right or wrong: every value with its line, and what the reader stumbled over."""

import dataclasses
import re
from collections.abc import Callable, Iterator

from edge.inspect.lines import Line, Problem, attributes, date_ms, integer, micros, read_lines

_ONCE = (
    "#EXT-X-VERSION", "#EXT-X-TARGETDURATION", "#EXT-X-MEDIA-SEQUENCE", "#EXT-X-DISCONTINUITY-SEQUENCE",
    "#EXT-X-SERVER-CONTROL", "#EXT-X-PART-INF", "#EXT-X-SKIP", "#EXT-X-PLAYLIST-TYPE", "#EXT-X-START",
    "#EXT-X-I-FRAMES-ONLY", "#EXT-X-INDEPENDENT-SEGMENTS", "#EXT-X-ENDLIST",
)  # fmt: skip
_BEFORE_SEGMENTS = frozenset({"#EXT-X-MEDIA-SEQUENCE", "#EXT-X-DISCONTINUITY-SEQUENCE", "#EXT-X-SKIP"})
_BYTES = re.compile(r"(\d{1,18})(?:@(\d{1,18}))?\Z", re.ASCII)


@dataclasses.dataclass(slots=True)
class PartLine:
    """EXT-X-PART. `duration_us` is 0 where it cannot be read."""

    line: Line
    uri: str
    duration_us: int
    independent: bool
    gap: bool
    byterange: str


@dataclasses.dataclass(slots=True)
class SegmentLine:
    """A segment and its tags. `uri` is empty and `line` None while only its parts are listed."""

    msn: int
    dsn: int
    line: Line | None = None
    uri: str = ""
    duration_us: int = 0
    parts: list[PartLine] = dataclasses.field(default_factory=list)
    pdt_ms: int | None = None
    discontinuity: bool = False
    gap: bool = False
    map_uri: str = ""
    byterange: tuple[int, int | None] | None = None

    @property
    def listed_us(self) -> int:
        """How long it lasts as far as it is listed."""
        return self.duration_us if self.line is not None else sum(part.duration_us for part in self.parts)


@dataclasses.dataclass(slots=True)
class Tag:
    """A tag with an attribute list."""

    line: Line
    values: dict[str, str]


@dataclasses.dataclass(slots=True)
class MediaText:
    """A media playlist. Absent values are None; `control` and `part_inf` are attribute lists."""

    lines: int = 0
    head: dict[str, Line] = dataclasses.field(default_factory=dict)
    tags: set[str] = dataclasses.field(default_factory=set)
    target_s: int | None = None
    version: int = 1
    media_sequence: int = 0
    discontinuity_sequence: int = 0
    part_target_us: int | None = None
    control: Tag | None = None
    skip: Tag | None = None
    skipped: int = 0
    segments: list[SegmentLine] = dataclasses.field(default_factory=list)
    hints: list[Tag] = dataclasses.field(default_factory=list)
    reports: list[Tag] = dataclasses.field(default_factory=list)
    dateranges: list[Tag] = dataclasses.field(default_factory=list)
    start: Tag | None = None
    ended: bool = False
    problems: list[Problem] = dataclasses.field(default_factory=list)

    @property
    def live(self) -> bool:
        """Whether more will come."""
        return not self.ended

    @property
    def low_latency(self) -> bool:
        """Whether it says that it has parts."""
        return self.part_target_us is not None

    @property
    def type(self) -> str:
        """EXT-X-PLAYLIST-TYPE, or empty."""
        line = self.head.get("#EXT-X-PLAYLIST-TYPE")
        return line.value if line is not None else ""

    @property
    def can_block(self) -> bool:
        """CAN-BLOCK-RELOAD=YES."""
        return self.control is not None and self.control.values.get("CAN-BLOCK-RELOAD") == "YES"

    @property
    def ends_in_gap(self) -> bool:
        """Whether the newest part that is listed, or the segment where there is no part, has no media."""
        if not self.segments:
            return False
        last = self.segments[-1]
        return last.parts[-1].gap if last.parts else last.gap

    def control_us(self, name: str) -> int | None:
        """A duration of EXT-X-SERVER-CONTROL, None when absent or malformed."""
        if self.control is None or name not in self.control.values:
            return None
        return micros(self.control.line, self.control.values[name], [])

    @property
    def duration_us(self) -> int:
        """All that is listed, parts of an unfinished segment included."""
        return sum(segment.listed_us for segment in self.segments)

    @property
    def whole(self) -> list[SegmentLine]:
        """Segments that have their line."""
        return [segment for segment in self.segments if segment.line is not None]

    @property
    def edge(self) -> tuple[int, int]:
        """(msn, parts listed of it) of what is not finished: the next part to ask for."""
        if not self.segments:
            return self.media_sequence, 0
        last = self.segments[-1]
        return (last.msn, len(last.parts)) if last.line is None else (last.msn + 1, 0)

    def hint(self, kind: str = "PART") -> str:
        """URI of the first preload hint of a type, or empty."""
        return next((tag.values.get("URI", "") for tag in self.hints if tag.values.get("TYPE") == kind), "")

    def parts(self) -> Iterator[tuple[SegmentLine, int, PartLine]]:
        """Every part with its segment and index."""
        for segment in self.segments:
            for index, part in enumerate(segment.parts):
                yield segment, index, part


class _Reader:
    def __init__(self) -> None:
        self.made = MediaText()
        self._next: SegmentLine | None = None
        self._map = ""
        self._msn = self._dsn = 0
        self._extinf: int | None = None
        self._handlers: dict[str, Callable[[Line], None]] = {
            "#EXT-X-DISCONTINUITY": self._discontinuity,
            "#EXT-X-GAP": self._gap,
            "#EXT-X-MAP": self._take_map,
            "#EXT-X-PROGRAM-DATE-TIME": self._date,
            "#EXT-X-BYTERANGE": self._byterange,
            "#EXT-X-PART": self._part,
            "#EXTINF": self._take_extinf,
            "#EXT-X-PRELOAD-HINT": lambda line: self.made.hints.append(self._tag(line)),
            "#EXT-X-RENDITION-REPORT": lambda line: self.made.reports.append(self._tag(line)),
            "#EXT-X-DATERANGE": lambda line: self.made.dateranges.append(self._tag(line)),
        }

    def line(self, line: Line) -> None:
        self.made.tags.add(line.tag)
        if not line.tag:
            self._uri(line)
        elif line.tag in _ONCE:
            self._once(line)
        elif line.tag == "#EXT-X-STREAM-INF":
            self._wrong(line, "a tag of multivariant playlists in a media playlist")
        elif line.tag in self._handlers:
            self._handlers[line.tag](line)

    def _wrong(self, line: Line, what: str) -> None:
        self.made.problems.append(Problem(line.number, what))

    def _tag(self, line: Line) -> Tag:
        return Tag(line, attributes(line, self.made.problems))

    def _once(self, line: Line) -> None:
        made, problems = self.made, self.made.problems
        if line.tag in made.head:
            self._wrong(line, f"{line.tag} appears twice")
            return
        if line.tag in _BEFORE_SEGMENTS and (made.segments or self._next is not None):
            self._wrong(line, f"{line.tag} after the first segment")
        made.head[line.tag] = line
        match line.tag:
            case "#EXT-X-VERSION":
                made.version = integer(line, line.value, problems) or 1
            case "#EXT-X-TARGETDURATION":
                made.target_s = integer(line, line.value, problems)
            case "#EXT-X-MEDIA-SEQUENCE":
                self._msn = made.media_sequence = integer(line, line.value, problems) or 0
            case "#EXT-X-DISCONTINUITY-SEQUENCE":
                self._dsn = made.discontinuity_sequence = integer(line, line.value, problems) or 0
            case _:
                self._attributed(line)

    def _attributed(self, line: Line) -> None:
        made, problems = self.made, self.made.problems
        match line.tag:
            case "#EXT-X-SERVER-CONTROL":
                made.control = self._tag(line)
            case "#EXT-X-PART-INF":
                made.part_target_us = micros(line, self._tag(line).values.get("PART-TARGET"), problems)
            case "#EXT-X-SKIP":
                made.skip = self._tag(line)
                made.skipped = integer(line, made.skip.values.get("SKIPPED-SEGMENTS"), problems) or 0
                self._msn += made.skipped
            case "#EXT-X-START":
                made.start = self._tag(line)
            case "#EXT-X-ENDLIST":
                made.ended = True

    def _pending(self, line: Line, *, before_parts: bool = True) -> SegmentLine:
        if self._next is None:
            self._next = SegmentLine(self._msn, self._dsn, map_uri=self._map)
        if before_parts and self._next.parts:
            self._wrong(line, f"{line.tag} of a segment stands after its first part")
        return self._next

    def _discontinuity(self, line: Line) -> None:
        segment = self._pending(line)
        if segment.discontinuity:
            self._wrong(line, "two discontinuities before one segment")
            return
        segment.discontinuity = True
        self._dsn += 1
        segment.dsn = self._dsn

    def _gap(self, line: Line) -> None:
        self._pending(line, before_parts=False).gap = True

    def _take_map(self, line: Line) -> None:
        values = self._tag(line).values
        if "URI" not in values:
            self._wrong(line, "EXT-X-MAP without URI")
        self._map = values.get("URI", "") + ("#" + values["BYTERANGE"] if "BYTERANGE" in values else "")
        self._pending(line).map_uri = self._map

    def _date(self, line: Line) -> None:
        self._pending(line).pdt_ms = date_ms(line, line.value, self.made.problems)

    def _byterange(self, line: Line) -> None:
        match = _BYTES.match(line.value)
        if match is None:
            self._wrong(line, "EXT-X-BYTERANGE cannot be read")
            return
        offset = int(match[2]) if match[2] else None
        self._pending(line, before_parts=False).byterange = (int(match[1]), offset)

    def _part(self, line: Line) -> None:
        values = self._tag(line).values
        if "URI" not in values:
            self._wrong(line, "EXT-X-PART without URI")
        duration = micros(line, values.get("DURATION"), self.made.problems)
        self._pending(line, before_parts=False).parts.append(
            PartLine(
                line,
                values.get("URI", ""),
                duration or 0,
                values.get("INDEPENDENT") == "YES",
                values.get("GAP") == "YES",
                values.get("BYTERANGE", ""),
            )
        )

    def _take_extinf(self, line: Line) -> None:
        if self._extinf is not None:
            self._wrong(line, "EXTINF without a URI")
        self._extinf = micros(line, line.value.partition(",")[0], self.made.problems) or 0
        self._pending(line, before_parts=False)

    def _uri(self, line: Line) -> None:
        segment = self._pending(line, before_parts=False)
        if self._extinf is None:
            self._wrong(line, "a URI without EXTINF")
        segment.line, segment.uri, segment.duration_us = line, line.value, self._extinf or 0
        self._close(segment)

    def _close(self, segment: SegmentLine) -> None:
        self.made.segments.append(segment)
        self._next, self._extinf = None, None
        self._msn += 1

    def end(self) -> MediaText:
        if self._extinf is not None:
            self.made.problems.append(Problem(self.made.lines, "EXTINF without a URI"))
        if self._next is not None:
            self._close(self._next)
        if self.made.target_s is None:
            self.made.problems.append(Problem(1, "EXT-X-TARGETDURATION is missing"))
        if "#EXT-X-PART" in self.made.tags and "#EXT-X-PART-INF" not in self.made.head:
            self.made.problems.append(Problem(1, "EXT-X-PART without EXT-X-PART-INF"))
        return self.made


def read_media(data: bytes) -> MediaText:
    """Reads a media playlist, whatever it is; problems are in it."""
    reader = _Reader()
    lines, problems = read_lines(data)
    reader.made.problems.extend(problems)
    reader.made.lines = data.count(b"\n")
    for line in lines:
        reader.line(line)
    return reader.end()
