"""Outgoing streams: numbers, retransmissions and reports, read by ours and by an independent coder."""

import struct

from aiortc.rtp import RtcpPacket, RtcpSrPacket, RtpPacket, unwrap_rtx
from hypothesis import given
from hypothesis import strategies as st

from edge.protocols.webrtc import rtcp
from edge.protocols.webrtc.rtcp_feedback import Estimate, KeyWanted, Missing, Reception, parse_feedback
from edge.protocols.webrtc.rtp import header_extension, parse_packet, restore_retransmission
from edge.protocols.webrtc.sender import RING, RtpSender, StreamForm

FORM = StreamForm(ssrc=7, payload_type=96, clock_rate=90_000, rtx_ssrc=8, rtx_type=97, send_time_id=2)


def _packets() -> st.SearchStrategy[bytes]:
    """Packets with honest headers and any content."""
    kinds = st.sampled_from([200, 201, 205, 206])
    body = st.integers(0, 12).flatmap(lambda words: st.binary(min_size=4 * words, max_size=4 * words))
    packet = st.builds(
        lambda form, kind, content: struct.pack("!BBH", 0x80 | form, kind, len(content) // 4) + content,
        st.sampled_from([0, 1, 2, 4, 15, 31]),
        kinds,
        body,
    )
    return st.lists(packet, max_size=4).map(b"".join)


def sender(form: StreamForm = FORM, offset: int = 0) -> RtpSender:
    return RtpSender(form, sequence=65_534, rtx_sequence=10, offset=offset)


def test_numbers_and_marker() -> None:
    packets = sender(offset=1000).packetize([b"a", b"b", b"c"], (1 << 32) - 500, 0.0, ends_frame=True)
    read = [parse_packet(packet, 0.0) for packet in packets]
    assert [packet.sequence for packet in read] == [65_534, 65_535, 0]
    assert [packet.marker for packet in read] == [False, False, True]
    assert {packet.timestamp for packet in read} == {500}
    assert [packet.payload for packet in read] == [b"a", b"b", b"c"]


def test_a_part_of_a_frame_has_no_marker() -> None:
    [packet] = sender().packetize([b"a"], 0, 0.0, ends_frame=False)
    assert not parse_packet(packet, 0.0).marker


def test_the_time_of_sending() -> None:
    [packet] = sender().packetize([b"a"], 0, 64.0 + 1.5, ends_frame=True)
    assert header_extension(parse_packet(packet, 0.0), 2) == (3 << 17).to_bytes(3, "big")


def test_what_is_missing_is_sent_again() -> None:
    made = sender()
    original = [RtpPacket.parse(packet) for packet in made.packetize([b"a", b"b", b"c"], 5, 0.0, ends_frame=True)]
    repeated = made.repeat((65_535, 3_000, 0), 1.0)
    assert len(repeated) == 2
    for data, lost in zip(repeated, original[1:], strict=True):
        packet = RtpPacket.parse(data)
        assert (packet.ssrc, packet.payload_type, packet.marker) == (8, 97, lost.marker)
        found = unwrap_rtx(packet, payload_type=96, ssrc=7)
        assert (found.sequence_number, found.payload, found.timestamp) == (
            lost.sequence_number,
            lost.payload,
            lost.timestamp,
        )
    ours = restore_retransmission(parse_packet(repeated[0], 0.0), 96, 7)
    assert ours is not None
    assert (ours.sequence, ours.payload) == (65_535, b"b")
    assert [parse_packet(data, 0.0).sequence for data in repeated] == [10, 11]


def test_the_ring_forgets() -> None:
    made = sender()
    for number in range(RING + 1):
        made.packetize([b"x"], number, 0.0, ends_frame=True)
    assert made.repeat([65_534], 0.0) == []
    assert len(made.repeat([65_535], 0.0)) == 1


def test_nothing_is_repeated_without_rtx() -> None:
    made = sender(FORM._replace(rtx_type=-1))
    made.packetize([b"x"], 0, 0.0, ends_frame=True)
    assert made.repeat([65_534], 0.0) == []


def test_reports_of_picture_and_sound_have_one_wall_clock() -> None:
    picture = sender(offset=100)
    sound = sender(StreamForm(ssrc=9, payload_type=111, clock_rate=48_000), offset=(1 << 32) - 1)
    picture.packetize([b"abc"], 0, 0.0, ends_frame=True)
    media_s, wall_s = 12.5, 1_000_000.25
    read = []
    for made, rate in ((picture, 90_000), (sound, 48_000)):
        found = RtcpPacket.parse(made.report(media_s * rate, wall_s))[0]
        assert isinstance(found, RtcpSrPacket)
        read.append(found)
    assert read[0].sender_info.ntp_timestamp == read[1].sender_info.ntp_timestamp
    assert read[0].sender_info.ntp_timestamp >> 32 == 1_000_000 + 2_208_988_800
    assert read[0].sender_info.rtp_timestamp == int(12.5 * 90_000) + 100
    assert read[1].sender_info.rtp_timestamp == int(12.5 * 48_000) - 1
    assert (read[0].sender_info.packet_count, read[0].sender_info.octet_count) == (1, 3)


def test_feedback_is_read_back() -> None:
    report = rtcp.ReceptionReport(7, 64, 3, 9, 0, 0, 0)
    compound = (
        rtcp.receiver_report(1, [report])
        + rtcp.negative_acknowledgement(1, 7, [65_535, 0, 3, 40])
        + rtcp.picture_loss(1, 7)
        + rtcp.full_intra(1, 7, 1)
        + rtcp.receiver_estimate(1, 3_000_000, [7])
    )
    found = list(parse_feedback(compound))
    assert found[:4] == [Reception(7, 0.25), Missing(7, (65_535, 0, 3, 40)), KeyWanted(7), KeyWanted(7)]
    assert isinstance(found[4], Estimate)
    assert abs(found[4].bit_rate - 3_000_000) < 50


def test_damage_ends_feedback() -> None:
    whole = rtcp.receiver_report(1) + rtcp.picture_loss(1, 7)
    assert list(parse_feedback(whole[:-1])) == []
    assert list(parse_feedback(struct.pack("!BBH", 0x81, 205, 900))) == []
    assert list(parse_feedback(b"\x81\xcd\x00\x00" + b"\x81\xce\x00\x00")) == []


@given(st.one_of(st.binary(max_size=120), _packets()))
def test_no_feedback_raises_anything(data: bytes) -> None:
    for one in parse_feedback(data):
        assert not isinstance(one, Missing) or all(0 <= number <= 0xFFFF for number in one.sequences)
