"""One incoming RTP stream: its order, its frames, its clock, and what a receiver report says about it."""

from typing import Final

from edge.protocols.webrtc.answer import Chosen
from edge.protocols.webrtc.depayload import DEPAYLOADERS, Frame
from edge.protocols.webrtc.reorder import InOrder, ReorderBuffer
from edge.protocols.webrtc.rtcp import ReceptionReport
from edge.protocols.webrtc.rtp import RtpPacket
from edge.protocols.webrtc.sync import SourceClock

_WAIT_S: Final = 0.25  # for a packet that can be asked for
_SHORT_WAIT_S: Final = 0.06  # for one that is late at most
_PLI_EVERY_S: Final = 1.0


class Source:
    """Owned by a Receiver. Times are seconds of its clock."""

    def __init__(self, ssrc: int, chosen: Chosen, rid: str, now: float) -> None:
        self.ssrc = ssrc
        self.chosen = chosen
        self.kind = chosen.section.kind
        self.codec = chosen.codec
        self.rid = rid
        self.clock = SourceClock(chosen.codec.clock_rate)
        self.repairs = self.kind == "video" and chosen.understands("nack")
        self.order = ReorderBuffer(wait_s=_WAIT_S if self.repairs else _SHORT_WAIT_S)
        self.waits_for_key = self.kind == "video"
        self.seen_at = now
        self.key_at = now  # of its last key frame
        self._depayloader = DEPAYLOADERS[chosen.codec.name]()
        self._packets = 0
        self._first_sequence = -1
        self._reported = (0, 0)  # expected, received
        self._transit: float | None = None
        self._jitter = 0.0
        self._last_report = 0  # middle 32 bits of the last sender report's NTP time
        self._last_report_at = now
        self._key_asked_at = -_PLI_EVERY_S

    def count(self, packet: RtpPacket) -> None:
        """Statistics of a packet that came on this source itself (RFC 3550, A.8)."""
        self._packets += 1
        self.seen_at = packet.at
        transit = packet.at * self.codec.clock_rate - packet.timestamp
        if self._transit is not None:
            step = abs(transit - self._transit)
            if step < self.codec.clock_rate:  # not a time stamp that wrapped
                self._jitter += (step - self._jitter) / 16
        self._transit = transit

    def push(self, packet: RtpPacket, now: float) -> list[Frame]:
        """The frames that a packet completes."""
        if self.order.takes(packet):
            return self._depayloader.push(packet)
        return self._frames(self.order.push(packet, now))

    def expire(self, now: float) -> list[Frame]:
        """The frames behind packets that were given up."""
        return self._frames(self.order.expire(now)) if self.order.is_waiting else []

    def _frames(self, packets: list[InOrder]) -> list[Frame]:
        frames: list[Frame] = []
        for packet, after_loss in packets:
            if self._first_sequence < 0:
                self._first_sequence = self.order.highest
            frames += self._depayloader.push(packet, after_loss)
        return frames

    def may_ask_for_key(self, now: float) -> bool:
        """Whether the last request is long enough ago; it then counts as made."""
        if now - self._key_asked_at < _PLI_EVERY_S:
            return False
        self._key_asked_at = now
        return True

    def heard_report(self, ntp: int, rtp: int, now: float) -> None:
        """A sender report came."""
        self._last_report = ntp >> 16 & 0xFFFFFFFF
        self._last_report_at = now
        self.clock.report(ntp, rtp)

    def report(self, now: float) -> ReceptionReport:
        """The block about this source since the last one."""
        highest = self.order.highest
        expected = max(0, highest - self._first_sequence + 1) if self._first_sequence >= 0 else 0
        before, received = self._reported
        self._reported = expected, self._packets
        new, lost = expected - before, expected - before - (self._packets - received)
        fraction = max(0, min(255, lost * 256 // new)) if new > 0 else 0
        delay = int((now - self._last_report_at) * 65_536) if self._last_report else 0
        return ReceptionReport(
            self.ssrc, fraction, self.order.lost, highest, int(self._jitter), self._last_report, delay
        )
