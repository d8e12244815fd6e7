"""Answers to blocking reloads and to directives that are wrong (8216bis, 6.2.5.2)."""

import dataclasses
import math

from edge.inspect.observations import Exchange, Note
from edge.inspect.playlist import MediaText

MICRO = 1_000_000
GRACE_S = 2.0  # beyond three target durations, for the way there and back
_PARTS_S = 1.0
_MANY = 1 << 30


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """The directives of a blocking reload; `part` None for a whole segment."""

    msn: int
    part: int | None = None

    @property
    def query(self) -> str:
        """As a query string."""
        return f"_HLS_msn={self.msn}" + ("" if self.part is None else f"&_HLS_part={self.part}")


def with_query(url: str, query: str) -> str:
    """A URL with more parameters."""
    if not query:
        return url
    return f"{url}{'&' if '?' in url else '?'}{query}"


def timeout_s(target_s: int) -> float:
    """How long an answer is waited for."""
    return 3 * target_s + GRACE_S


def judge_status(exchange: Exchange, target_s: int, note: Note) -> None:
    """Whether a blocking reload got an answer that players know."""
    if not exchange.status:
        if exchange.took >= 3 * target_s:
            note("BLOCK-TIMEOUT", 0, exchange.outcome)
        return
    if exchange.status not in (200, 206, 304, 400, 503):
        note("BLOCK-STATUS", 0, exchange.outcome)


def judge_target(wanted: Wanted, text: MediaText, note: Note) -> None:
    """Whether the playlist has what was waited for."""
    if text.ended:
        return
    msn, count = text.edge
    if wanted.part is None:
        if not text.whole or text.whole[-1].msn < wanted.msn:
            note("BLOCK-HAS-TARGET", 0, f"{wanted.query}, the playlist goes to {msn}.{count}")
        return
    if (msn, count) <= (wanted.msn, wanted.part):
        note("BLOCK-HAS-TARGET", 0, f"{wanted.query}, the playlist goes to {msn}.{count}")
    elif (msn, count) == (wanted.msn + 1, 0) and wanted.part >= _parts_of(text, wanted.msn):
        note("BLOCK-PAST-LAST", 0, f"{wanted.query}, segment {wanted.msn} is over, and no part follows")


def _parts_of(text: MediaText, msn: int) -> int:
    for segment in text.segments:
        if segment.msn == msn and segment.parts:
            return len(segment.parts)
    return _MANY  # they are not listed, so that they cannot be counted


def far_segment(text: MediaText) -> Wanted:
    """A segment too far ahead."""
    return Wanted(text.edge[0] + 50)


def far_part(text: MediaText) -> Wanted:
    """A part too far ahead, as long as its segment is not over."""
    msn, count = text.edge
    target_s = (text.part_target_us or MICRO) / MICRO
    limit = math.ceil(3 / target_s) if target_s < _PARTS_S else 3
    return Wanted(msn, count + 20 * limit)


def judge_far(exchange: Exchange, wanted: Wanted, read: MediaText | None, text: MediaText, note: Note) -> None:
    """A directive too far ahead: 400, and not after waiting. `text` is the playlist by which it was so."""
    if read is not None and read.edge[0] > wanted.msn:
        return  # the segment was over by then: the part asked for is the first of the next
    if exchange.status != 400 or exchange.took > max(1.0, 0.5 * (text.target_s or 0)):
        note("BLOCK-FAR", 0, exchange.outcome)


def judge_refused(name: str, exchange: Exchange, note: Note) -> None:
    """A directive that has to be refused with 400."""
    if exchange.status != 400:
        note(name, 0, exchange.outcome)


def judge_stale(exchange: Exchange, text: MediaText, note: Note) -> None:
    """A number of long ago: the playlist, and not after waiting for a segment."""
    late = exchange.took > max(1.0, 0.5 * (text.target_s or 0))
    if exchange.status != 200 or late:
        note("BLOCK-STALE", 0, exchange.outcome)


def judge_same(name: str, exchange: Exchange, wanted: Wanted, read: MediaText | None, note: Note) -> None:
    """The same question in other words: answered like it."""
    if exchange.status != 200 or read is None:
        note(name, 0, exchange.outcome)
    else:
        judge_target(wanted, read, lambda _, line, value: note(name, line, value))


def judge_ended(exchange: Exchange, read: MediaText | None, note: Note) -> None:
    """Directives after EXT-X-ENDLIST are ignored."""
    if exchange.status != 200 or read is None or not read.ended or read.skip is not None:
        note("BLOCK-ENDED", 0, exchange.outcome)
