import pytest

from appliance.contracts.errors import RateLimitedError
from coordinator.api.limits import Limiter
from coordinator.config import Quota

QUOTA = Quota(per_minute=60, burst=3)


def test_burst_then_one_a_second():
    limiter = Limiter()
    for _ in range(3):
        limiter.take("a", QUOTA, 100.0)
    with pytest.raises(RateLimitedError) as refused:
        limiter.take("a", QUOTA, 100.25)
    assert refused.value.retry_after_s == pytest.approx(0.75)
    limiter.take("a", QUOTA, 101.0)


def test_refusal_costs_nothing():
    limiter = Limiter()
    for _ in range(3):
        limiter.take("a", QUOTA, 0.0)
    for _ in range(50):
        with pytest.raises(RateLimitedError):
            limiter.take("a", QUOTA, 0.5)
    limiter.take("a", QUOTA, 1.0)


def test_keys_do_not_share():
    limiter = Limiter()
    for key in ("a", "b"):
        for _ in range(3):
            limiter.take(key, QUOTA, 0.0)


def test_memory_is_bounded():
    limiter = Limiter()
    for number in range(10_100):
        limiter.take(str(number), QUOTA, 0.0)
    assert len(limiter._arrival) == 10_000
