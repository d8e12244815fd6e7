"""RTCP against an independent coder, and transport-wide feedback against the draft."""

import struct

from aiortc import rtp as other
from hypothesis import given
from hypothesis import strategies as st

from edge.protocols.webrtc import rtcp
from edge.protocols.webrtc.twcc import ArrivalLog


def test_sender_report_and_goodbye() -> None:
    report = other.RtcpSrPacket(
        ssrc=7,
        sender_info=other.RtcpSenderInfo(ntp_timestamp=9 << 32, rtp_timestamp=5, packet_count=1, octet_count=2),
    )
    data = bytes(report) + bytes(other.RtcpByePacket(sources=[7, 8]))
    assert list(rtcp.parse_compound(data)) == [rtcp.SenderReport(7, 9 << 32, 5), rtcp.Goodbye((7, 8))]


@given(st.binary(max_size=100))
def test_any_bytes(data: bytes) -> None:
    list(rtcp.parse_compound(data))
    list(rtcp.parse_compound(b"\x9f\xcb\0\1" + data))


def test_receiver_report() -> None:
    block = rtcp.ReceptionReport(7, 300, 5, 70_000, 12, 13, 14)
    (packet,) = other.RtcpPacket.parse(rtcp.receiver_report(1, [block]))
    assert isinstance(packet, other.RtcpRrPacket)
    (found,) = packet.reports
    assert (found.ssrc, found.fraction_lost, found.packets_lost) == (7, 300 & 0xFF, 5)
    assert (found.highest_sequence, found.jitter, found.lsr, found.dlsr) == (70_000, 12, 13, 14)


def test_source_description() -> None:
    (packet,) = other.RtcpPacket.parse(rtcp.source_description(3, b"nearcast"))
    assert isinstance(packet, other.RtcpSdesPacket)
    assert packet.chunks[0].items == [(1, b"nearcast")]


def test_key_frame_requests() -> None:
    (packet,) = other.RtcpPacket.parse(rtcp.picture_loss(1, 2))
    assert isinstance(packet, other.RtcpPsfbPacket)
    assert (packet.fmt, packet.ssrc, packet.media_ssrc) == (1, 1, 2)
    (packet,) = other.RtcpPacket.parse(rtcp.full_intra(1, 2, 3))
    assert packet.fmt == 4
    assert packet.fci == struct.pack("!IB3x", 2, 3)


@given(st.sets(st.integers(0, 0x1FFFF), max_size=60))
def test_negative_acknowledgements(numbers: set[int]) -> None:
    wanted = [number & 0xFFFF for number in sorted(numbers)]
    wanted = list(dict.fromkeys(wanted))
    data = rtcp.negative_acknowledgement(1, 2, wanted)
    (packet,) = other.RtcpPacket.parse(data)
    assert isinstance(packet, other.RtcpRtpfbPacket)
    assert sorted({lost & 0xFFFF for lost in packet.lost}) == sorted(wanted)  # it does not wrap them


def test_estimate() -> None:
    (packet,) = other.RtcpPacket.parse(rtcp.receiver_estimate(1, 6_000_000, [5, 6]))
    rate, sources = other.unpack_remb_fci(packet.fci)
    assert 5_990_000 < rate <= 6_000_000
    assert sources == [5, 6]


def read_feedback(body: bytes) -> dict[int, int]:
    """Arrival in 250 us ticks by number."""
    base, count = struct.unpack_from("!HH", body)
    clock = int.from_bytes(body[4:7], "big") * 256
    symbols: list[int] = []
    at = 8
    while len(symbols) < count:
        word = int.from_bytes(body[at : at + 2], "big")
        at += 2
        if word >> 15 == 0:
            symbols += [word >> 13 & 3] * (word & 0x1FFF)
        else:
            assert word >> 14 & 1
            symbols += [word >> shift & 3 for shift in range(12, -2, -2)]
    found = {}
    for number, symbol in enumerate(symbols[:count]):
        if symbol == 1:
            clock += body[at]
            at += 1
        elif symbol == 2:
            clock += int.from_bytes(body[at : at + 2], "big", signed=True)
            at += 2
        if symbol:
            found[(base + number) & 0xFFFF] = clock
    assert at == len(body)
    assert not any(symbols[count:])
    return found


@given(st.integers(0, 0xFFFF), st.dictionaries(st.integers(0, 300), st.floats(0, 2), min_size=1))
def test_feedback_tells_every_arrival(start: int, arrivals: dict[int, float]) -> None:
    log = ArrivalLog()
    expected = {}
    for offset, after in sorted(arrivals.items(), key=lambda item: item[1]):
        number = (start + offset) & 0xFFFF
        log.note(number, 1000 + after)
        if offset >= sorted(arrivals.items(), key=lambda item: item[1])[0][0]:
            expected[number] = int((1000 + after) * 4000)
    found = read_feedback(log.report())
    assert {number: ticks % (1 << 32) for number, ticks in found.items()} == expected
    assert log.report() == b""


def test_feedback_is_bounded_and_goes_on() -> None:
    log = ArrivalLog()
    for number in range(0, 20_000, 7):
        log.note(number, number / 1000)
    found = read_feedback(log.report())
    assert len(found) <= 2_000
    log.note(20_001, 20.1)
    assert list(read_feedback(log.report())) == [20_001]
