"""A session's reports on their way to the live bucket."""

from prometheus_client import REGISTRY

from edge.ingest.health_feed import HealthFeed
from edge.media.health import Health

T0 = 1_700_000_000_000_000


def bit_rate() -> float:
    return REGISTRY.get_sample_value("nearcast_ingest_video_bits_per_second") or 0.0


def test_a_report_every_two_seconds() -> None:
    health = Health()
    before = bit_rate()
    feed = HealthFeed(health)
    assert feed.due(T0) is None, "nothing arrived yet"
    health.set_video("avc1.64001f", 1280, 720, (30, 1))
    told = []
    for frame in range(30 * 20):
        now = T0 + frame * 33_334
        health.video(frame * 3000, frame % 300 == 0, 10_000, now)
        report = feed.due(now)
        if report is not None:
            told.append(report)
    assert len(told) == 10
    assert [one.code for one in told[-1].advice] == ["keyframe_interval"]
    assert feed.last is told[-1]
    assert list(feed.advice) == ["keyframe_interval"]
    assert bit_rate() - before == 8 * 10_000 * 30
    feed.close()
    assert bit_rate() == before


def test_a_session_without_media_leaves_nothing() -> None:
    before = bit_rate()
    HealthFeed(Health()).close()
    assert bit_rate() == before
