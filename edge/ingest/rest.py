"""When a publisher is to be looked at again: not before one of its frames can complete something."""

from appliance.runtime.appender import TICK_S
from appliance.runtime.clock import now_us

_MOST_S = 0.5
_MARGIN_S = TICK_S / 2  # arrivals are known by the tick at which they were taken off the socket
_OTHER_CLOCK_US = 1_000_000
_EARLIER, _LATER = 2, 8  # what is usual follows a frame that was early or late by the half or the eighth of that


class Rest:
    """Of one publisher on the air, between two messages for the log.

    What comes meanwhile is read in one go and worked off in one go. The rest ends when the frame that completes the
    next message usually comes; one that is earlier waits until then.
    """

    def __init__(self) -> None:
        self._until = 0.0
        self._usual: int | None = None  # arrival less media time, microseconds

    def lasts(self, now: float) -> bool:
        """Whether there is nothing to do yet. `now` in seconds of the loop's clock."""
        return now < self._until

    def begin(self, now: float, arrived_us: int, last_us: int, next_us: int) -> None:
        """A message is complete. The last frame has media time `last_us`, the one to wait for `next_us`.

        It had arrived by `arrived_us` (Unix microseconds).
        """
        delay, usual = arrived_us - last_us, self._usual
        if usual is None or abs(delay - usual) > _OTHER_CLOCK_US:
            usual = delay
        self._usual = usual = usual + (delay - usual) // (_EARLIER if delay < usual else _LATER)
        left_s = (usual + next_us - now_us()) / 1e6 - _MARGIN_S
        self._until = now + min(max(0.0, left_s), _MOST_S)

    def end(self) -> None:
        """What comes is wanted at once."""
        self._until = 0.0
