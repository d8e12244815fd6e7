"""A media playlist as a value (section 4.4.3 to 4.4.5) and its rendering, tags in one fixed order."""

import dataclasses
from collections.abc import Iterable

from edge.protocols.hls.tags import date, quoted, seconds

PLAIN_VERSION = 6  # EXT-X-MAP in a playlist that is not I-frames only
SKIP_VERSION = 9  # EXT-X-SKIP
SKIP_DATE_RANGES_VERSION = 10  # EXT-X-SKIP that leaves out date ranges as well


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """EXT-X-PART."""

    uri: str
    duration_us: int
    independent: bool = False
    gap: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Segment:
    """A media segment with the tags that apply to it; only the last of a playlist may be unfinished.

    `duration_us` is None, and `uri` empty, while only its parts are listed.
    `map_uri` is empty where the previous segment's initialisation segment still applies.
    """

    uri: str
    duration_us: int | None
    pdt_ms: int | None = None
    discontinuity: bool = False
    gap: bool = False
    map_uri: str = ""
    parts: tuple[Part, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class ServerControl:
    """EXT-X-SERVER-CONTROL. Zero leaves an attribute out."""

    can_block_reload: bool = False
    part_hold_back_us: int = 0
    hold_back_us: int = 0
    can_skip_until_us: int = 0
    can_skip_date_ranges: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class RenditionReport:
    """EXT-X-RENDITION-REPORT; `uri` relative to this playlist."""

    uri: str
    last_msn: int
    last_part: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class DateRange:
    """EXT-X-DATERANGE. `values` are further attributes by their names, which begin with X-; all are strings."""

    id: str
    class_name: str
    start_ms: int
    values: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class MediaPlaylist:
    """A media playlist. `skipped` > 0 makes it a delta update whose first segments are left out.

    `removed_date_ranges`: ids of those that such an update says are gone; None where it has all of them.
    """

    target_duration_s: int
    segments: tuple[Segment, ...] = ()
    media_sequence: int = 0
    discontinuity_sequence: int = 0
    version: int = PLAIN_VERSION
    part_target_us: int = 0
    server_control: ServerControl | None = None
    skipped: int = 0
    hint_uri: str = ""
    reports: tuple[RenditionReport, ...] = ()
    ended: bool = False
    i_frames_only: bool = False
    date_ranges: tuple[DateRange, ...] = ()
    removed_date_ranges: tuple[str, ...] | None = None


def render(playlist: MediaPlaylist) -> bytes:
    """The playlist's text in UTF-8. Header tags stand before EXT-X-SKIP, which stands before segments."""
    return b"".join((render_head(playlist), render_tail(playlist)))


def render_head(playlist: MediaPlaylist) -> bytes:
    """The text as far as the first segment. What may follow before `render_tail` is `render_segments`."""
    out = ["#EXTM3U", f"#EXT-X-VERSION:{playlist.version}"]
    out.append(f"#EXT-X-TARGETDURATION:{playlist.target_duration_s}")
    if playlist.server_control is not None:
        out.append(_server_control(playlist.server_control))
    if playlist.part_target_us:
        out.append(f"#EXT-X-PART-INF:PART-TARGET={seconds(playlist.part_target_us)}")
    out.append(f"#EXT-X-MEDIA-SEQUENCE:{playlist.media_sequence}")
    out.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{playlist.discontinuity_sequence}")
    if playlist.i_frames_only:
        out.append("#EXT-X-I-FRAMES-ONLY")
    if playlist.skipped:
        removed = playlist.removed_date_ranges
        gone = "" if not removed else f",RECENTLY-REMOVED-DATERANGES={quoted(chr(9).join(removed))}"
        out.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={playlist.skipped}{gone}")
    return _joined(out)


def render_segments(segments: Iterable[Segment]) -> bytes:
    """The lines of segments. They are the same in every playlist that has the same segment before them."""
    out: list[str] = []
    for segment in segments:
        _segment(segment, out)
    return _joined(out)


def render_tail(playlist: MediaPlaylist) -> bytes:
    """The text from the first segment on."""
    out: list[str] = []
    for segment in playlist.segments:
        _segment(segment, out)
    out += [_date_range(one) for one in playlist.date_ranges]
    if playlist.hint_uri:
        out.append(f"#EXT-X-PRELOAD-HINT:TYPE=PART,URI={quoted(playlist.hint_uri)}")
    for report in playlist.reports:
        last_part = "" if report.last_part is None else f",LAST-PART={report.last_part}"
        out.append(f"#EXT-X-RENDITION-REPORT:URI={quoted(report.uri)},LAST-MSN={report.last_msn}{last_part}")
    if playlist.ended:
        out.append("#EXT-X-ENDLIST")
    return _joined(out)


def _joined(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _server_control(control: ServerControl) -> str:
    parts = ["CAN-BLOCK-RELOAD=YES"] if control.can_block_reload else []
    if control.part_hold_back_us:
        parts.append(f"PART-HOLD-BACK={seconds(control.part_hold_back_us)}")
    if control.hold_back_us:
        parts.append(f"HOLD-BACK={seconds(control.hold_back_us)}")
    if control.can_skip_until_us:
        parts.append(f"CAN-SKIP-UNTIL={seconds(control.can_skip_until_us)}")
    if control.can_skip_date_ranges:
        parts.append("CAN-SKIP-DATERANGES=YES")
    return "#EXT-X-SERVER-CONTROL:" + ",".join(parts)


def _segment(segment: Segment, out: list[str]) -> None:
    # What applies to a segment stands before its first EXT-X-PART (4.4.4.9).
    if segment.discontinuity:
        out.append("#EXT-X-DISCONTINUITY")
    if segment.map_uri:
        out.append(f"#EXT-X-MAP:URI={quoted(segment.map_uri)}")
    if segment.pdt_ms is not None:
        out.append(f"#EXT-X-PROGRAM-DATE-TIME:{date(segment.pdt_ms)}")
    if segment.gap:
        out.append("#EXT-X-GAP")
    for part in segment.parts:
        independent = ",INDEPENDENT=YES" if part.independent else ""
        gap = ",GAP=YES" if part.gap else ""
        out.append(f"#EXT-X-PART:DURATION={seconds(part.duration_us)},URI={quoted(part.uri)}{independent}{gap}")
    if segment.duration_us is not None:
        out.append(f"#EXTINF:{seconds(segment.duration_us)},")
        out.append(segment.uri)


def _date_range(one: DateRange) -> str:
    values = "".join(f",{name}={quoted(value)}" for name, value in one.values)
    return (
        f"#EXT-X-DATERANGE:ID={quoted(one.id)},CLASS={quoted(one.class_name)},"
        f"START-DATE={quoted(date(one.start_ms))}{values}"
    )


def length_us(playlist: MediaPlaylist) -> int:
    """Sum of what is listed: finished segments, and parts of an unfinished one."""
    total = 0
    for segment in playlist.segments:
        if segment.duration_us is not None:
            total += segment.duration_us
        else:
            total += sum(part.duration_us for part in segment.parts)
    return total


def delta(playlist: MediaPlaylist) -> MediaPlaylist:
    """The delta update of a full playlist (6.2.5.1), or the playlist itself where nothing may be skipped.

    Segments that ended before the skip boundary, CAN-SKIP-UNTIL before the end of the playlist, are replaced.
    The map in force is not repeated: a change inside the shown part is a field of its segment already.
    """
    control = playlist.server_control
    if control is None or not control.can_skip_until_us or playlist.ended or playlist.skipped:
        return playlist
    left = length_us(playlist)
    skipped = 0
    for segment in playlist.segments:
        if segment.duration_us is None or left - segment.duration_us < control.can_skip_until_us:
            break
        left -= segment.duration_us
        skipped += 1
    if not skipped:
        return playlist
    return skipping(dataclasses.replace(playlist, segments=playlist.segments[skipped:]), skipped)


def skipping(playlist: MediaPlaylist, skipped: int) -> MediaPlaylist:
    """A playlist whose `segments` begin behind `skipped` others, as a delta update."""
    return dataclasses.replace(playlist, version=SKIP_VERSION, skipped=skipped)


def merge(known: MediaPlaylist, update: MediaPlaylist) -> MediaPlaylist:
    """What a client makes of a delta update: the full playlist. ValueError when `known` is too old for it."""
    first = update.media_sequence - known.media_sequence
    if first < 0 or first + update.skipped > len(known.segments):
        raise ValueError("the delta update skips segments that are not known")
    kept = known.segments[first : first + update.skipped]
    if first and kept and not kept[0].map_uri:
        maps = [segment.map_uri for segment in known.segments[:first] if segment.map_uri]
        kept = (dataclasses.replace(kept[0], map_uri=maps[-1] if maps else ""), *kept[1:])
    # Parts of old segments may have been dropped since: a client does not look at them.
    return dataclasses.replace(update, version=known.version, skipped=0, segments=kept + update.segments)


def skipping_date_ranges(update: MediaPlaylist, removed: tuple[str, ...]) -> MediaPlaylist:
    """A delta update without the date ranges that its skipped segments had when the client saw them last.

    `removed`: ids of those that left the playlist not long ago.
    """
    first_ms = next((segment.pdt_ms for segment in update.segments if segment.pdt_ms is not None), None)
    kept = tuple(one for one in update.date_ranges if first_ms is None or one.start_ms >= first_ms)
    return dataclasses.replace(
        update, version=SKIP_DATE_RANGES_VERSION, date_ranges=kept, removed_date_ranges=removed
    )
