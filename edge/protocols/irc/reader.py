"""Lines out of bytes, however these are cut."""

import dataclasses
import re

from edge.protocols.irc.message import MAX_LINE_BYTES, MAX_TAGS_BYTES, IrcError, Message, parse

_END = re.compile(rb"[\r\n]")
_MOST = MAX_TAGS_BYTES + MAX_LINE_BYTES


@dataclasses.dataclass(frozen=True, slots=True)
class Rejected:
    """A line that was left out. `too_long`: beyond a limit; otherwise it was no message."""

    too_long: bool


class LineReader:
    """Takes any bytes, raises nothing, holds at most one line. CR and LF each end one; empty ones are none."""

    __slots__ = ("_held", "_skipping")

    def __init__(self) -> None:
        self._held = bytearray()
        self._skipping = False  # what is left of a line that was too long

    def receive_data(self, data: bytes) -> list[Message | Rejected]:
        """The messages that `data` completes, in order."""
        found: list[Message | Rejected] = []
        start = 0
        for end in _END.finditer(data):
            self._add(data, start, end.start(), found)
            start = end.end()
            if self._skipping:
                self._skipping = False
            elif self._held:
                found.append(_read(bytes(self._held)))
            self._held.clear()
        self._add(data, start, len(data), found)
        return found

    def _add(self, data: bytes, start: int, end: int, found: list[Message | Rejected]) -> None:
        if self._skipping or start == end:
            return
        if len(self._held) + end - start > _MOST:
            self._held.clear()
            self._skipping = True
            found.append(Rejected(too_long=True))
            return
        self._held += data[start:end]


def _read(line: bytes) -> Message | Rejected:
    tags = line.find(b" ") + 1 if line.startswith(b"@") else 0
    if tags > MAX_TAGS_BYTES or len(line) - tags > MAX_LINE_BYTES:
        return Rejected(too_long=True)
    try:
        return parse(line)
    except IrcError:
        return Rejected(too_long=False)
