"""Where things lie and how long: arithmetic of buckets, days and times to live. No I/O.

Buckets and days are numbered from 1970 (UTC); times are Unix milliseconds.
"""

from datetime import timedelta

from appliance.contracts.ids import unix_ms, uuid7

BUCKET_MS = 600_000
DAY_MS = 86_400_000
KEPT_S = round(timedelta(days=90).total_seconds())
_LONGER_S = 86_400  # a mark outlives what it marks
_FIRST, _LAST = b"\x00" * 10, b"\xff" * 10


def bucket_of(message_id: str) -> int:
    """The bucket of a UUIDv7."""
    return unix_ms(message_id) // BUCKET_MS


def bounds(bucket: int, after: str, before: str) -> tuple[str, str]:
    """Ids between which, both exclusive, a bucket's messages lie that are newer than `after` and older than
    `before`; empty ones bound nothing.
    """
    least = uuid7(max(0, bucket * BUCKET_MS - 1), _LAST)
    most = uuid7((bucket + 1) * BUCKET_MS, _FIRST)
    return max(least, after), min(most, before or most)


def day_of(at_ms: int) -> int:
    return at_ms // DAY_MS


def days(since_ms: int, until_ms: int) -> range:
    """Days that a span after `since_ms` until `until_ms` touches."""
    return range(day_of(since_ms), day_of(until_ms) + 1)


def seconds_left(at_ms: int, now_ms: int) -> int:
    """Time to live of what was said at `at_ms`; not positive when that is over."""
    return min(KEPT_S, KEPT_S - (now_ms - at_ms) // 1000)


def mark_seconds_left(at_ms: int, now_ms: int) -> int:
    """Time to live of a mark on what was said at `at_ms`."""
    return seconds_left(at_ms, now_ms) + _LONGER_S
