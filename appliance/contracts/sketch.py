"""A distribution as counts in buckets whose bounds grow by a tenth: quantiles within 5 %, and sketches add up.

The technique is DDSketch (Masson, Rim, Lee: VLDB 2019): bucket 0 holds values below 1, bucket i those from
1.1^(i-1) on and below 1.1^i. Adding the counts of two sketches gives the sketch of all their values.
"""

import math
from typing import Annotated

import msgspec

MAX_BUCKETS = 128  # beyond them the lowest are put together: the upper quantiles stay exact
_GROWTH = 1.1
_LOG = math.log(_GROWTH)
_LAST = 320  # 1.1^320: values up to 10^13 are told apart

Index = Annotated[int, msgspec.Meta(ge=0, le=_LAST)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class Sketch(msgspec.Struct, omit_defaults=True):
    """Values are positive numbers of whatever unit its field has. Empty without counts."""

    counts: dict[Index, Count] = {}

    def add(self, value: float) -> None:
        """One more value; what is below 0 counts as 0."""
        index = 0 if value < 1 else min(_LAST, 1 + int(math.log(value) / _LOG))
        self.counts[index] = self.counts.get(index, 0) + 1
        self._bound()

    def merge(self, other: "Sketch") -> None:
        """Every value of `other` as well."""
        for index, count in other.counts.items():
            self.counts[index] = self.counts.get(index, 0) + count
        self._bound()

    @property
    def count(self) -> int:
        """How many values."""
        return sum(self.counts.values())

    def quantile(self, share: float) -> float | None:
        """The value that `share` (0 to 1) of the values do not exceed, within 5 %; None when there are none."""
        total = self.count
        rank = max(1, math.ceil(share * total))
        for index in sorted(self.counts):
            rank -= self.counts[index]
            if rank <= 0:
                return 0.0 if index == 0 else 2 * _GROWTH**index / (_GROWTH + 1)
        return None

    def _bound(self) -> None:
        while len(self.counts) > MAX_BUCKETS:
            lowest, next_one = sorted(self.counts)[:2]
            self.counts[next_one] += self.counts.pop(lowest)
