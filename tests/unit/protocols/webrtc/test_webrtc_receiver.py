"""The receiver: sources, layers, repairs, key frames, feedback."""

from aiortc import rtp as other
from hypothesis import given
from hypothesis import strategies as st
from webrtc_bytes import AUDIO, VIDEO, chromium_simulcast, offer, rtp

from edge.protocols.webrtc import rtcp
from edge.protocols.webrtc.answer import negotiate
from edge.protocols.webrtc.receiver import Receiver
from edge.protocols.webrtc.sdp import parse_offer

KEY, DELTA = b"\x65key", b"\x41delta"


def receiver(text: str = "") -> Receiver:
    return Receiver(negotiate(parse_offer(text or offer(VIDEO, AUDIO))), 99)


def sent(one: Receiver) -> list[other.AnyRtcpPacket]:
    return [packet for data in one.data_to_send() for packet in other.RtcpPacket.parse(data)]


def plis(one: Receiver) -> list[int]:
    """SSRCs that were asked for a key frame."""
    return [
        packet.media_ssrc for packet in sent(one) if isinstance(packet, other.RtcpPsfbPacket) and packet.fmt == 1
    ]


def test_a_new_picture_source_is_asked_for_a_key_frame_and_waits_for_it() -> None:
    one = receiver()
    one.receive_rtp(rtp(1, 0, DELTA, marker=True), 1.0)
    assert plis(one) == [1]
    assert one.frames() == []
    one.receive_rtp(rtp(2, 3000, KEY, marker=True), 1.1)
    one.receive_rtp(rtp(3, 6000, DELTA, marker=True), 1.2)
    found = one.frames()
    assert [frame.frame.key for frame in found] == [True, False]
    assert abs(found[0].time_s - 1.1) < 1e-9
    assert (found[0].kind, found[0].codec) == ("video", "h264")


def test_requests_for_key_frames_are_limited() -> None:
    one = receiver()
    for number in range(50):
        one.receive_rtp(rtp(number, number * 3000, DELTA, marker=True), 1.0 + number * 0.033)
    assert len(plis(one)) == 2


def test_key_frames_are_asked_for_when_none_come_by_themselves() -> None:
    one = receiver()
    one.receive_rtp(rtp(1, 0, KEY, marker=True), 1.0)
    one.data_to_send()
    asked = []
    for number in range(1, 150):
        now = 1.0 + number * 0.02
        one.tick(now)
        asked += [round(now, 2)] * len(plis(one))
    assert asked
    assert asked[0] == 3.0
    one.receive_rtp(rtp(2, 3000, KEY, marker=True), 4.0)
    one.data_to_send()
    one.tick(4.5)
    one.tick(5.9)
    assert plis(one) == []


def test_a_lost_packet_is_asked_for_and_repaired() -> None:
    one = receiver()
    one.receive_rtp(rtp(1, 0, KEY, marker=True), 1.0)
    one.receive_rtp(rtp(3, 6000, DELTA, marker=True), 1.1)
    one.tick(1.12)
    nacks = [packet.lost for packet in sent(one) if isinstance(packet, other.RtcpRtpfbPacket) and packet.fmt == 1]
    assert nacks == [[2]]
    one.receive_rtp(rtp(500, 3000, b"\0\2" + DELTA, payload_type=97, ssrc=2, marker=True), 1.15)
    assert [frame.frame.timestamp for frame in one.frames()] == [0, 3000, 6000]
    assert one.counts["retransmissions"] == 1


def test_what_cannot_be_repaired_waits_for_a_key_frame() -> None:
    one = receiver()
    one.receive_rtp(rtp(1, 0, KEY, marker=True), 1.0)
    one.receive_rtp(rtp(3, 6000, DELTA, marker=True), 2.5)
    assert len(one.frames()) == 1
    one.data_to_send()
    one.tick(2.8)
    assert one.frames() == []
    assert plis(one) == [1]
    assert one.counts["damaged_frames"] == 1
    assert one.lost() == 1


def test_lost_sound_is_only_missing() -> None:
    one = receiver()
    for number in (1, 3):
        one.receive_rtp(rtp(number, number * 960, b"\xfcx", payload_type=111, ssrc=5), 1.0)
    one.tick(1.1)
    assert [frame.frame.timestamp for frame in one.frames()] == [960, 2880]


def test_layers_name_themselves() -> None:
    one = receiver(chromium_simulcast())
    one.receive_rtp(rtp(1, 0, KEY, payload_type=102, ssrc=7, marker=True), 1.0)
    assert one.counts["unknown"] == 1
    for ssrc, rid in ((7, b"h"), (8, b"l")):
        one.receive_rtp(rtp(2, 0, KEY, payload_type=102, ssrc=ssrc, marker=True, extensions={10: rid}), 1.1)
    one.receive_rtp(rtp(3, 3000, DELTA, payload_type=102, ssrc=7, marker=True), 1.2)
    assert [frame.rid for frame in one.frames()] == ["h", "l", "h"]
    one.receive_rtp(rtp(9, 0, KEY, payload_type=102, ssrc=9, extensions={10: b"z"}), 1.3)
    assert one.counts["unknown"] == 2


