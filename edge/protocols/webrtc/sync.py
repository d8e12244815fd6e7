"""Sources with clocks of their own brought into step.

Until sender reports relate their clocks, each source is placed where its first packet arrived. Afterwards all
follow one of them, the reference, by the sender's wall clock (RFC 3550, 6.4.1) - slewed, so that no time stamp
jumps. The reference itself is never moved: sound cannot be stretched, pictures can.

A sender whose track was taken away for a while (RTCRtpSender.replaceTrack) need not have counted that time. What
then comes later than before, all of it, has its place where it arrives.
"""

from typing import Final

from edge.protocols.webrtc.rtp import SerialUnwrap

_SLEW: Final = 0.1  # seconds of correction per second of media
_FAST_SLEW: Final = 0.5  # where pictures move a little unevenly, which is seen less than
_APART_S: Final = 0.3  # so much between picture and sound
_CREDIBLE_S: Final = 3.0  # reports that would move a source further than this are nonsense
_PAUSE_S: Final = 1.0  # without a packet; and so long what comes then is watched
_LATE_S: Final = 0.3  # more than before the pause
_USUAL: Final = 0.05  # weight of a packet in how late they usually are
_NTP_SECOND: Final = 1 << 32


class SourceClock:
    """RTP time of one source to seconds of the receiver's clock."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._unwrap = SerialUnwrap(32)
        self._offset_s: float | None = None
        self._last = 0
        self._report: tuple[int, float] | None = None  # ticks, wall clock in seconds
        self._arrived = self._late_s = 0.0  # when the last frame came, and how late they usually are
        self._watched: tuple[float, float] | None = None  # since when after a pause, and the least late since

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
            self._offset_s += self._correction(ticks, reference) + self._not_counted(ticks, arrived)
            self._last = ticks
        self._arrived = max(self._arrived, arrived)
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
        most = (_FAST_SLEW if abs(error) > _APART_S else _SLEW) * (ticks - self._last) / self._rate
        return max(-most, min(most, error))

    def _not_counted(self, ticks: int, arrived: float) -> float:
        """Seconds of a pause that the source's clock left out, once that is sure."""
        late = arrived - ticks / self._rate - (self._offset_s or 0.0)
        if self._watched is None and arrived - self._arrived < _PAUSE_S:
            self._late_s += (late - self._late_s) * _USUAL
            return 0.0
        since, least = self._watched or (arrived, late)
        least = min(least, late)
        if arrived - since < _PAUSE_S:
            self._watched = since, least
            return 0.0
        self._watched = None
        return least - self._late_s if least - self._late_s > _LATE_S else 0.0

    def at_wall_clock(self, wall_s: float) -> float | None:
        """When this source's frame of that sender's wall clock belongs; None before its first report."""
        if self._report is None or self._offset_s is None:
            return None
        ticks, reported_s = self._report
        return ticks / self._rate + self._offset_s + wall_s - reported_s
