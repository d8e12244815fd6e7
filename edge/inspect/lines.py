"""A playlist as raw lines and attribute lists. Lenient: what is wrong is a problem with its line, no error."""

import re
from typing import NamedTuple

from edge.protocols.hls.errors import PlaylistError
from edge.protocols.hls.tags import parse_date, parse_seconds

MAX_LINES = 60_000
_ATTRIBUTE = re.compile(r'\s*([A-Za-z0-9-]+)=("[^"]*"|[^",]*)(?:,|\Z)')
_NAME = re.compile(r"[A-Z0-9-]+\Z")
_MORE_DIGITS = re.compile(r"(\.\d{9})\d+\Z", re.ASCII)  # than microseconds need
_INTEGER = re.compile(r"\d{1,20}\Z", re.ASCII)


class Line(NamedTuple):
    """`tag` is empty for a URI; `value` is what follows the colon, or the URI."""

    number: int
    tag: str
    value: str

    @property
    def text(self) -> str:
        """The line, shortened for evidence."""
        whole = f"{self.tag}:{self.value}" if self.tag and self.value else self.tag or self.value
        return whole if len(whole) <= 160 else whole[:157] + "..."


class Problem(NamedTuple):
    """What is wrong at a line."""

    line: int
    what: str


def read_lines(data: bytes) -> tuple[list[Line], list[Problem]]:
    """Tags and URIs with their line numbers; comments and empty lines are left out."""
    problems = []
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")
        problems.append(Problem(0, "not UTF-8"))
    if text.startswith("\ufeff"):
        problems.append(Problem(1, "begins with a byte order mark"))
        text = text[1:]
    rows = re.split(r"\r\n|\n", text)
    if not rows or rows[0].rstrip() != "#EXTM3U":
        problems.append(Problem(1, f"begins with {rows[0][:40]!r}, not with #EXTM3U"))
    if len(rows) > MAX_LINES:
        problems.append(Problem(MAX_LINES, f"more than {MAX_LINES} lines"))
    found = []
    for number, row in enumerate(rows[:MAX_LINES], 1):
        if row.startswith("#EXT"):
            tag, _, value = row.rstrip().partition(":")
            if tag != "#EXTM3U":
                found.append(Line(number, tag, value))
        elif row.strip() and not row.startswith("#"):
            found.append(Line(number, "", row.strip()))
    return found, problems


def attributes(line: Line, problems: list[Problem]) -> dict[str, str]:
    """An attribute list as far as it can be read; quotes are taken off."""
    found: dict[str, str] = {}
    at = 0
    while at < len(line.value):
        match = _ATTRIBUTE.match(line.value, at)
        if match is None:
            problems.append(
                Problem(line.number, f"{line.tag}: not an attribute list: {line.value[at : at + 40]!r}")
            )
            break
        if not _NAME.match(match[1]) or match[1] in found:
            problems.append(Problem(line.number, f"{line.tag}: attribute {match[1]} is malformed or repeated"))
        found.setdefault(match[1], match[2].strip('"'))
        at = match.end()
    return found


def integer(line: Line, text: str | None, problems: list[Problem]) -> int | None:
    """A decimal-integer, or None with a problem."""
    if text is not None and _INTEGER.match(text):
        return int(text)
    problems.append(Problem(line.number, f"{line.tag}: not an integer: {(text or '')[:40]!r}"))
    return None


def micros(line: Line, text: str | None, problems: list[Problem]) -> int | None:
    """Decimal seconds in microseconds, or None with a problem."""
    try:
        return parse_seconds(_MORE_DIGITS.sub(r"\1", text or ""))
    except PlaylistError:
        problems.append(Problem(line.number, f"{line.tag}: not a decimal: {(text or '')[:40]!r}"))
        return None


def date_ms(line: Line, text: str | None, problems: list[Problem]) -> int | None:
    """A date in Unix milliseconds, or None with a problem."""
    try:
        return parse_date((text or "").strip())
    except PlaylistError:
        problems.append(Problem(line.number, f"{line.tag}: not a date: {(text or '')[:40]!r}"))
        return None
