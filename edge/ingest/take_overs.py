"""Whether one encoder may take the place of another one, or two of them fight."""

from collections import deque

_WINDOW_S = 60.0
_MOST_SLOTS = 10_000

Slot = tuple[str, str]  # channel id, "primary" or "standby"


class TakeOvers:
    """Of all channels. `now` in seconds of one steady clock."""

    def __init__(self, per_minute: int) -> None:
        """After `per_minute` take-overs within a minute it is a fight."""
        self._per_minute = per_minute
        self._times: dict[Slot, deque[float]] = {}
        self._fought_at: dict[Slot, float] = {}

    def allow(self, slot: Slot, now: float) -> bool:
        """Whether one more may be. A fight lasts until nobody has tried for a minute.

        Encoders come back by themselves: with a limit alone, two of them would go on to throw each other out
        each minute, for as long as both are left running.
        """
        if len(self._times) > _MOST_SLOTS:
            self._times.clear()
            self._fought_at.clear()
        times = self._times.setdefault(slot, deque())
        while times and now - times[0] > _WINDOW_S:
            times.popleft()
        fought_at = self._fought_at.get(slot)
        if len(times) >= self._per_minute or (fought_at is not None and now - fought_at <= _WINDOW_S):
            self._fought_at[slot] = now
            return False
        self._fought_at.pop(slot, None)
        times.append(now)
        return True
