import math

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from appliance.contracts.sketch import MAX_BUCKETS, Sketch

numbers = st.lists(st.integers(0, 10**12), max_size=60)


def sketch_of(values):
    sketch = Sketch()
    for value in values:
        sketch.add(value)
    return sketch


@given(numbers.filter(bool), st.floats(0.01, 1))
def test_quantiles_are_near(values, share):
    found = sketch_of(values).quantile(share)
    exact = sorted(values)[max(1, math.ceil(share * len(values))) - 1]
    assert abs(found - exact) <= 0.05 * exact + 1e-9


@given(numbers, numbers)
def test_merged_is_the_sketch_of_all(some, others):
    merged = sketch_of(some)
    merged.merge(sketch_of(others))
    assert merged == sketch_of(some + others)
    assert merged.count == len(some) + len(others)
    assert msgspec.json.decode(msgspec.json.encode(merged), type=Sketch) == merged


def test_it_is_bounded_and_keeps_the_upper_end():
    sketch = sketch_of(2 * 1.1**power for power in range(250))
    assert len(sketch.counts) == MAX_BUCKETS
    assert sketch.count == 250
    assert math.isclose(sketch.quantile(0.99), 2 * 1.1**247, rel_tol=0.05)
    assert Sketch().quantile(0.5) is None
