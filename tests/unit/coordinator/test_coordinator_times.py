import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.contracts.errors import BadInputError
from coordinator.times import from_ms, to_ms


@given(st.integers(0, 4_102_444_800_000))
def test_milliseconds_survive(unix_ms):
    assert to_ms(from_ms(unix_ms)) == unix_ms


@pytest.mark.parametrize("unix_ms", [-1, 4_102_444_800_001, 1 << 80])
def test_out_of_range(unix_ms):
    with pytest.raises(BadInputError):
        from_ms(unix_ms)


def test_never_is_zero():
    assert to_ms(None) == 0
