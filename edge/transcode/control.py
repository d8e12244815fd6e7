"""What the rungs of one job are to do and what they do: between the event loop and the job's threads."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from appliance.contracts.transcode import RungMode

DECODE = "decode"  # the decoder's usage stands beside those of the rungs


class Usage(NamedTuple):
    """CPU seconds used so far, and seconds of media that they were used for."""

    cpu_s: float
    media_s: float


class RungControl:
    """One job's. The loop replaces `wanted` as a whole and sets `ends`; the decode thread reads both at each
    segment, and nowhere else: a rung stops and starts where segments meet.
    """

    def __init__(self, changed: Callable[[], None] | None = None) -> None:
        """`changed` is called from the decode thread when a rung runs in another way from this segment on."""
        self.wanted: Mapping[str, RungMode] = {}
        self.ends = False  # at the next segment, for good
        self.applied: dict[str, RungMode] = {}
        self.damaged = 0  # access units so far from which no whole picture came; the decode thread counts
        self._changed = changed

    def mode_of(self, rung: str) -> RungMode:
        """How a rung is to run from the next segment on."""
        return self.wanted.get(rung, RungMode.RUNNING)

    def apply(self, rung: str, mode: RungMode) -> None:
        """A rung runs like this from this segment on."""
        if self.applied.get(rung) is not mode:
            self.applied[rung] = mode
            if self._changed is not None:
                self._changed()
