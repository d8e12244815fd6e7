"""Whether the pictures of a publisher come: steadily, as those of a camera, or far apart, as slides."""

PAUSE_US = 1_500_000  # more than between pictures of the slowest cameras
_TOGETHER_US = 100_000
_UNKNOWN_US = 1_000_000
_MOST_US = 30_000_000  # slides further apart than this are not told from pictures that stopped
_MOST_PATIENCE = 16
_FORGIVEN_S = 600.0
_SLACK = 5, 4  # slides may be so much further apart than those before


class Presence:
    """Of one publisher. All times in microseconds of one clock.

    `interval_us` lies between two pictures or groups that come together; one pause that is longer does not change
    it. Before it is known what was presumed, or a second.
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self._since = 0  # the pictures that came then and later had no pause between them
        self._paused = 0  # pauses in succession
        self._usual = PAUSE_US
        self._group_us = self._apart = 0  # when the last group began, and how long after the one before
        self.interval_us = _UNKNOWN_US

    def presume(self, interval_us: int) -> None:
        """What the interval seems to be, as long as none was measured."""
        if not self._apart:
            self.interval_us = interval_us

    def came(self, at_us: int) -> None:
        """A picture came. One pause may be a stop, two in succession are slides."""
        pause = at_us - self._last if self._last is not None else _MOST_US
        self._measure(at_us)
        self._last = at_us
        if pause <= PAUSE_US:
            self._paused, self._usual = 0, PAUSE_US
            return
        self._since = at_us
        self._paused += 1
        if self._paused > 1 and pause < _MOST_US:
            more, of = _SLACK
            self._usual = max(self._usual, pause * more // of)

    def _measure(self, at_us: int) -> None:
        apart = at_us - self._group_us
        if self._last is not None:
            if apart < _TOGETHER_US:
                return
            if self._apart:
                self.interval_us = min(apart, self._apart)
            self._apart = apart
        self._group_us = at_us

    def steady_us(self, now_us: int) -> int:
        """For how long pictures have come without a pause; 0: they do not."""
        if self._last is None or now_us - self._last > PAUSE_US:
            return 0
        return now_us - self._since

    def is_missing(self, now_us: int) -> bool:
        """Whether none came for longer than is usual, or ever."""
        return self._last is None or now_us - self._last > self._usual

    def gone_us(self, now_us: int) -> int | None:
        """Since the last one; None: none ever came."""
        return now_us - self._last if self._last is not None else None


class Patience:
    """Grows each time that it is lost for nothing: what was given up came back. Times in seconds."""

    def __init__(self) -> None:
        self._times = 1
        self._lost_at = 0.0

    def lost(self, now: float) -> None:
        """It was not waited for any longer."""
        self._times, self._lost_at = min(2 * self.times(now), _MOST_PATIENCE), now

    def times(self, now: float) -> int:
        """How many times as long as at first it is to be waited for."""
        if now - self._lost_at > _FORGIVEN_S:
            self._times = 1
        return self._times
