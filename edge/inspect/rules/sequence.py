"""What a media playlist may not do against the one before it."""

import collections

from edge.inspect.observations import Note
from edge.inspect.playlist import MediaText, PartLine, SegmentLine

MICRO = 1_000_000
DVR_S = 15 * 60
_REMEMBERED = 20_000


def compare(before: MediaText, after: MediaText, note: Note) -> None:
    """Two full playlists of one rendition, the later one second."""
    _constants(before, after, note)
    if after.media_sequence < before.media_sequence:
        line = after.head.get("#EXT-X-MEDIA-SEQUENCE")
        note(
            "PL-MSN-MONOTONIC",
            line.number if line else 1,
            f"from {before.media_sequence} to {after.media_sequence}",
        )
        return
    if after.edge < before.edge:
        note("PL-EDGE-MONOTONIC", after.lines, f"from {_position(before)} to {_position(after)}")
    _segments(before, after, note)
    if after.media_sequence > before.media_sequence:
        _removal(after, note)
    if after.live:
        _hint(before, after, note)


def _position(text: MediaText) -> str:
    return ".".join(map(str, text.edge))


def _constants(before: MediaText, after: MediaText, note: Note) -> None:
    if after.target_s != before.target_s:
        line = after.head.get("#EXT-X-TARGETDURATION")
        note("PL-TD-CONST", line.number if line else 1, f"from {before.target_s} to {after.target_s}")
    if after.part_target_us != before.part_target_us and not after.ended:
        line = after.head.get("#EXT-X-PART-INF")
        seen = f"from {(before.part_target_us or 0) / MICRO:g} to {(after.part_target_us or 0) / MICRO:g}"
        note("PL-PARTTARGET-CONST", line.number if line else 1, seen)
    if before.type == "VOD" and before.lines != after.lines:
        note("PL-TYPE", 0, "a playlist of type VOD changed")


def _segments(before: MediaText, after: MediaText, note: Note) -> None:
    known = {segment.msn: segment for segment in before.segments}
    for segment in after.segments:
        old = known.get(segment.msn)
        if old is None:
            continue
        line = segment.line.number if segment.line is not None else 0
        changed = _changed(old, segment)
        if changed:
            note("PL-IMMUTABLE", line, f"segment {segment.msn}: {changed}")
        elif segment.dsn != old.dsn:
            note("PL-DSN-MONOTONIC", line, f"segment {segment.msn}: from {old.dsn} to {segment.dsn}")
        if old.pdt_ms is not None and segment.pdt_ms != old.pdt_ms:
            by = "taken away" if segment.pdt_ms is None else f"{segment.pdt_ms - old.pdt_ms:+d} ms"
            note("PDT-STABLE", line, f"segment {segment.msn}: {by}")


def _changed(old: SegmentLine, new: SegmentLine) -> str:
    """What is different of a segment that both list, in words; empty when nothing is."""
    if old.line is not None and new.line is None:
        return "its line was taken away"
    if old.line is not None:
        for name in ("uri", "duration_us", "gap", "byterange"):
            if getattr(old, name) != getattr(new, name):
                return f"{name} from {getattr(old, name)} to {getattr(new, name)}"
    if old.discontinuity != new.discontinuity:
        return "EXT-X-DISCONTINUITY came or went"
    if old.map_uri != new.map_uri:
        return f"EXT-X-MAP from {old.map_uri} to {new.map_uri}"
    if len(new.parts) < len(old.parts):
        return "" if not new.parts or _same_parts(old.parts[-len(new.parts) :], new.parts) else "its parts"
    return "" if _same_parts(old.parts, new.parts) else "its parts"


def _same_parts(old: list[PartLine], new: list[PartLine]) -> bool:
    for one, other in zip(old, new, strict=False):
        if (one.uri, one.duration_us, one.independent, one.gap) != (
            other.uri, other.duration_us, other.independent, other.gap,
        ):  # fmt: skip
            return False
    return True


def _removal(after: MediaText, note: Note) -> None:
    """Rules for a playlist from which segments were removed."""
    if after.type:
        note("PL-TYPE", after.head["#EXT-X-PLAYLIST-TYPE"].number, f"{after.type}, but segments were removed")
    if after.ended:
        return
    if len(after.whole) < 6:
        note("PL-6SEG", 0, f"{len(after.whole)} segments")
    if after.duration_us < 3 * (after.target_s or 0) * MICRO:
        note("PL-3TD", 0, f"{after.duration_us / MICRO:g} s, target {after.target_s}")
    if after.duration_us < (DVR_S - (after.target_s or 0)) * MICRO:
        note("DVR-15MIN", 0, f"{after.duration_us // MICRO} s")


def _hint(before: MediaText, after: MediaText, note: Note) -> None:
    hinted = before.hint()
    if not hinted or after.edge <= before.edge:
        return
    msn, index = before.edge
    for segment in after.segments:
        parts = segment.parts
        if segment.msn == msn and len(parts) > index:
            part = parts[index]
        elif segment.msn == msn and segment.line is not None and not parts:
            return  # its parts are not listed any more
        elif segment.msn == msn + 1 and parts:
            part = parts[0]
        else:
            continue
        if part.uri != hinted and not part.gap:
            note("HINT-BECOMES-PART", part.line.number, f"hinted {hinted}, came {part.uri}")
        return


class Uris:
    """What each URI meant, so that none gets a second meaning."""

    def __init__(self) -> None:
        self._known: collections.OrderedDict[str, tuple[int, int]] = collections.OrderedDict()

    def check(self, text: MediaText, note: Note) -> None:
        """Takes the next playlist of the rendition."""
        for segment in text.segments:
            if segment.line is not None and segment.byterange is None and not segment.gap:
                self._take(segment.uri, (segment.msn, -1), segment.line.number, note)
            for index, part in enumerate(segment.parts):
                if not part.byterange and not part.gap:
                    self._take(part.uri, (segment.msn, index), part.line.number, note)

    def _take(self, uri: str, meaning: tuple[int, int], line: int, note: Note) -> None:
        known = self._known.setdefault(uri, meaning)
        if known < meaning:  # where numbers go back, that is what is wrong, not the URI
            note("URI-REUSED", line, f"{uri} was {_named(known)}, is {_named(meaning)}")
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


def _named(meaning: tuple[int, int]) -> str:
    return f"segment {meaning[0]}" if meaning[1] < 0 else f"part {meaning[0]}.{meaning[1]}"
