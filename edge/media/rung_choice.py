"""Which rung a viewer's line carries: down at once when it does not, up by trial when it seems to. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

_MUCH_LOST, _LITTLE_LOST = 0.10, 0.02
_SHARE = 0.85  # of an estimate that a rung may fill
_CALM_S = 5.0  # without loss before a trial
_LONGEST_CALM_S = 120.0
_TRIAL_S = 10.0  # a rung that does not hold so long has failed its trial
_SETTLE_S = 2.0  # after a change, until feedback is about the rung that runs
_NEEDS = 1.05  # of what is sent that an estimate must reach for a trial
_STARVED = 0.9  # of what is sent: an estimate below it is a line that is too thin


class Step(NamedTuple):
    """A rung with the bit/s a viewer must be able to take."""

    name: str
    bandwidth: int


class RungChoice:
    """One viewer's. Feedback comes in with `now` (monotonic seconds); `wanted` answers."""

    def __init__(self, now: float) -> None:
        self._estimate = 0
        self._lost = 0.0
        self._calm_since = now
        self._calm_s = _CALM_S
        self._changed_at = now
        self._rose_at: float | None = None

    def estimated(self, bit_rate: int) -> None:
        """The receiver's estimate (REMB), bit/s."""
        self._estimate = bit_rate

    def reported(self, lost: float, now: float) -> None:
        """The share of packets lost since the last report."""
        self._lost = lost
        if lost > _LITTLE_LOST:
            self._calm_since = now

    def changed(self, now: float, *, up: bool) -> None:
        """The viewer gets another rung from now on."""
        if up:
            self._rose_at = now
        elif self._rose_at is not None and now - self._rose_at < _TRIAL_S:
            self._calm_s = min(2 * self._calm_s, _LONGEST_CALM_S)
        else:
            self._calm_s = _CALM_S
        self._changed_at = self._calm_since = now
        self._lost = 0.0
        self._estimate = 0

    def wanted(self, steps: Sequence[Step], current: str, sent: float, now: float) -> str:
        """The rung of `steps` (best first) to go to, `current` to stay. `sent` is what was sent lately, bit/s.

        A receiver's estimate says little beyond what it receives: it is held against that, not against the rung.
        """
        names = [step.name for step in steps]
        if current not in names:
            return names[-1] if names else current
        place = names.index(current)
        if now - self._changed_at < _SETTLE_S:
            return current
        starved = 0 < self._estimate < sent * _STARVED
        if (starved or self._lost > _MUCH_LOST) and place + 1 < len(steps):
            limit = (self._estimate if starved else sent) * _SHARE
            lower = steps[place + 1 :]
            return next((step.name for step in lower if step.bandwidth <= limit), lower[-1].name)
        calm = now - self._calm_since >= self._calm_s
        if place and calm and (not self._estimate or self._estimate >= sent * _NEEDS):
            return names[place - 1]
        return current
