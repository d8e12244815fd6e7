"""First pictures of segments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.protocols.fmp4 import FragmentError, Sample, fragment, key_fragment, key_frame_end, read_fragments

samples = st.lists(
    st.builds(
        Sample,
        st.just(0),
        st.integers(1, 9000),
        st.integers(0, 9000),
        st.booleans(),
        st.binary(min_size=1, max_size=80),
    ),
    min_size=1,
    max_size=5,
)


@given(samples, st.integers(0, 2**40), st.integers(1, 2**31))
def test_the_first_picture_lasts_as_long_as_it_is_told(frames, base_dts, ticks):
    data = fragment(1, 7, base_dts, frames)
    end = key_frame_end(data)
    if not frames[0].key:
        assert end == 0
        with pytest.raises(FragmentError):
            key_fragment(data, ticks)
        return
    assert data[:end].endswith(frames[0].data)
    assert key_fragment(data[:end], ticks) == key_fragment(data, ticks), "the rest is not needed"
    (found,) = read_fragments(key_fragment(data[:end], ticks))
    (sample,) = found.samples
    assert (found.base_dts, sample.duration, sample.cts, sample.key) == (base_dts, ticks, frames[0].cts, True)
    assert bytes(sample.data) == frames[0].data
    with pytest.raises(FragmentError):
        key_fragment(data[: end - 1], ticks)


@given(st.binary(max_size=200))
def test_other_bytes_are_refused(data):
    with pytest.raises(FragmentError):
        key_frame_end(data)
