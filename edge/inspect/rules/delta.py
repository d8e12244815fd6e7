"""Playlist delta updates (8216bis, 6.2.5.1)."""

from edge.inspect.observations import Note
from edge.inspect.playlist import MediaText, SegmentLine

MICRO = 1_000_000


def check(text: MediaText, *, asked: bool, note: Note) -> None:
    """EXT-X-SKIP only where it was asked and offered."""
    if text.skip is None:
        return
    if not asked or text.control_us("CAN-SKIP-UNTIL") is None or text.ended:
        note("DELTA-UNASKED", text.skip.line.number, text.skip.line.text)


def compare(full: MediaText, update: MediaText, note: Note) -> None:
    """A delta update against the full playlist of the same state."""
    boundary = full.control_us("CAN-SKIP-UNTIL") or 0
    beyond = _beyond(full, boundary)
    if update.skip is None:
        if len(beyond) > 1:  # a server may count from the other end of a segment
            note("DELTA-ANSWERED", 0, f"{len(beyond)} segments are beyond {boundary / MICRO:g} s, none is skipped")
        return
    line = update.skip.line.number
    if update.media_sequence != full.media_sequence:
        note("DELTA-EQUIV", line, f"EXT-X-MEDIA-SEQUENCE {update.media_sequence}, not {full.media_sequence}")
        return
    if update.skipped > len(beyond) + 1:
        seen = f"{update.skipped} skipped, {len(beyond)} are beyond {boundary / MICRO:g} s"
        note("DELTA-BOUNDARY", line, seen)
    difference = _difference(full, update)
    if difference:
        note("DELTA-EQUIV", line, difference)


def _beyond(full: MediaText, boundary_us: int) -> list[SegmentLine]:
    """Segments of which all lies further from the end than the boundary."""
    left = full.duration_us
    found = []
    for segment in full.segments:
        left -= segment.listed_us
        if segment.line is None or left < boundary_us:
            break
        found.append(segment)
    return found


def _difference(full: MediaText, update: MediaText) -> str:
    """What differs between the full playlist and the merged one, in words."""
    kept = full.segments[update.skipped :]
    if update.skipped > len(full.segments) or len(kept) != len(update.segments):
        return f"{len(update.segments)} segments after {update.skipped} skipped, {len(kept)} in the full playlist"
    # The map in force is not repeated: what comes before the first EXT-X-MAP of a delta is that of the skipped.
    map_uri = full.segments[update.skipped - 1].map_uri if update.skipped else ""
    for one, other in zip(kept, update.segments, strict=True):
        map_uri = other.map_uri or map_uri
        difference = _segment_difference(one, other, map_uri)
        if difference:
            return f"segment {one.msn}: {difference}"
    if [tag.values for tag in full.hints] != [tag.values for tag in update.hints]:
        return "other hints"
    # how far the others are may have changed between two answers that say the same of their own
    if [tag.values.get("URI") for tag in full.reports] != [tag.values.get("URI") for tag in update.reports]:
        return "other reports"
    control = [text.control.values if text.control else None for text in (full, update)]
    if control[0] != control[1] or full.target_s != update.target_s:
        return "another EXT-X-SERVER-CONTROL or EXT-X-TARGETDURATION"
    return ""


def _segment_difference(one: SegmentLine, other: SegmentLine, map_uri: str) -> str:
    for name in ("uri", "duration_us", "pdt_ms", "discontinuity", "gap", "byterange"):
        if getattr(one, name) != getattr(other, name):
            return f"{name} {getattr(other, name)}, not {getattr(one, name)}"
    if one.map_uri != map_uri:
        return f"EXT-X-MAP {map_uri}, not {one.map_uri}"
    if [part.uri for part in one.parts] != [part.uri for part in other.parts]:
        return "other parts"
    return ""
