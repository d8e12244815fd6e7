"""Scalars and attribute lists of playlist tags (sections 4.1 and 4.2), both ways."""

import datetime as dt
import re

from edge.protocols.hls.errors import PlaylistError

MICRO = 1_000_000
MAX_INTEGER = 2**64 - 1
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"\r\n]*"|[^",\r\n]+)(?:,|\Z)')
_DECIMAL = re.compile(r"(\d{1,12})(?:\.(\d{1,9}))?\Z", re.ASCII)
_INTEGER = re.compile(r"\d{1,20}\Z", re.ASCII)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LAST_DATE = 253_402_300_799_999  # 9999-12-31, as far as four digits of a year go


def seconds(micros: int) -> str:
    """A duration in decimal seconds, exact, without needless zeros: 350000 is "0.35", 2000000 is "2.0"."""
    whole, rest = divmod(micros, MICRO)
    return f"{whole}.{f'{rest:06d}'.rstrip('0') or '0'}"


def parse_seconds(text: str) -> int:
    """Microseconds of decimal seconds (digits beyond the sixth are cut). Raises PlaylistError."""
    match = _DECIMAL.match(text)
    if match is None:
        raise PlaylistError(f"not a decimal: {text[:40]!r}")
    return int(match[1]) * MICRO + int((match[2] or "").ljust(6, "0")[:6])


def parse_integer(text: str) -> int:
    """A decimal-integer of up to 64 bits. Raises PlaylistError."""
    if not _INTEGER.match(text) or int(text) > MAX_INTEGER:
        raise PlaylistError(f"not an integer: {text[:40]!r}")
    return int(text)


def date(unix_ms: int) -> str:
    """EXT-X-PROGRAM-DATE-TIME value in UTC with milliseconds (4.4.4.6)."""
    moment = _EPOCH + dt.timedelta(milliseconds=unix_ms)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{unix_ms % 1000:03d}Z"


def parse_date(text: str) -> int:
    """Unix milliseconds of an ISO 8601 date with a time zone. Raises PlaylistError."""
    try:
        moment = dt.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise PlaylistError("date without a time zone")
        unix_ms = (moment - _EPOCH) // dt.timedelta(milliseconds=1)
    except (ValueError, OverflowError) as error:
        raise PlaylistError(f"not a date: {text[:40]!r}") from error
    if not 0 <= unix_ms <= _LAST_DATE:
        raise PlaylistError("date out of range")
    return unix_ms


def quoted(text: str) -> str:
    """A quoted-string. ValueError when it cannot be one: such a name is a mistake of ours."""
    if '"' in text or "\r" in text or "\n" in text:
        raise ValueError(f"cannot be quoted: {text!r}")
    return f'"{text}"'


def parse_attributes(text: str) -> dict[str, str]:
    """An attribute list; quotes are taken off. Raises PlaylistError when malformed or a name repeats."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _ATTRIBUTE.match(text, at)
        if match is None or match[1] in found:
            raise PlaylistError("malformed attribute list")
        found[match[1]] = match[2].strip('"') if match[2].startswith('"') else match[2]
        at = match.end()
    return found


def need(attributes: dict[str, str], name: str) -> str:
    """A required attribute. Raises PlaylistError."""
    value = attributes.get(name)
    if value is None:
        raise PlaylistError(f"{name} is missing")
    return value


def lines_of(data: bytes) -> list[str]:
    """Lines of a playlist that say something, without #EXTM3U. Raises PlaylistError when it is not one."""
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError as error:
        raise PlaylistError("not UTF-8") from error
    if not lines or lines[0].rstrip() != "#EXTM3U":
        raise PlaylistError("does not begin with #EXTM3U")
    return [line.rstrip() for line in lines[1:] if line.strip()]
