"""Payloads of each codec to frames; damage marks, it never raises."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from webrtc_bytes import rtp

from edge.protocols.codecs import av1
from edge.protocols.webrtc.depayload import DEPAYLOADERS, Depayloader, Frame
from edge.protocols.webrtc.depayload.opus import silence_like
from edge.protocols.webrtc.rtp import parse_packet

SPS, PPS, IDR, SLICE = b"\x67\x42\xe0\x1f", b"\x68\xce", b"\x65" + b"i" * 3000, b"\x41" + b"s" * 50


def frames(
    depayloader: Depayloader, payloads: list[bytes], timestamp: int = 0, *, lost: int = -1, marker: bool = True
) -> list[Frame]:
    """Pushes the payloads of one frame; the one of index `lost` does not arrive."""
    out: list[Frame] = []
    after_loss = False
    for number, payload in enumerate(payloads):
        if number == lost:
            after_loss = True
            continue
        last = marker and number == len(payloads) - 1
        packet = parse_packet(rtp(number, timestamp, payload, marker=last), float(number))
        out += depayloader.push(packet, after_loss)
        after_loss = False
    return out


def fragments(nal: bytes, size: int = 1000) -> list[bytes]:
    """FU-A of an H.264 NAL unit."""
    pieces = [nal[at : at + size] for at in range(1, len(nal), size)]
    return [
        bytes([nal[0] & 0xE0 | 28, nal[0] & 31 | (number == 0) << 7 | (number == len(pieces) - 1) << 6]) + piece
        for number, piece in enumerate(pieces)
    ]


def aggregate(*nals: bytes) -> bytes:
    """STAP-A."""
    return b"\x78" + b"".join(len(nal).to_bytes(2, "big") + nal for nal in nals)


def test_h264() -> None:
    one = DEPAYLOADERS["h264"]()
    (frame,) = frames(one, [aggregate(SPS, PPS), *fragments(IDR)], 3000)
    assert frame.pieces == (SPS, PPS, IDR)
    assert frame.key
    assert not frame.damaged
    assert frame.at == 0.0
    (frame,) = frames(one, [SLICE], 6000)
    assert frame.pieces == (SLICE,)
    assert not frame.key
    assert not frame.damaged


def test_a_lost_fragment_damages_its_frame() -> None:
    payloads = [aggregate(SPS, PPS), *fragments(IDR)]
    for lost in range(1, len(payloads) - 1):
        out = frames(DEPAYLOADERS["h264"](), payloads, 1, lost=lost)
        assert all(frame.damaged for frame in out)


def test_what_follows_a_loss_is_damaged_unless_it_is_a_whole_key_frame() -> None:
    one = DEPAYLOADERS["h264"]()
    packet = parse_packet(rtp(5, 100, SLICE, marker=True), 0.0)
    assert [frame.damaged for frame in one.push(packet, True)] == [True]
    packet = parse_packet(rtp(9, 200, aggregate(SPS, PPS, b"\x65x"), marker=True), 0.0)
    assert [(frame.key, frame.damaged) for frame in one.push(packet, True)] == [(True, False)]
    packet = parse_packet(rtp(12, 300, b"\x65x", marker=True), 0.0)
    assert [frame.damaged for frame in one.push(packet, True)] == [True]  # its beginning may be missing


def test_a_frame_without_a_marker_ends_with_the_next() -> None:
    one = DEPAYLOADERS["h264"]()
    assert frames(one, [SLICE, SLICE], 1, marker=False) == []
    out = frames(one, [SLICE], 2)
    assert [len(frame.pieces) for frame in out] == [2, 1]
    assert not any(frame.damaged for frame in out)


def test_padding_is_nothing() -> None:
    assert frames(DEPAYLOADERS["h264"](), [b""], 1) == []


def test_hevc() -> None:
    vps, sps, idr = b"\x40\x01v", b"\x42\x01s", b"\x26\x01" + b"i" * 2500
    pieces = [idr[at : at + 1000] for at in range(2, len(idr), 1000)]
    payloads = [b"\x60\x01" + b"".join(len(nal).to_bytes(2, "big") + nal for nal in (vps, sps))]
    payloads += [
        b"\x62\x01" + bytes([19 | (number == 0) << 7 | (number == len(pieces) - 1) << 6]) + piece
        for number, piece in enumerate(pieces)
    ]
    (frame,) = frames(DEPAYLOADERS["h265"](), payloads)
    assert frame.pieces == (vps, sps, idr)
    assert frame.key
    assert not frame.damaged


def test_vp8() -> None:
    key = b"\x10\x02\x00\x9d\x01\x2a\x80\x02\x68\x01" + b"k" * 20
    one = DEPAYLOADERS["vp8"]()
    (frame,) = frames(one, [b"\x90\x80\x81\x23" + key[:15], b"\x80\x80\x81\x23" + key[15:]], 1)
    assert frame.pieces == (key,)
    assert frame.key
    assert not frame.damaged
    (frame,) = frames(one, [b"\x10\x11rest"], 2)
    assert not frame.key
    assert frames(DEPAYLOADERS["vp8"](), [b"\x00rest"], 3) == []


def test_vp9_with_one_layer() -> None:
    one = DEPAYLOADERS["vp9"]()
    structure = b"\x18\x02\x80\x01\x68\x01\x00"  # one layer, 640x360; one picture in its group
    (frame,) = frames(one, [b"\x8a\x80\x01" + structure + b"key1", b"\x84\x80\x01key2"], 1)
    assert frame.pieces == (b"key1key2",)
    assert frame.key
    (frame,) = frames(one, [b"\xcc\x80\x02inter"], 2)
    assert frame.pieces == (b"inter",)
    assert not frame.key


def test_vp9_layers_become_a_superframe() -> None:
    lower, upper = b"\xac\x01\x00\x01" + b"low", b"\xec\x01\x02\x01" + b"upper"
    (frame,) = frames(DEPAYLOADERS["vp9"](), [lower, upper])
    assert frame.key
    assert frame.pieces[0][:8] == b"lowupper"
    index = frame.pieces[0][8:]
    assert index[0] == index[-1] == 0xD9
    assert [int.from_bytes(index[at : at + 4], "little") for at in (1, 5)] == [3, 5]


def test_vp9_flexible_mode() -> None:
    (frame,) = frames(DEPAYLOADERS["vp9"](), [b"\xdc\x05\x03\x02frame"])
    assert frame.pieces == (b"frame",)


def test_av1() -> None:
    sequence, picture = b"\x08" + b"q" * 10, b"\x30" + b"p" * 40
    first = b"\x68" + bytes([len(sequence)]) + sequence + picture[:20]
    second = b"\x90" + picture[20:]
    (frame,) = frames(DEPAYLOADERS["av1"](), [first, second])
    assert frame.pieces == (sequence, picture)
    assert frame.key
    assert not frame.damaged
    assert [unit.kind for unit in av1.iter_obus(av1.join_obus(frame.pieces))] == [1, 6]
    assert all(one.damaged for one in frames(DEPAYLOADERS["av1"](), [first, second, second], lost=0))


def test_opus() -> None:
    one = DEPAYLOADERS["opus"]()
    out = one.push(parse_packet(rtp(1, 960, b"\xfc123"), 3.0), True)
    assert out == [Frame(960, (b"\xfc123",), True, False, 3.0)]
    assert silence_like(b"\x0c") == b"\xfc\xff\xfe"
    assert silence_like(b"\x08") == b"\xf8\xff\xfe"


@pytest.mark.parametrize("codec", sorted(DEPAYLOADERS))
@given(
    payloads=st.lists(
        st.tuples(st.binary(max_size=40), st.booleans(), st.booleans(), st.integers(0, 3)), max_size=30
    )
)
def test_any_payloads(codec: str, payloads: list[tuple[bytes, bool, bool, int]]) -> None:
    one = DEPAYLOADERS[codec]()
    for number, (payload, marker, after_loss, timestamp) in enumerate(payloads):
        for frame in one.push(parse_packet(rtp(number, timestamp, payload, marker=marker), 0.0), after_loss):
            assert frame.pieces
            assert all(frame.pieces) or codec in ("vp8", "vp9")


def test_a_frame_without_end_is_bounded() -> None:
    one = DEPAYLOADERS["h264"]()
    start, more = b"\x7c\x85" + b"x" * 60_000, b"\x7c\x05" + b"x" * 60_000
    for number, payload in enumerate(itertools.chain([start], itertools.repeat(more, 300))):
        one.push(parse_packet(rtp(number, 1, payload), 0.0))
        assert one._size <= (8 << 20) + 70_000
