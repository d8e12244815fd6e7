"""RTP packets, serial numbers, order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webrtc_bytes import rtp

from edge.protocols.webrtc.errors import RtpError
from edge.protocols.webrtc.reorder import ReorderBuffer
from edge.protocols.webrtc.rtp import (
    RtpPacket,
    SerialUnwrap,
    header_extension,
    parse_packet,
    restore_retransmission,
)


def packet(sequence: int, timestamp: int = 0) -> RtpPacket:
    return parse_packet(rtp(sequence, timestamp), 0.0)


def test_reads_a_packet() -> None:
    one = parse_packet(rtp(7, 9, b"payload", marker=True, ssrc=5, extensions={3: b"\1\2", 4: b"0"}), 1.5)
    assert (one.sequence, one.timestamp, one.ssrc, one.payload_type) == (7, 9, 5, 96)
    assert one.marker
    assert one.payload == b"payload"
    assert one.at == 1.5
    assert header_extension(one, 3) == b"\1\2"
    assert header_extension(one, 4) == b"0"
    assert header_extension(one, 5) == b""


def test_two_byte_extensions_and_padding() -> None:
    data = bytearray(rtp(1, payload=b""))
    data[0] = 0xB0
    data += b"\x10\0\0\2" + b"\x0b\2hi\0\0\0\0" + b"abc" + b"\0\0\3"
    one = parse_packet(bytes(data), 0.0)
    assert header_extension(one, 11) == b"hi"
    assert one.payload == b"abc"


@given(st.binary(max_size=80))
def test_any_bytes_are_a_packet_or_the_typed_error(data: bytes) -> None:
    try:
        one = parse_packet(data, 0.0)
    except RtpError:
        return
    for number in range(16):
        header_extension(one, number)
    restore_retransmission(one, 96, 1)


@pytest.mark.parametrize("data", [b"", b"\x80" * 11, b"\x00" * 12, b"\x8f" * 12, b"\xa0" + b"\0" * 11])
def test_malformed(data: bytes) -> None:
    with pytest.raises(RtpError):
        parse_packet(data, 0.0)


def test_retransmission() -> None:
    one = restore_retransmission(parse_packet(rtp(9, 4, b"\0\7body", payload_type=97, ssrc=8), 2.0), 96, 1)
    assert one is not None
    assert (one.sequence, one.timestamp, one.payload_type, one.ssrc, one.payload) == (7, 4, 96, 1, b"body")
    assert restore_retransmission(parse_packet(rtp(9, 4, b""), 2.0), 96, 1) is None


@given(st.lists(st.integers(-20_000, 20_000), max_size=50), st.integers(0, 0xFFFF))
def test_serial_numbers(steps: list[int], start: int) -> None:
    unwrap = SerialUnwrap(16)
    true = highest = unwrap(start)
    for step in steps:
        true = highest + step
        assert unwrap.near(true & 0xFFFF) == true
        assert unwrap(true & 0xFFFF) == true
        highest = max(highest, true)


def drain(buffer: ReorderBuffer, sequences: list[int], now: float = 0.0) -> list[int]:
    return [one.packet.sequence for sequence in sequences for one in buffer.push(packet(sequence), now)]


def test_order_is_restored_over_the_wrap() -> None:
    buffer = ReorderBuffer()
    assert drain(buffer, [65_534, 0, 1, 65_535, 2]) == [65_534, 65_535, 0, 1, 2]
    assert buffer.recovered == 1
    assert not buffer.is_waiting


def test_a_hole_is_asked_for_and_then_given_up() -> None:
    buffer = ReorderBuffer(wait_s=0.2)
    drain(buffer, [1, 4])
    assert buffer.wanted(0.001) == []
    assert buffer.wanted(0.01) == [2, 3]
    assert buffer.wanted(0.02) == []
    assert buffer.wanted(0.08) == [2, 3]
    assert buffer.expire(0.19) == []
    released = buffer.expire(0.2)
    assert [(one.packet.sequence, one.after_loss) for one in released] == [(4, True)]
    assert buffer.lost == 2
    assert drain(buffer, [2], 0.3) == []
    assert buffer.late == 1


def test_requests_end() -> None:
    buffer = ReorderBuffer(wait_s=100, requests=3)
    drain(buffer, [1, 3])
    assert sum(bool(buffer.wanted(number * 0.1)) for number in range(1, 30)) == 3


def test_what_is_held_is_bounded() -> None:
    buffer = ReorderBuffer(most=10)
    drain(buffer, [1])
    out = drain(buffer, list(range(3, 40)))
    assert out == list(range(3, 40))
    assert buffer.lost == 1


def test_a_sender_that_starts_anew() -> None:
    buffer = ReorderBuffer()
    assert drain(buffer, [50_000, 50_001, 20_000, 20_001]) == [50_000, 50_001, 20_000, 20_001]
    assert drain(buffer, [20_003]) == []
    assert drain(buffer, [20_002]) == [20_002, 20_003]


@given(st.data())
def test_any_order_within_the_window(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, 0xFFFF))
    order = data.draw(st.permutations(range(1, 30)))
    lost = data.draw(st.sets(st.integers(1, 29)))
    buffer = ReorderBuffer(wait_s=1.0)
    out = drain(buffer, [start])
    for offset in order:
        if offset not in lost:
            out += drain(buffer, [(start + offset) & 0xFFFF])
    out += [one.packet.sequence for one in buffer.expire(5.0)]
    assert out == [(start + offset) & 0xFFFF for offset in range(30) if offset not in lost]


@given(st.lists(st.integers(0, 0xFFFF), max_size=200))
def test_any_sequence_numbers(sequences: list[int]) -> None:
    buffer = ReorderBuffer(most=20)
    for number, sequence in enumerate(sequences):
        buffer.push(packet(sequence), number * 0.01)
        buffer.wanted(number * 0.01)
        buffer.expire(number * 0.01)
    assert len(buffer._held) <= 20
    assert len(buffer._holes) <= 3_000 * 21
