"""PROXY protocol headers, both versions, in any pieces."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.protocols.proxy import LONGEST, ProxyError, ProxyHeader, parse_header

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V4 = SIGNATURE + b"\x21\x11\x00\x0c" + bytes([192, 0, 2, 7, 10, 0, 0, 1]) + b"\x1f\x90\x07\x8f"
V6 = SIGNATURE + b"\x21\x21\x00\x24" + ipaddress.ip_address("2001:db8::7").packed * 2 + b"\x1f\x90\x07\x8f"
TLV = SIGNATURE + b"\x21\x11\x00\x10" + V4[16:] + b"\x04\x00\x01\x00"
TEXT = b"PROXY TCP4 192.0.2.7 10.0.0.1 8080 1935\r\n"


@pytest.mark.parametrize(
    ("data", "address"),
    [
        (V4, "192.0.2.7"),
        (V6, "2001:db8::7"),
        (TLV, "192.0.2.7"),
        (TEXT, "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 ::1 8080 1935\r\n", "2001:db8::7"),
        (b"PROXY UNKNOWN ffff::1 whatever\r\n", ""),
        (SIGNATURE + b"\x20\x00\x00\x00", ""),
        (SIGNATURE + b"\x21\x31\x00\x04path", ""),
    ],
)
def test_a_header_and_what_follows(data: bytes, address: str) -> None:
    assert parse_header(data + b"\x03rtmp") == ProxyHeader(len(data), address)
    for cut in range(1, len(data)):
        assert parse_header(data[:cut]) is None


@pytest.mark.parametrize("data", [b"\x03" + bytes(1536), b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"PROXIMA"])
def test_no_header(data: bytes) -> None:
    assert parse_header(data) == ProxyHeader(0, "")


@pytest.mark.parametrize(
    "data",
    [
        b"PROXY TCP4 192.0.2.7 10.0.0.1 8080\r\n",
        b"PROXY TCP4 2001:db8::7 ::1 8080 1935\r\n",
        b"PROXY TCP4 nowhere 10.0.0.1 8080 1935\r\n",
        b"PROXY " + b"x" * 200,
        SIGNATURE + b"\x31\x11\x00\x0c" + bytes(12),
        SIGNATURE + b"\x22\x11\x00\x0c" + bytes(12),
        SIGNATURE + b"\x21\x11\x00\x05" + bytes(5),
        SIGNATURE + b"\x21\x11\xff\xff",
    ],
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(ProxyError):
        parse_header(data)


@given(st.sampled_from([b"", SIGNATURE, b"PROXY ", SIGNATURE + b"\x21\x11"]), st.binary(max_size=200))
def test_any_bytes(front: bytes, data: bytes) -> None:
    try:
        header = parse_header(front + data)
    except ProxyError:
        return
    assert header is None or header.size <= min(LONGEST, len(front + data))
