"""What one media playlist says by itself, low latency or not."""

import itertools

from edge.inspect.observations import Note
from edge.inspect.playlist import MediaText, SegmentLine
from edge.inspect.urls import extension

MICRO = 1_000_000
PDT_TOLERANCE_MS = 60
LARGEST_TARGET_S = 6
_FRAGMENTED = frozenset({"m4s", "mp4", "cmfv", "cmfa", "m4v", "m4a"})


def check(text: MediaText, note: Note) -> None:
    """Syntax, version, type, durations and dates of a playlist, full or delta."""
    for problem in text.problems:
        note("PL-SYNTAX", problem.line, problem.what)
    _version(text, note)
    _type(text, note)
    _durations(text, note)
    _maps(text, note)
    _start(text, note)
    if text.live:
        _dates(text, note)
        first = next((segment for segment in text.segments if segment.discontinuity), None)
        if first is not None and "#EXT-X-DISCONTINUITY-SEQUENCE" not in text.head:
            note("DISC-SEQUENCE", _line(first), f"segment {first.msn} is discontinuous")
    _continuity(text, note)


def _line(segment: SegmentLine) -> int:
    if segment.line is not None:
        return segment.line.number
    return segment.parts[0].line.number if segment.parts else 0


def needed_version(text: MediaText) -> int:
    """The lowest EXT-X-VERSION for the tags that are used (section 8)."""
    needed = [1]
    if any(segment.line is not None and segment.duration_us % MICRO for segment in text.segments):
        needed.append(3)
    if text.tags & {"#EXT-X-BYTERANGE", "#EXT-X-I-FRAMES-ONLY"}:
        needed.append(4)
    if "#EXT-X-MAP" in text.tags:
        needed.append(5 if "#EXT-X-I-FRAMES-ONLY" in text.tags else 6)
    if "#EXT-X-DEFINE" in text.tags:
        needed.append(8)
    if text.skip is not None:
        needed.append(10 if "RECENTLY-REMOVED-DATERANGES" in text.skip.values else 9)
    return max(needed)


def _version(text: MediaText, note: Note) -> None:
    needed = needed_version(text)
    line = text.head.get("#EXT-X-VERSION")
    if text.version < needed:
        note("PL-VERSION", line.number if line else 1, f"version {text.version}, its tags need {needed}")
    # A decimal point alone needs 3, whatever the digits say; EXT-X-DEFINE may be of a later version.
    elif text.version > max(needed, 3) and "#EXT-X-DEFINE" not in text.tags and text.segments:
        note("PL-VERSION-HIGH", line.number if line else 1, f"version {text.version}, its tags need {needed}")


def _type(text: MediaText, note: Note) -> None:
    line = text.head.get("#EXT-X-PLAYLIST-TYPE")
    if line is None:
        return
    if line.value not in ("VOD", "EVENT"):
        note("PL-TYPE", line.number, f"unknown type {line.value[:40]!r}")
    elif line.value == "VOD" and text.live:
        note("PL-TYPE", line.number, "VOD without EXT-X-ENDLIST")


def _durations(text: MediaText, note: Note) -> None:
    if text.target_s is None:
        return
    if text.target_s > LARGEST_TARGET_S:
        note("TD-6", text.head["#EXT-X-TARGETDURATION"].number, f"target duration {text.target_s} s")
    for segment in text.whole:
        if (segment.duration_us + MICRO // 2) // MICRO > text.target_s:
            note("SEG-ROUND-TD", _line(segment), f"EXTINF {segment.duration_us / MICRO:g}, target {text.target_s}")


def _maps(text: MediaText, note: Note) -> None:
    if text.skipped:
        return  # the map in force may stand in what was skipped
    for segment in text.segments:
        uri = segment.uri or (segment.parts[0].uri if segment.parts else "")
        if not segment.map_uri and not segment.gap and extension(uri) in _FRAGMENTED:
            note("PL-MAP", _line(segment), f"{uri} without EXT-X-MAP")
            return


def _start(text: MediaText, note: Note) -> None:
    if text.start is None or not text.live:
        return
    line, value = text.start.line.number, text.start.values.get("TIME-OFFSET", "")
    if text.low_latency:
        note("START-LL", line, text.start.line.text)
        return
    try:
        offset = float(value)
    except ValueError:
        note("PL-SYNTAX", line, "EXT-X-START without TIME-OFFSET")
        return
    left = -offset if offset < 0 else text.duration_us / MICRO - offset
    if left < 3 * (text.target_s or 0):
        note("START-OFFSET", line, f"{left:g} s before the end")


def _dates(text: MediaText, note: Note) -> None:
    dated = [segment for segment in text.segments if segment.pdt_ms is not None]
    if text.segments and not dated and not text.skipped:
        note("PDT-PRESENT", 0, f"none on {len(text.segments)} segments")
    elif dated and len(dated) < len(text.segments):
        missing = next(segment for segment in text.segments if segment.pdt_ms is None)
        note("PDT-EVERY", _line(missing), f"{len(text.segments) - len(dated)} of {len(text.segments)} have none")


def _continuity(text: MediaText, note: Note) -> None:
    for one, other in itertools.pairwise(text.segments):
        if one.pdt_ms is None or other.pdt_ms is None or other.discontinuity or one.line is None:
            continue
        off = other.pdt_ms - one.pdt_ms - one.duration_us / 1000
        if abs(off) > PDT_TOLERANCE_MS:
            note("PDT-CONTINUITY", _line(other), f"segment {other.msn} is {off:+.0f} ms from where {one.msn} ends")
