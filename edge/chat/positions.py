"""Where a message stands: the outbox entry it came in and its index there. The same on every gateway of an edge."""

import re
from typing import NamedTuple

from appliance.contracts.errors import BadInputError

_FORM = re.compile(r"(0|[1-9]\d{0,17})-(0|[1-9]\d{0,4})(?:-(\d{1,12})-([A-Za-z0-9_-]{1,64}))?\Z", re.ASCII)
_LAST_ITEM = 99_999


class Position(NamedTuple):
    """Ordered."""

    seq: int
    item: int

    def __str__(self) -> str:
        return f"{self.seq}-{self.item}"

    @property
    def next(self) -> "Position":
        """The first one behind it."""
        return Position(self.seq, self.item + 1) if self.item < _LAST_ITEM else Position(self.seq + 1, 0)

    @classmethod
    def before_entry(cls, seq: int) -> "Position":
        """Behind every message of the entries below `seq`, ahead of all others."""
        return cls(max(0, seq - 1), _LAST_ITEM)


class Mark(NamedTuple):
    """A position as clients have it: in the log of `edge`, and what a client was told until `at_s` (Unix seconds).

    One without an edge is of this one's; `at_s` is 0 then.
    """

    position: Position
    at_s: int = 0
    edge: str = ""

    def __str__(self) -> str:
        return f"{self.position}-{self.at_s}-{self.edge}" if self.edge else str(self.position)

    @classmethod
    def parse(cls, text: str) -> "Mark":
        """Reads what `str` wrote. BadInputError when it is something else."""
        match = _FORM.match(text)
        if match is None:
            raise BadInputError("not a position", code="bad_position")
        position = Position(int(match[1]), int(match[2]))
        return cls(position, int(match[3] or 0), match[4] or "")
