"""EXT-X-RENDITION-REPORT (8216bis, 4.4.5.4 and B.1)."""

from collections.abc import Collection

from edge.inspect.lines import integer
from edge.inspect.observations import Exchange, Note
from edge.inspect.playlist import MediaText, Tag
from edge.inspect.urls import is_relative, join, plain

_AT_ONCE_S = 0.25


def check(text: MediaText, url: str, others: Collection[str], note: Note) -> list[str]:
    """One report for each of `others`, the plain URLs of the other playlists. Returns those that have none."""
    if not text.low_latency or text.ended:
        return []
    reported = [plain(join(url, tag.values.get("URI", ""))) for tag in text.reports]
    for tag, target in zip(text.reports, reported, strict=True):
        uri = tag.values.get("URI", "")
        if reported.count(target) > 1:
            note("REPORT-PRESENT", tag.line.number, f"two for {uri}")
        if not is_relative(uri):
            note("REPORT-URI", tag.line.number, tag.line.text)
        if "LAST-MSN" not in tag.values or "LAST-PART" not in tag.values:
            note("REPORT-LAST", tag.line.number, tag.line.text)
    return [other for other in others if other not in reported]


def position(tag: Tag) -> tuple[int, int] | None:
    """(LAST-MSN, LAST-PART) of a report, None where one is not a number."""
    msn = integer(tag.line, tag.values.get("LAST-MSN"), [])
    part = integer(tag.line, tag.values.get("LAST-PART"), [])
    return None if msn is None or part is None else (msn, part)


def judge_answer(tag: Tag, exchange: Exchange, target_us: int, note: Note) -> None:
    """The answer to a request for what was reported to be there."""
    if exchange.status != 200:
        note("REPORT-FRESH", tag.line.number, f"{tag.line.text}: {exchange.outcome}")
    elif exchange.took > max(_AT_ONCE_S, target_us / 2_000_000):
        note("REPORT-FRESH", tag.line.number, f"{tag.line.text}: waited {exchange.took:.2f} s")


def judge_age(tag: Tag, known: tuple[int, int], note: Note) -> None:
    """`known`: the next part of that rendition as its own playlist said at least a part ago."""
    reported = position(tag)
    if reported is None:
        return
    # Between two segments the number of the last part is not known: a segment that is a gap has none.
    old = reported[0] < known[0] - 1 if not known[1] else (reported[0], reported[1] + 1) < known
    if old:
        note("REPORT-FRESH", tag.line.number, f"{tag.line.text}: its playlist went to {known[0]}.{known[1]} before")
