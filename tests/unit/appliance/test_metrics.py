"""Counting on the hot path."""

from prometheus_client import REGISTRY

from appliance.runtime.metrics import Tally, counter


def test_a_tally_reaches_its_counter_once() -> None:
    tally = Tally(counter("nearcast_test_tallied_total", "Of this test."))

    def total() -> float | None:
        return REGISTRY.get_sample_value("nearcast_test_tallied_total")

    tally.add(3)
    tally.add()
    assert total() == 0
    tally.flush()
    tally.flush()
    assert total() == 4
    tally.add(2)
    tally.flush()
    assert total() == 6
