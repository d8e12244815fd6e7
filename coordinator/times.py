"""Unix milliseconds on the wire, time zone aware datetimes in the database."""

from datetime import UTC, datetime

from appliance.contracts.errors import BadInputError

_MAX_MS = 4_102_444_800_000  # the year 2100: later is a broken clock, not a date


def from_ms(unix_ms: int) -> datetime:
    """The UTC datetime of a Unix time in milliseconds. BadInputError outside 1970 to 2100."""
    if not 0 <= unix_ms <= _MAX_MS:
        raise BadInputError("a time is out of range", code="time_range")
    return datetime.fromtimestamp(unix_ms / 1000, UTC)


def to_ms(moment: datetime | None) -> int:
    """Unix milliseconds; 0 for None, as the contracts write "never"."""
    return 0 if moment is None else round(moment.timestamp() * 1000)