def test_retransmissions_of_a_layer() -> None:
    one = receiver(chromium_simulcast())
    one.receive_rtp(rtp(1, 0, KEY, payload_type=102, ssrc=7, marker=True, extensions={10: b"h"}), 1.0)
    again = rtp(1, 3000, b"\0\2" + DELTA, payload_type=103, ssrc=17, marker=True, extensions={11: b"h"})
    one.receive_rtp(again, 1.1)
    assert len(one.frames()) == 2


def test_another_source_of_the_same_track_only_after_silence() -> None:
    one = receiver()
    one.receive_rtp(rtp(1, 0, KEY, ssrc=1, marker=True), 1.0)
    one.receive_rtp(rtp(1, 0, KEY, ssrc=2, marker=True), 1.1)
    assert len(one.frames()) == 1
    one.receive_rtp(rtp(2, 0, KEY, ssrc=2, marker=True), 1.7)
    assert len(one.frames()) == 1


def test_arrivals_are_told_ten_times_a_second() -> None:
    one = receiver()
    for number in range(100):
        now = 1.0 + number * 0.01
        one.receive_rtp(rtp(number, number * 900, KEY, extensions={3: number.to_bytes(2, "big")}), now)
        one.tick(now)
    feedback = [data for data in one.data_to_send() if data[0] & 31 == 15 and data[1] == 205]
    assert 9 <= len(feedback) <= 11


def test_estimates_where_nothing_else_is_understood() -> None:
    text = VIDEO.replace("transport-cc", "goog-remb")
    one = receiver(offer(text))
    one.receive_rtp(rtp(1, 0, KEY, marker=True), 1.0)
    one.tick(1.0)
    assert any(packet.fmt == 15 for packet in sent(one) if isinstance(packet, other.RtcpPsfbPacket))


def test_reports() -> None:
    one = receiver()
    one.receive_rtp(rtp(65_535, 0, KEY, marker=True), 1.0)
    one.receive_rtcp(
        bytes(
            other.RtcpSrPacket(
                ssrc=1,
                sender_info=other.RtcpSenderInfo(
                    ntp_timestamp=0x1234567890ABCDEF, rtp_timestamp=0, packet_count=1, octet_count=1
                ),
            )
        ),
        1.5,
    )
    one.tick(1.5)
    one.receive_rtp(rtp(1, 0, DELTA, marker=True), 2.0)
    one.tick(2.3)
    one.tick(2.6)
    (first, last) = [packet for packet in sent(one) if isinstance(packet, other.RtcpRrPacket) and packet.reports]
    assert first.reports[0].lsr == 0x567890AB
    assert last.reports[0].packets_lost == 1
    assert last.reports[0].fraction_lost == 128
    assert last.reports[0].highest_sequence & 0xFFFF == 1


def test_goodbye_of_every_source_ends() -> None:
    one = receiver()
    one.receive_rtp(rtp(1, 0, KEY, marker=True), 1.0)
    one.receive_rtp(rtp(1, 0, b"\xfcx", payload_type=111, ssrc=5), 1.0)
    one.receive_rtcp(bytes(other.RtcpByePacket(sources=[1])), 2.0)
    assert not one.has_ended(9.0)
    one.receive_rtcp(bytes(other.RtcpByePacket(sources=[5])), 2.0)
    assert not one.has_ended(3.0)
    assert one.has_ended(9.0)
    one.receive_rtp(rtp(2, 3000, DELTA, marker=True), 8.5)
    assert not one.has_ended(9.0)


def test_dropped_downstream() -> None:
    one = receiver()
    one.receive_rtp(rtp(1, 0, KEY, marker=True), 1.0)
    one.data_to_send()
    one.ask_for_keys(2.5)
    assert plis(one) == [1]
    one.frames()
    one.receive_rtp(rtp(2, 3000, DELTA, marker=True), 2.6)
    assert one.frames() == []


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(90, 115), st.integers(0, 0xFFFF), st.binary(max_size=20)))
)
def test_any_packets(packets: list[tuple[int, int, int, bytes]]) -> None:
    one = receiver()
    for number, (ssrc, payload_type, sequence, payload) in enumerate(packets):
        now = number * 0.05
        one.receive_rtp(rtp(sequence, number, payload, payload_type=payload_type, ssrc=ssrc), now)
        one.receive_rtp(payload, now)
        one.receive_rtcp(payload, now)
        one.tick(now)
    assert len(one._sources) <= 16
    assert all(len(data) < 1200 for data in one.data_to_send() if data[0] & 31 != rtcp.TRANSPORT_WIDE)
