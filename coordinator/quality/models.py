"""The quality of a stream as its owner sees it."""

from datetime import datetime

import msgspec


class QualityQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Query of GET /streams/{stream_id}/quality: Unix milliseconds, `until` not included; 0: no bound."""

    since: int = 0
    until: int = 0
    limit: int = 240


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """A distribution: how many values, and the values that so many percent do not exceed (within 5 %)."""

    count: int
    p50: float
    p95: float
    p99: float


class ViewersOf(msgspec.Struct, frozen=True, kw_only=True):
    """Viewers in a minute: the most of its samples, and their mean. Of several edges the sum."""

    most: int
    mean: float


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the minute's viewers: how long they watched, stood still, and how often."""

    played_s: float
    stalls: int
    stalled_s: float


class QualityMinute(msgspec.Struct, frozen=True, kw_only=True):
    """One minute. `kept` is the share of reports that the sums are made of; less than 1 after an overload.

    `stall_ratio` is time stood still by time watched, both together. `heights` are by lines of the picture
    ("0": unknown or sound alone), `players` by kind, `errors` by kind. Bit rates in bit/s, times in ms.
    """

    minute: datetime
    viewers: ViewersOf | None
    sessions: int
    reports: int
    kept: float
    played_s: float
    stalls: int
    stalled_s: float
    stall_ratio: float
    switches: int
    dropped_frames: int
    startup_ms: Spread | None
    latency_ms: Spread | None
    bitrate: Spread | None
    errors: dict[str, int]
    heights: dict[str, Share]
    players: dict[str, Share]


class StreamQuality(msgspec.Struct, frozen=True, kw_only=True):
    """The newest `limit` minutes of the asked time, oldest first; minutes without anything known are left out."""

    stream_id: str
    minutes: list[QualityMinute]
