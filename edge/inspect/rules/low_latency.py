"""What one media playlist with parts has to say."""

from edge.inspect.observations import Note
from edge.inspect.playlist import MediaText, PartLine, SegmentLine

MICRO = 1_000_000
_LONG_US = 120 * MICRO


def check(text: MediaText, note: Note) -> None:
    """Server control, parts and hints. Classic playlists: hold-back only."""
    _hold_backs(text, note)
    if text.ended and text.hints:
        note("HINT-ENDED", text.hints[0].line.number, text.hints[0].line.text)
    for _, _, part in text.parts():
        if part.byterange:
            note("PART-NO-BYTERANGE", part.line.number, part.line.text)
            break
    if not text.low_latency:
        return
    _control(text, note)
    _parts(text, note)
    if text.live:
        _hints(text, note)
        _late_extinf(text, note)
        _removed(text, note)
        _deltas(text, note)


def _hold_backs(text: MediaText, note: Note) -> None:
    if text.control is None or text.target_s is None:
        return
    line, target_us = text.control.line.number, text.target_s * MICRO
    hold_back, skip = text.control_us("HOLD-BACK"), text.control_us("CAN-SKIP-UNTIL")
    if hold_back is not None and hold_back < 3 * target_us:
        note("HB-3TD", line, f"HOLD-BACK {hold_back / MICRO:g}, target {text.target_s}")
    if skip is not None and skip < 6 * target_us:
        note("SKIP-6TD", line, f"CAN-SKIP-UNTIL {skip / MICRO:g}, target {text.target_s}")


def _control(text: MediaText, note: Note) -> None:
    line = text.control.line.number if text.control is not None else 0
    hold_back = text.control_us("PART-HOLD-BACK")
    if hold_back is None:
        note("LL-SERVER-CONTROL", line, "no PART-HOLD-BACK" if line else "no EXT-X-SERVER-CONTROL")
    elif hold_back < 3 * (text.part_target_us or 0):
        seen = f"PART-HOLD-BACK {hold_back / MICRO:g}, PART-TARGET {(text.part_target_us or 0) / MICRO:g}"
        note("LL-PHB-3", line, seen)
    if text.control is not None and not text.can_block:
        note("LL-CAN-BLOCK", line, text.control.line.text)
    if text.control is not None and "HOLD-BACK" not in text.control.values and text.live:
        note("HB-EXPLICIT", line, text.control.line.text)


def _parts(text: MediaText, note: Note) -> None:
    target_us = text.part_target_us or 0
    if (
        text.live
        and len(text.segments) > 1
        and not any(segment.parts or segment.gap for segment in text.segments[-2:])
    ):
        note("LL-NO-PARTS", 0, f"none in the last of {len(text.segments)} segments")
    for segment, index, part in text.parts():
        if part.duration_us > target_us:
            seen = f"DURATION {part.duration_us / MICRO:g}, PART-TARGET {target_us / MICRO:g}"
            note("PART-LE-TARGET", part.line.number, seen)
        elif part.duration_us * 100 < target_us * 85 and not _may_be_short(segment, index, part):
            seen = f"DURATION {part.duration_us / MICRO:g}, PART-TARGET {target_us / MICRO:g}"
            note("PART-85", part.line.number, seen)


def _may_be_short(segment: SegmentLine, index: int, part: PartLine) -> bool:
    last = index == len(segment.parts) - 1  # of an unfinished segment: perhaps
    return part.independent or part.gap or last or segment.parts[index + 1].gap


def _hints(text: MediaText, note: Note) -> None:
    parts = [tag for tag in text.hints if tag.values.get("TYPE") == "PART"]
    if len(parts) != 1:
        note("LL-HINT-PRESENT", parts[1].line.number if parts else 0, f"{len(parts)} hints of a part")


def _late_extinf(text: MediaText, note: Note) -> None:
    last = text.segments[-1] if text.segments else None
    if last is not None and last.line is not None and last.parts and not last.gap:
        note("LATE-EXTINF", last.line.number, f"the playlist ends in the whole segment {last.msn}")


def _removed(text: MediaText, note: Note) -> None:
    """One target duration of tolerance: a server removes the parts of a segment together."""
    most, left = 4 * (text.target_s or 0) * MICRO, text.duration_us
    for segment in text.segments:
        left -= segment.listed_us
        if segment.parts and left > most:
            note("PART-REMOVED-3TD", segment.parts[0].line.number, f"{left / MICRO:.1f} s before the end")
            return


def _deltas(text: MediaText, note: Note) -> None:
    skip = text.control_us("CAN-SKIP-UNTIL")
    if skip is None and text.duration_us > _LONG_US:
        note(
            "DELTA-OFFERED",
            text.control.line.number if text.control else 0,
            f"{text.duration_us // MICRO} s listed",
        )
    if skip is not None and text.dateranges and text.control is not None:
        line = text.control.line
        if text.control.values.get("CAN-SKIP-DATERANGES") != "YES":
            note("DELTA-DATERANGES", line.number, line.text)
