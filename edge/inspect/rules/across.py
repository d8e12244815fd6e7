"""What the renditions of a presentation owe each other (8216bis, 6.2.4)."""

import dataclasses
import itertools
import statistics
from collections.abc import Iterable, Mapping, Sequence

from edge.inspect.observations import Note
from edge.inspect.playlist import MediaText
from edge.inspect.rules import dateranges

MICRO = 1_000_000
TOLERANCE_S = 0.1
_ENOUGH = 4


@dataclasses.dataclass(slots=True)
class Seen:
    """A segment of a rendition whose media was read: start in media time, date in Unix seconds."""

    msn: int
    dsn: int
    start_s: float
    length_s: float
    date_s: float | None


@dataclasses.dataclass(slots=True)
class Story:
    """A rendition at the end of the watch. `came`: when each part (msn, index) was first seen."""

    url: str
    text: MediaText
    segments: list[Seen] = dataclasses.field(default_factory=list)
    came: Mapping[tuple[int, int], float] = dataclasses.field(default_factory=dict)


def check(stories: Sequence[Story], note: Note) -> None:
    """All renditions but I-frame playlists."""
    if len(stories) < 2:
        return
    texts = [story.text for story in stories]
    _alike("X-ALIGNED-TD", stories, [text.target_s for text in texts], note)
    _alike("X-SERVER-CONTROL", stories, [text.control.values if text.control else None for text in texts], note)
    _alike("X-PARTS-EVERYWHERE", stories, [text.low_latency for text in texts], note)
    _alike("X-PLAYLIST-TYPE", stories, [text.type for text in texts], note)
    dated = [any(segment.pdt_ms is not None for segment in text.segments) for text in texts]
    _alike("X-PDT-CONSISTENT", stories, ["dates" if has else "no dates" for has in dated], note)
    _dateranges(stories, note)
    if all(text.ended for text in texts):
        _ranges(stories, note)
    for other in stories[1:]:
        _times(stories[0], other, note)
        _skew(stories[0], other, note)


def _alike(name: str, stories: Sequence[Story], values: Sequence[object], note: Note) -> None:
    for story, value in zip(stories[1:], values[1:], strict=True):
        if value != values[0]:
            note(name, 0, f"{_short(story)}: {value}, {_short(stories[0])}: {values[0]}")
            return


def _short(story: Story) -> str:
    return "/".join(story.url.partition("?")[0].rsplit("/", 2)[-2:])


def _dateranges(stories: Iterable[Story], note: Note) -> None:
    with_ranges = [story for story in stories if story.text.dateranges]
    for story in with_ranges[1:]:
        # One may have been read a moment later: what both know is compared, and that not everything is missing.
        one, other = dateranges.ranges(with_ranges[0].text), dateranges.ranges(story.text)
        common = one.keys() & other.keys()
        if (
            any(one[key] != other[key] for key in common)
            or (len(common) + 1 < max(len(one), len(other)))
            or not common
        ):
            note(
                "X-DATERANGE-SAME",
                0,
                f"{_short(story)}: {sorted(other)[:4]}, {_short(with_ranges[0])}: {sorted(one)[:4]}",
            )


def _ranges(stories: Sequence[Story], note: Note) -> None:
    lengths = [story.text.duration_us / MICRO for story in stories]
    most = max(1, stories[0].text.target_s or 1) / 2
    if max(lengths) - min(lengths) > most:
        note("X-VOD-RANGE", 0, f"they last between {min(lengths):g} and {max(lengths):g} s")


def _times(one: Story, other: Story, note: Note) -> None:
    """Segment boundaries, discontinuity sequences and dates, by media time."""
    if not one.segments or not other.segments:
        return
    low = max(one.segments[0].start_s, other.segments[0].start_s) - TOLERANCE_S
    high = min(one.segments[-1].start_s, other.segments[-1].start_s) + TOLERANCE_S
    wanted = [segment for segment in other.segments if low <= segment.start_s <= high]
    if not wanted:
        note("X-ALIGNED-SEG", 0, f"{_short(other)} and {_short(one)} have no media time in common")
        return
    for segment in wanted:
        near = min(one.segments, key=lambda candidate: abs(candidate.start_s - segment.start_s))
        off = segment.start_s - near.start_s
        if abs(off) > TOLERANCE_S and _is_in_a_hole(segment, one.segments):
            continue
        if abs(off) > TOLERANCE_S:
            note("X-ALIGNED-SEG", 0, f"{_short(other)}: segment {segment.msn} begins {off:+.3f} s from {near.msn}")
            return
        if segment.dsn != near.dsn:
            seen = f"{_short(other)}: segment {segment.msn} has {segment.dsn}, {_short(one)} {near.dsn}"
            note("X-DISC-ALIGNED", 0, seen)
            return
        if _dates_differ(segment, near):
            note(
                "X-PDT-CONSISTENT",
                0,
                f"{_short(other)}: segment {segment.msn} has another date than in {_short(one)}",
            )
            return


def _is_in_a_hole(segment: Seen, others: Sequence[Seen]) -> bool:
    """Whether the segment of this time was a gap there, or was not looked into."""
    pairs = itertools.pairwise(others)
    return any(a.start_s < segment.start_s < b.start_s and b.msn - a.msn > 1 for a, b in pairs)


def _dates_differ(segment: Seen, near: Seen) -> bool:
    if segment.date_s is None or near.date_s is None:
        return False
    return abs((segment.date_s - segment.start_s) - (near.date_s - near.start_s)) > TOLERANCE_S


def _skew(one: Story, other: Story, note: Note) -> None:
    common = one.came.keys() & other.came.keys()
    if len(common) < _ENOUGH or not one.text.part_target_us:
        return
    skew = statistics.median(other.came[key] - one.came[key] for key in common)
    if abs(skew) > one.text.part_target_us / MICRO:
        note("X-PART-SKEW", 0, f"{_short(other)} comes {skew:+.2f} s after {_short(one)}")
