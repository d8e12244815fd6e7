"""Delivery directives and blocking playlist reload (sections 6.2.5.1 and 6.2.5.2) as a pure rule."""

import dataclasses
import functools
import math
import re
import urllib.parse

from edge.protocols.hls.errors import DirectiveError

WHOLE = 1 << 30  # as a part index: the segment is finished and listed
_NUMBER = re.compile(r"\d{1,18}\Z", re.ASCII)


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Position:
    """How far a playlist goes: its last part, or the last segment where nothing follows (part WHOLE)."""

    msn: int
    part: int

    @property
    def last_complete(self) -> int:
        """The last finished segment that is listed."""
        return self.msn if self.part == WHOLE else self.msn - 1


@dataclasses.dataclass(frozen=True, slots=True)
class Directives:
    """What a client asked of a media playlist; None where it did not."""

    msn: int | None = None
    part: int | None = None
    skip: bool = False
    skip_date_ranges: bool = False  # with `skip`: those of skipped segments too


@dataclasses.dataclass(frozen=True, slots=True)
class Now:
    """Answer with the playlist as it is."""


@dataclasses.dataclass(frozen=True, slots=True)
class Wait:
    """Hold until the playlist has reached `until` or gone past it."""

    until: Position


@dataclasses.dataclass(frozen=True, slots=True)
class Refuse:
    """Answer an error at once."""

    status: int
    reason: str


Answer = Now | Wait | Refuse
_NOW = Now()
_NONE = Directives()


@functools.lru_cache(maxsize=4096)  # all who wait ask the same
def parse_directives(query: str) -> Directives:
    """Reads `_HLS_msn`, `_HLS_part` and `_HLS_skip` from a query, in any order; others are ignored.

    Percent-encoded ones mean the same (RFC 3986, 6.2.2.2).

    Raises DirectiveError when one is not a number, is given twice with different values, or when a part is
    asked without its segment.
    """
    escaped = "%" in query
    if "_HLS_" not in query and not escaped:
        return _NONE
    found: dict[str, str] = {}
    for item in query.split("&"):
        name, _, value = item.partition("=")
        if escaped:
            name, value = urllib.parse.unquote(name), urllib.parse.unquote(value)
        if name in ("_HLS_msn", "_HLS_part", "_HLS_skip") and found.setdefault(name, value) != value:
            raise DirectiveError(f"{name} is given twice")
    msn, part = _number(found, "_HLS_msn"), _number(found, "_HLS_part")
    if part is not None and msn is None:
        raise DirectiveError("_HLS_part without _HLS_msn")
    skip = found.get("_HLS_skip")
    return Directives(msn, part, skip in ("YES", "v2"), skip == "v2")


def _number(found: dict[str, str], name: str) -> int | None:
    value = found.get(name)
    if value is None:
        return None
    if not _NUMBER.match(value):
        raise DirectiveError(f"{name} is not a number")
    return int(value)


def advance_part_limit(part_target_s: float) -> int:
    """How many parts beyond the last one a client may ask for (6.2.5.2)."""
    return math.ceil(3 / part_target_s) if part_target_s < 1 else 3


def decide(asked: Directives, position: Position | None, *, ended: bool, part_target_s: float) -> Answer:
    """What to do with a request for a media playlist.

    `position` is None while the playlist lists nothing: then any request is held, also one without
    directives, because a playlist without content cannot be played. Directives are ignored once it ended.
    A part past the last one of a finished segment means the first part of the next (6.2.5.2): positions
    compare in that way by themselves.
    """
    if ended:
        return _NOW
    if position is None:
        return Wait(Position(asked.msn or 0, 0 if asked.msn is None else _wanted_part(asked)))
    if asked.msn is None:
        return _NOW
    if asked.msn > position.last_complete + 2:
        return Refuse(400, "_HLS_msn is too far ahead")
    limit = advance_part_limit(part_target_s)
    if asked.part is not None and asked.part > _base(asked.msn, position) + limit:
        return Refuse(400, "_HLS_part is too far ahead")
    wanted = Position(asked.msn, _wanted_part(asked))
    return _NOW if wanted <= position else Wait(wanted)


def _wanted_part(asked: Directives) -> int:
    return WHOLE if asked.part is None else min(asked.part, WHOLE - 1)


def _base(msn: int, position: Position) -> int:
    """The part index from which the limit counts; no limit for segments that are in the past."""
    if msn < position.msn or (msn == position.msn and position.part == WHOLE):
        return WHOLE
    return position.part if msn == position.msn else 0
