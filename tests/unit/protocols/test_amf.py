"""AMF0: round trip, every type, bounds."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.protocols import amf

values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(values, max_size=4))
def test_round_trip(items: list[amf.AmfValue]) -> None:
    assert amf.decode(amf.encode(items)) == items


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    with contextlib.suppress(amf.AmfError):
        amf.decode(data)
    amf.decode_lenient(data)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\x06", None),
        (b"\x0d", None),
        (b"\x07\0\x05", None),
        (b"\x0b" + bytes(8) + b"\0\0", 0.0),
        (b"\x0c\0\0\0\2hi", "hi"),
        (b"\x0f\0\0\0\2<a", "<a"),
        (b"\x10\0\1T\0\1a\x01\1\0\0\x09", {"a": True}),
        (b"\x08\0\0\0\x63\0\1a\x05\0\0\x09", {"a": None}),
        (b"\x03\0\1a\x05", {"a": None}),
    ],
)
def test_types(data: bytes, value: amf.AmfValue) -> None:
    assert amf.decode(data) == [value]


def test_ecma_array_is_written_as_such() -> None:
    data = amf.encode([amf.EcmaArray(a=1.0)])
    assert data[0] == 8
    assert amf.decode(data) == [{"a": 1.0}]


def test_long_string() -> None:
    text = "x" * 70_000
    assert amf.decode(amf.encode([text])) == [text]


def test_depth_is_bounded() -> None:
    with pytest.raises(amf.AmfError, match="deep"):
        amf.decode(b"\x0a\0\0\0\1" * 100 + b"\x05")


def test_values_are_bounded() -> None:
    with pytest.raises(amf.AmfError):
        amf.decode(b"\x05" * 20_000)


def test_lenient_keeps_what_came_before() -> None:
    assert amf.decode_lenient(amf.encode(["onMetaData"]) + b"\xff") == (["onMetaData"], False)
