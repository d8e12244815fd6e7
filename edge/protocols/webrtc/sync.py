"""Sources with clocks of their own brought into step.

Until sender reports relate their clocks, each source is placed where its first packet arrived. Afterwards all
follow one of them, the reference, by the sender's wall clock (RFC 3550, 6.4.1) - slewed, so that no time stamp
jumps. The reference itself is never moved: sound cannot be stretched, pictures can.
"""

from edge.protocols.webrtc.rtp import SerialUnwrap

_SLEW = 0.1  # seconds of correction per second of media
_CREDIBLE_S = 3.0  # reports that would move a source further than this are nonsense
_NTP_SECOND = 1 << 32


class SourceClock:
    """RTP time of one source to seconds of the receiver's clock."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._unwrap = SerialUnwrap(32)
        self._offset_s: float | None = None
        self._last = 0
        self._report: tuple[int, float] | None = None  # ticks, wall clock in seconds

    def report(self, ntp: int, rtp: int) -> None:
        """A sender report; one without a wall clock is passed over."""
        ticks = self._unwrap.near(rtp)
        if ntp and ticks >= 0:
            self._report = ticks, ntp / _NTP_SECOND

    def place(self, timestamp: int, arrived: float, reference: "SourceClock | None") -> float:
        """When the frame with this 32-bit time stamp belongs; `arrived` is when its first packet came."""
        ticks = self._unwrap(timestamp)
        if self._offset_s is None:
            self._offset_s = arrived - ticks / self._rate
            self._last = ticks
        elif ticks > self._last:
            self._offset_s += self._correction(ticks, reference)
            self._last = ticks
        return ticks / self._rate + self._offset_s

    def _correction(self, ticks: int, reference: "SourceClock | None") -> float:
        if reference is None or reference is self or self._report is None or self._offset_s is None:
            return 0.0
        wanted = reference.at_wall_clock(self._report[1] + (ticks - self._report[0]) / self._rate)
        if wanted is None:
            return 0.0
        error = wanted - (ticks / self._rate + self._offset_s)
        if abs(error) > _CREDIBLE_S:
            return 0.0
        most = _SLEW * (ticks - self._last) / self._rate
        return max(-most, min(most, error))

    def at_wall_clock(self, wall_s: float) -> float | None:
        """When this source's frame of that sender's wall clock belongs; None before its first report."""
        if self._report is None or self._offset_s is None:
            return None
        ticks, reported_s = self._report
        return ticks / self._rate + self._offset_s + wall_s - reported_s
