"""Where a message stands: the outbox entry it came in and its index there. The same on every gateway."""

import re
from typing import NamedTuple

from appliance.contracts.errors import BadInputError

_FORM = re.compile(r"(0|[1-9]\d{0,17})-(0|[1-9]\d{0,4})\Z", re.ASCII)
_LAST_ITEM = 99_999


class Position(NamedTuple):
    """Ordered; clients get it as an opaque string."""

    seq: int
    item: int

    def __str__(self) -> str:
        return f"{self.seq}-{self.item}"

    @property
    def next(self) -> "Position":
        """The first one behind it."""
        return Position(self.seq, self.item + 1) if self.item < _LAST_ITEM else Position(self.seq + 1, 0)

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Reads what `str` wrote. BadInputError when it is something else."""
        match = _FORM.match(text)
        if match is None:
            raise BadInputError("not a position", code="bad_position")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def before_entry(cls, seq: int) -> "Position":
        """Behind every message of the entries below `seq`, ahead of all others."""
        return cls(max(0, seq - 1), _LAST_ITEM)
