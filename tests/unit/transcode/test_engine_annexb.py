"""Access units out of a byte stream, however it is cut into reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.protocols.codecs.avc import iter_nals, parse_config
from edge.transcode.engines.annexb import AccessUnitSplitter, Repackager, same_sets
from edge.transcode.engines.base import EngineError

START, LONG = b"\0\0\1", b"\0\0\0\1"
AUD, SPS, PPS = b"\x09\xf0", b"\x67\x64\x00\x0d\xac", b"\x68\xef\x3c\xb0"
IDR, SLICE, SEI, FILLER = b"\x65\x88\x84", b"\x41\x9a\x02", b"\x06\x05\x01", b"\x0c\xff\xff"


def stream(*units: tuple[bytes, ...]) -> list[bytes]:
    """Access units, each with a delimiter in front."""
    return [LONG + AUD + b"".join(START + nal for nal in unit) for unit in units]


payloads = st.binary(min_size=1, max_size=60).map(lambda data: data.replace(b"\0", b"\1"))
nals = st.builds(lambda kind, body: bytes([kind]) + body, st.sampled_from([0x65, 0x41, 0x06, 0x67, 0x68]), payloads)
units = st.lists(st.lists(nals, min_size=1, max_size=4).map(tuple), min_size=1, max_size=8)


@given(units, st.data())
def test_any_cut_of_the_stream_gives_the_same_access_units(
    said: list[tuple[bytes, ...]], data: st.DataObject
) -> None:
    expected = stream(*said)
    whole = b"".join(expected)
    splitter, found, at = AccessUnitSplitter(), [], 0
    while at < len(whole):
        size = data.draw(st.integers(1, len(whole)))
        found += splitter.feed(whole[at : at + size])
        at += size
    assert len(found) == len(expected) - 1, "the last one may go on"
    found += splitter.finish()
    assert [unit.strip(b"\0") for unit in found] == [unit.strip(b"\0") for unit in expected]
    assert splitter.finish() == []


@given(st.binary(max_size=400), st.integers(1, 40))
def test_any_bytes_are_split_or_refused(data: bytes, size: int) -> None:
    splitter = AccessUnitSplitter()
    try:
        found = [unit for at in range(0, len(data), size) for unit in splitter.feed(data[at : at + size])]
    except EngineError:
        return
    assert b"".join(found) in data


@given(st.lists(st.sampled_from([AUD, SPS, PPS, IDR, SLICE, SEI, FILLER]), max_size=8))
def test_any_access_unit_is_repackaged_or_refused(said: list[bytes]) -> None:
    repackager = Repackager(LONG + SPS + LONG + PPS)
    try:
        key, media = repackager.unit(b"".join(START + nal for nal in said))
    except EngineError:
        assert not {IDR, SLICE} & set(said)
        return
    assert key == (IDR in said)
    assert [bytes(nal) for nal in iter_nals(media, 4)] == [nal for nal in said if nal in (IDR, SLICE, SEI)]


def test_parameter_sets_move_to_the_configuration() -> None:
    repackager = Repackager()
    assert repackager.config == b""
    assert repackager.unit(stream((SPS, PPS, IDR))[0]) == (True, b"\0\0\0\3" + IDR)
    assert parse_config(repackager.config).sps == (SPS,)
    assert parse_config(repackager.config).pps == (PPS,)
    assert repackager.unit(stream((SPS, PPS, SEI, IDR))[0])[0], "the same ones again"
    with pytest.raises(EngineError, match="changed"):
        repackager.unit(stream((SPS + b"\1", PPS, IDR))[0])


def test_what_is_no_stream_of_an_encoder() -> None:
    with pytest.raises(EngineError, match="does not begin"):
        AccessUnitSplitter().feed(b"Unknown encoder" + LONG + AUD)
    with pytest.raises(EngineError, match="more than"):
        AccessUnitSplitter().feed(bytes(9 << 20))
    with pytest.raises(EngineError, match="parameter sets"):
        Repackager(b"\1\2\3")
    with pytest.raises(EngineError, match="parameter sets"):
        Repackager().unit(stream((PPS, IDR))[0])


def test_a_configuration_may_leave_out_what_its_profile_does_not_need() -> None:
    repackager = Repackager(LONG + SPS + LONG + PPS)
    assert same_sets(repackager.config, repackager.config[:-4])
    assert not same_sets(repackager.config, Repackager(LONG + SPS + b"\1" + LONG + PPS).config)
