"""Carries what a publisher's health is from its session to the bucket of figures, the metrics and the centre."""

import msgspec

from appliance.contracts.events import PublisherReport
from appliance.contracts.health import Advice, HealthReport
from appliance.contracts.media import Problem
from appliance.contracts.session import SessionRecord
from appliance.runtime.ids import new_id
from appliance.runtime.metrics import counter, gauge, histogram
from edge.media.health import Health

_EVERY_US = 2_000_000
_BIT_RATE = gauge("nearcast_ingest_video_bits_per_second", "Bit rate of all pictures that arrive, 10 s.")
_JITTER = histogram(
    "nearcast_ingest_jitter_seconds",
    "Jitter of arrival against media time, of each publisher every two seconds.",
    (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
)
_STALLS = counter("nearcast_ingest_stalls_total", "Pauses of arrival longer than half a second.")
_ADVICE = counter("nearcast_ingest_advice_total", "Advices that began to be shown.", ["code"])


class HealthFeed:
    """One publisher session's reports: the packager feeds `health`, `due` is asked often and answers seldom."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._told_us = 0
        self._stalls = 0
        self._bit_rate = 0  # its share of the gauge
        self._shown: frozenset[str] = frozenset()
        self.last: HealthReport | None = None
        self.advice: dict[str, Advice] = {}  # everything that was shown, by code; the rules bound it

    def due(self, now_us: int) -> HealthReport | None:
        """What to write at `health.<channel_id>` now, every two seconds; None: nothing."""
        if now_us - self._told_us < _EVERY_US:
            return None
        report = self._health.report(now_us)
        if report is None:
            return None
        self._told_us = now_us
        self.last = report
        self.advice |= {one.code: one for one in report.advice}
        self._measure(report)
        return report

    def of(self, session: SessionRecord, problems: list[Problem], edge_id: str) -> PublisherReport:
        """What the centre is told of a session that has ended: all but the publisher's address."""
        return PublisherReport(
            event_id=new_id(),
            edge_id=edge_id,
            session=msgspec.structs.replace(session, address=""),
            health=self.last,
            advice=list(self.advice.values()),
            problems=problems,
        )

    def close(self) -> None:
        """The publisher is gone. The key in the bucket is the session's to delete."""
        self._set_bit_rate(0)

    def _set_bit_rate(self, bit_rate: int) -> None:
        _BIT_RATE.inc(bit_rate - self._bit_rate)
        self._bit_rate = bit_rate

    def _measure(self, report: HealthReport) -> None:
        _JITTER.observe(report.jitter_ms / 1000)
        self._set_bit_rate(report.video.bit_rate_10s if report.video is not None else 0)
        _STALLS.inc(report.stalls_total - self._stalls)
        self._stalls = report.stalls_total
        codes = _codes(report.advice)
        for code in codes - self._shown:
            _ADVICE.labels(code).inc()
        self._shown = codes


def _codes(advice: list[Advice]) -> frozenset[str]:
    return frozenset(one.code for one in advice)
