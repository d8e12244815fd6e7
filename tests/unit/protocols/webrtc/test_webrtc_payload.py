"""What we packetize, an independent reader and our own put together again."""

from aiortc.codecs.h264 import H264PayloadDescriptor
from hypothesis import given
from hypothesis import strategies as st

from edge.protocols.webrtc.depayload.h264 import H264Depayloader
from edge.protocols.webrtc.payload import MOST_BYTES, packetize_h264
from edge.protocols.webrtc.rtp import parse_packet
from edge.protocols.webrtc.sender import RtpSender, StreamForm

FORM = StreamForm(ssrc=1, payload_type=96, clock_rate=90_000, send_time_id=2)


def nal_units() -> st.SearchStrategy[list[bytes]]:
    header = st.builds(lambda importance, kind: importance << 5 | kind, st.integers(0, 3), st.integers(1, 12))
    size = st.one_of(st.integers(1, 60), st.integers(MOST_BYTES - 5, MOST_BYTES + 5), st.integers(1, 9_000))
    unit = st.builds(lambda first, count: bytes([first]) + bytes([count & 0xFF]) * count, header, size)
    return st.lists(unit, min_size=1, max_size=12)


@given(nal_units())
def test_put_together_it_is_what_it_was(nals: list[bytes]) -> None:
    payloads = packetize_h264(nals)
    assert max(map(len, payloads)) <= MOST_BYTES
    sender = RtpSender(FORM, sequence=65_530, rtx_sequence=0, offset=0)
    packets = sender.packetize(payloads, 9000, 0.0, ends_frame=True)
    reader, frames = H264Depayloader(), []
    for packet in packets:
        frames += reader.push(parse_packet(packet, 0.0))
    assert [frame.pieces for frame in frames] == [tuple(nals)]
    assert not frames[0].damaged
    assert frames[0].key == any(nal[0] & 0x1F == 5 for nal in nals)


@given(nal_units())
def test_an_independent_reader_agrees(nals: list[bytes]) -> None:
    found = b"".join(H264PayloadDescriptor.parse(payload)[1] for payload in packetize_h264(nals))
    assert found == b"".join(b"\0\0\0\1" + nal for nal in nals)


def test_parameter_sets_travel_together() -> None:
    payloads = packetize_h264([b"\x67sps", b"\x68pps", b"\x65" + bytes(3_000)])
    assert payloads[0][0] & 0x1F == 24
    assert [payload[0] & 0x1F for payload in payloads[1:]] == [28, 28, 28]
    assert len({len(payload) for payload in payloads[1:-1]}) == 1
