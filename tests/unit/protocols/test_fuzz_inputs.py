"""The fuzz targets with their seeds, a few mutations of them, and everything that broke one once."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS, found


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_what_was_found(name: str) -> None:
    for data in [*TARGETS[name].seeds, *(path.read_bytes() for path in found(name))]:
        TARGETS[name].run(data)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(TARGETS)), st.data())
def test_damaged_seeds(name: str, data: st.DataObject) -> None:
    whole = bytearray(data.draw(st.sampled_from(TARGETS[name].seeds)))
    for _ in range(data.draw(st.integers(1, 5))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    TARGETS[name].run(bytes(whole) + data.draw(st.binary(max_size=40)))
