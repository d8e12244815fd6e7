"""EXT-X-DATERANGE: by itself, against the playlist before it, and for interstitials and SCTE-35."""

import re

from edge.inspect.lines import Line, date_ms, micros
from edge.inspect.observations import Note
from edge.inspect.playlist import MediaText, Tag

_HEX = re.compile(r"0[xX][0-9A-Fa-f]+\Z")
_NUMBER = re.compile(r"-?\d+(\.\d+)?\Z", re.ASCII)
_INTERSTITIAL = "com.apple.hls.interstitial"
_RESTRICTIONS = {"SKIP", "JUMP"}
_NOWHERE = Line(0, "#EXT-X-DATERANGE", "")


def check(text: MediaText, note: Note) -> None:
    """Each date range of a playlist."""
    if not text.dateranges:
        return
    if not text.skipped and text.segments and all(segment.pdt_ms is None for segment in text.segments):
        note("DATERANGE-PDT", text.dateranges[0].line.number, "no EXT-X-PROGRAM-DATE-TIME")
    for tag in text.dateranges:
        _syntax(tag, note)
        for name in ("SCTE35-CMD", "SCTE35-OUT", "SCTE35-IN"):
            if name in tag.values and not _HEX.match(tag.values[name]):
                note("DATERANGE-SCTE35", tag.line.number, f"{name}={tag.values[name][:40]}")
        if _INTERSTITIAL in tag.values.get("CLASS", "").split(","):
            _interstitial(tag, note)


def _syntax(tag: Tag, note: Note) -> None:
    values, line = tag.values, tag.line.number
    start, end, duration = _span(tag)
    spans = {"START-DATE": start, "END-DATE": end, "DURATION": duration}
    missing = [name for name in ("ID", "START-DATE") if not values.get(name)]
    unread = [name for name, value in spans.items() if name in values and value is None]
    if missing:
        note("DATERANGE-SYNTAX", line, f"no {' and no '.join(missing)}")
    elif unread:
        note("DATERANGE-SYNTAX", line, f"cannot be read: {', '.join(unread)}")
    elif values.get("END-ON-NEXT") == "YES" and ("CLASS" not in values or values.keys() & {"DURATION", "END-DATE"}):
        note("DATERANGE-SYNTAX", line, "END-ON-NEXT needs a CLASS and has no end of its own")
    elif start is not None and end is not None and not _ends(start, end, duration):
        note("DATERANGE-END", line, tag.line.text)


def _ends(start: float, end: float, duration: float | None) -> bool:
    return end >= start and (duration is None or abs(start + duration - end) <= 1)


def _span(tag: Tag) -> tuple[float | None, float | None, float | None]:
    """START-DATE and END-DATE in Unix milliseconds, DURATION in milliseconds; None where absent or malformed."""
    values, line = tag.values, tag.line
    start = date_ms(line, values["START-DATE"], []) if "START-DATE" in values else None
    end = date_ms(line, values["END-DATE"], []) if "END-DATE" in values else None
    duration = micros(line, values["DURATION"], []) if "DURATION" in values else None
    return start, end, None if duration is None else duration / 1000


def _interstitial(tag: Tag, note: Note) -> None:
    values, line = tag.values, tag.line.number
    if ("X-ASSET-URI" in values) == ("X-ASSET-LIST" in values):
        note("DATERANGE-INTERSTITIAL", line, "neither or both of X-ASSET-URI and X-ASSET-LIST")
    for name in ("X-RESUME-OFFSET", "X-PLAYOUT-LIMIT"):
        if name in values and not _NUMBER.match(values[name]):
            note("DATERANGE-INTERSTITIAL", line, f"{name}={values[name][:40]}")
    if not set(filter(None, values.get("X-RESTRICT", "").split(","))) <= _RESTRICTIONS:
        note("DATERANGE-INTERSTITIAL", line, f"X-RESTRICT={values['X-RESTRICT'][:40]}")


def ranges(text: MediaText) -> dict[str, dict[str, str]]:
    """Date ranges by ID, the attributes of several tags put together."""
    found: dict[str, dict[str, str]] = {}
    for tag in text.dateranges:
        known = found.setdefault(tag.values.get("ID", ""), {})
        for name, value in tag.values.items():
            known.setdefault(name, value)
    return found


def compare(before: MediaText, after: MediaText, note: Note) -> None:
    """Two full playlists of one rendition, the later one second."""
    old, new = ranges(before), ranges(after)
    lines = {tag.values.get("ID", ""): tag.line.number for tag in after.dateranges}
    for name, values in old.items():
        if name in new:
            changed = [key for key, value in values.items() if new[name].get(key) != value]
            if changed:
                note("DATERANGE-IMMUTABLE", lines[name], f"{name}: {', '.join(changed)} changed")
        elif _still_listed(values, after):
            note("DATERANGE-KEPT", 0, f"{name} was removed")


def _still_listed(values: dict[str, str], text: MediaText) -> bool:
    """Whether a listed segment lies in a date range that has a beginning and an end."""
    dated = [segment for segment in text.segments if segment.pdt_ms is not None]
    if not dated or "START-DATE" not in values:
        return False
    start, end, duration = _span(Tag(_NOWHERE, values))
    if start is None:
        return False
    last = end if end is not None else start + (duration or 0)
    first_ms, last_ms = dated[0].pdt_ms or 0, (dated[-1].pdt_ms or 0) + dated[-1].listed_us / 1000
    return last > first_ms and start < last_ms
