"""Ways to put faults into what the small origin says."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

from inspect_origin import Fault, Origin, changed

from edge.inspect.http_client import Ask
from edge.inspect.observations import Exchange
from edge.protocols.hls.media import MediaPlaylist, Segment, ServerControl

LATER_S = 1.2
ALL = ("high", "low", "audio")
Text = Callable[[Origin, str, str, str], str]
Answer = Callable[[Origin, Ask, Exchange], Exchange]


def replaced(old: str, new: str, *names: str, after_s: float = -1.0) -> Text:
    """Playlists of `names` (all) in which the pattern `old` is replaced, from a time on."""

    def edit(origin: Origin, name: str, text: str, query: str) -> str:
        if name not in (names or ALL) or origin.elapsed < after_s:
            return text
        made: str = re.sub(old, new, text, flags=re.MULTILINE)
        return made

    return edit


def master(old: str, new: str, count: int = 0) -> Callable[[str], str]:
    """A multivariant playlist in which the pattern `old` is replaced, `count` times at most."""
    return lambda text: re.sub(old, new, text, count=count)


def headers(
    path: str, /, *, least: int = 200, most: int = 299, method: str = "GET", **fields: str | None
) -> Answer:
    """Answers to what matches `path` with other header fields; underscores stand for hyphens."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}

    def edit(origin: Origin, ask: Ask, exchange: Exchange) -> Exchange:
        wanted = re.search(path, ask.url) and least <= exchange.status <= most and ask.method == method
        return changed(exchange, headers=named) if wanted else exchange

    return edit


def answered(
    path: str, /, *, method: str = "GET", where: Callable[[Origin, Exchange], bool] | None = None, **fields: Any
) -> Answer:
    """Answers to what matches `path` (and `where`) with other fields."""

    def edit(origin: Origin, ask: Ask, exchange: Exchange) -> Exchange:
        wanted = re.search(path, ask.url) and ask.method == method and (where is None or where(origin, exchange))
        return changed(exchange, **fields) if wanted else exchange

    return edit


def both(*edits: Answer) -> Answer:
    """One after the other."""

    def edit(origin: Origin, ask: Ask, exchange: Exchange) -> Exchange:
        for one in edits:
            exchange = one(origin, ask, exchange)
        return exchange

    return edit


def value(
    *names: str, after_s: float = -1.0, **fields: Any
) -> Callable[[Origin, str, MediaPlaylist], MediaPlaylist]:
    """Playlists of `names` (all) with other fields, from a time on."""

    def edit(origin: Origin, name: str, made: MediaPlaylist) -> MediaPlaylist:
        if name not in (names or ALL) or origin.elapsed < after_s:
            return made
        return dataclasses.replace(made, **fields)

    return edit


def segments(
    change: Callable[[Segment], Segment], *names: str, after_s: float = -1.0
) -> Callable[[Origin, str, MediaPlaylist], MediaPlaylist]:
    """Playlists whose segments are changed."""

    def edit(origin: Origin, name: str, made: MediaPlaylist) -> MediaPlaylist:
        if name not in (names or ALL) or origin.elapsed < after_s:
            return made
        return dataclasses.replace(made, segments=tuple(change(segment) for segment in made.segments))

    return edit


def number(segment: Segment) -> int:
    """The media sequence number of a segment of the small origin."""
    if segment.uri:
        return int(segment.uri[1:].partition(".")[0])
    return int(segment.parts[0].uri[1:].partition(".")[0]) // 4


def control(hold_back_s: int, skip_s: int, *, blocking: bool = True) -> ServerControl:
    """Server control for another target duration."""
    held_us = 1_500_000 if blocking else 0
    return ServerControl(blocking, held_us, hold_back_s * 1_000_000, skip_s * 1_000_000)


def shared_for(seconds: int) -> Answer:
    """Blocking answers that shared caches keep for so long."""
    return headers("_HLS_msn", cache_control=f"public, max-age=0, s-maxage={seconds}")


def by_name(*faults: Fault) -> dict[str, Fault]:
    """Faults by the requirement they violate."""
    return {fault.name: fault for fault in faults}
