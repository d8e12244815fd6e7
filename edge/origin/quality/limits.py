"""What one address may send, and what a process takes when there is too much of it."""

from collections import OrderedDict

_ADDRESSES = 20_000
_BURST_S = 20.0  # of the rate, at once after a silence
_LATE_S = 0.4  # a turn of the loop that comes so late says that the process has too much to do
_LEAST = 1 / 64
_RECOVERY = 1.25  # of the share, each second
_LONGEST_S = 60.0


class AddressLimit:
    """GCRA: `per_minute` reports from one address. The address that was silent longest is forgotten first."""

    def __init__(self, per_minute: int) -> None:
        self._interval_s = 60.0 / max(1, per_minute)
        self._arrivals: OrderedDict[str, float] = OrderedDict()  # theoretical arrival times

    def take(self, address: str, now: float) -> float:
        """0 when one more may come, which then counts; else the seconds until it may."""
        arrival = max(self._arrivals.get(address, 0.0), now)
        wait_s = arrival - now - _BURST_S
        if wait_s > 0:
            return wait_s
        self._arrivals[address] = arrival + self._interval_s
        self._arrivals.move_to_end(address)
        if len(self._arrivals) > _ADDRESSES:
            self._arrivals.popitem(last=False)
        return 0.0


class Shedding:
    """Which share of the reports is taken: all, until more than `per_s` come or the loop is late.

    Whole sessions are kept or left out, by their hash, so that what is kept tells their stories.
    """

    def __init__(self, per_s: int) -> None:
        self._per_s = max(1, per_s)
        self.share = 1.0
        self._came = 0
        self._turned = 0.0

    def keeps(self, session: int, now: float) -> bool:
        """Whether a report of this playback, by its 64 bit hash, is taken."""
        if now - self._turned >= 1.0:
            self._turn(now)
        self._came += 1
        return self.share >= 1.0 or (session & 0xFFFF) < self.share * 0x10000

    def late(self, by_s: float) -> None:
        """The loop's turn came `by_s` after its time."""
        if by_s >= _LATE_S:
            self.share = max(_LEAST, self.share / 2)

    def _turn(self, now: float) -> None:
        passed = min(now - self._turned, _LONGEST_S)
        rate = self._came / max(1.0, passed)
        self._came, self._turned = 0, now
        self.share = max(_LEAST, min(1.0, self.share * _RECOVERY**passed, self._per_s / max(rate, 1.0)))
