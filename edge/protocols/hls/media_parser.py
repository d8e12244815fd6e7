"""Reads media playlists: the tags that `media` renders; unknown tags are ignored (section 6.3.1)."""

import dataclasses
from collections.abc import Callable

from edge.protocols.hls.errors import PlaylistError
from edge.protocols.hls.media import DateRange, MediaPlaylist, Part, RenditionReport, Segment, ServerControl
from edge.protocols.hls.tags import lines_of, need, parse_attributes, parse_date, parse_integer, parse_seconds

_ONCE = frozenset(
    {
        "#EXT-X-VERSION",
        "#EXT-X-TARGETDURATION",
        "#EXT-X-SERVER-CONTROL",
        "#EXT-X-PART-INF",
        "#EXT-X-MEDIA-SEQUENCE",
        "#EXT-X-DISCONTINUITY-SEQUENCE",
        "#EXT-X-I-FRAMES-ONLY",
        "#EXT-X-SKIP",
    }
)


class _Reader:
    """Collects one playlist line by line."""

    def __init__(self) -> None:
        self.head: dict[str, str] = {}
        self.segments: list[Segment] = []
        self.pending = Segment("", None)
        self.parts: list[Part] = []
        self.touched = False
        self.duration_us: int | None = None
        self.hint_uri = ""
        self.reports: list[RenditionReport] = []
        self.date_ranges: list[DateRange] = []
        self.ended = False
        self._handlers: dict[str, Callable[[str], None]] = {
            "#EXT-X-DISCONTINUITY": lambda _: self._apply(discontinuity=True),
            "#EXT-X-GAP": lambda _: self._apply(gap=True),
            "#EXT-X-MAP": lambda value: self._apply(map_uri=need(parse_attributes(value), "URI")),
            "#EXT-X-PROGRAM-DATE-TIME": lambda value: self._apply(pdt_ms=parse_date(value)),
            "#EXT-X-PART": self._part,
            "#EXTINF": self._extinf,
            "#EXT-X-PRELOAD-HINT": self._hint,
            "#EXT-X-RENDITION-REPORT": self._report,
            "#EXT-X-DATERANGE": self._date_range,
            "#EXT-X-ENDLIST": self._endlist,
        }

    def line(self, line: str) -> None:
        if not line.startswith("#"):
            self._uri(line)
            return
        name, _, value = line.partition(":")
        if name in _ONCE:
            if name in self.head:
                raise PlaylistError(f"{name} appears twice")
            if self.segments or self.touched:
                raise PlaylistError(f"{name} after the first segment")
            self.head[name] = value
            return
        handler = self._handlers.get(name)
        if handler is not None:
            handler(value)

    def _apply(self, **changes: object) -> None:
        if self.parts:
            raise PlaylistError("a tag of a segment stands after its first part")
        self.pending = dataclasses.replace(self.pending, **changes)  # type: ignore[arg-type] # names are ours
        self.touched = True

    def _part(self, value: str) -> None:
        attributes = parse_attributes(value)
        self.touched = True
        self.parts.append(
            Part(
                need(attributes, "URI"),
                parse_seconds(need(attributes, "DURATION")),
                attributes.get("INDEPENDENT") == "YES",
                attributes.get("GAP") == "YES",
            )
        )

    def _extinf(self, value: str) -> None:
        self.duration_us = parse_seconds(value.partition(",")[0])
        self.touched = True

    def _uri(self, line: str) -> None:
        if self.duration_us is None:
            raise PlaylistError("a URI without EXTINF")
        self.segments.append(
            dataclasses.replace(self.pending, uri=line, duration_us=self.duration_us, parts=tuple(self.parts))
        )
        self.pending, self.parts, self.touched, self.duration_us = Segment("", None), [], False, None

    def _hint(self, value: str) -> None:
        attributes = parse_attributes(value)
        if need(attributes, "TYPE") == "PART":
            self.hint_uri = need(attributes, "URI")

    def _report(self, value: str) -> None:
        attributes = parse_attributes(value)
        last_part = attributes.get("LAST-PART")
        self.reports.append(
            RenditionReport(
                need(attributes, "URI"),
                parse_integer(need(attributes, "LAST-MSN")),
                None if last_part is None else parse_integer(last_part),
            )
        )

    def _date_range(self, value: str) -> None:
        attributes = parse_attributes(value)
        self.date_ranges.append(
            DateRange(
                need(attributes, "ID"),
                attributes.get("CLASS", ""),
                parse_date(need(attributes, "START-DATE")),
                tuple((name, text) for name, text in attributes.items() if name.startswith("X-")),
            )
        )

    def _endlist(self, _: str) -> None:
        self.ended = True

    def number(self, name: str, default: int | None) -> int:
        value = self.head.get(name)
        if value is None:
            if default is None:
                raise PlaylistError(f"{name} is missing")
            return default
        return parse_integer(value)

    def attributes(self, name: str) -> dict[str, str]:
        return parse_attributes(self.head[name]) if name in self.head else {}


def _control(attributes: dict[str, str]) -> ServerControl:
    return ServerControl(
        attributes.get("CAN-BLOCK-RELOAD") == "YES",
        parse_seconds(attributes.get("PART-HOLD-BACK", "0")),
        parse_seconds(attributes.get("HOLD-BACK", "0")),
        parse_seconds(attributes.get("CAN-SKIP-UNTIL", "0")),
        attributes.get("CAN-SKIP-DATERANGES") == "YES",
    )


def parse(data: bytes) -> MediaPlaylist:
    """Reads a media playlist. Raises PlaylistError when it is malformed or a required tag is missing."""
    reader = _Reader()
    for line in lines_of(data):
        reader.line(line)
    if reader.duration_us is not None:
        raise PlaylistError("EXTINF without a URI")
    if reader.touched:
        reader.segments.append(dataclasses.replace(reader.pending, parts=tuple(reader.parts)))
    part_inf = reader.attributes("#EXT-X-PART-INF")
    skip = reader.attributes("#EXT-X-SKIP")
    control = reader.attributes("#EXT-X-SERVER-CONTROL")
    return MediaPlaylist(
        target_duration_s=reader.number("#EXT-X-TARGETDURATION", None),
        segments=tuple(reader.segments),
        media_sequence=reader.number("#EXT-X-MEDIA-SEQUENCE", 0),
        discontinuity_sequence=reader.number("#EXT-X-DISCONTINUITY-SEQUENCE", 0),
        version=reader.number("#EXT-X-VERSION", 1),
        part_target_us=parse_seconds(need(part_inf, "PART-TARGET")) if part_inf else 0,
        server_control=_control(control) if control else None,
        skipped=parse_integer(need(skip, "SKIPPED-SEGMENTS")) if skip else 0,
        hint_uri=reader.hint_uri,
        reports=tuple(reader.reports),
        ended=reader.ended,
        date_ranges=tuple(reader.date_ranges),
        i_frames_only="#EXT-X-I-FRAMES-ONLY" in reader.head,
    )
