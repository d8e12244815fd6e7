"""H.264 and AAC configurations and framings."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.protocols.codecs import aac, avc
from edge.protocols.codecs.avc_sps import parse_sps, unescape
from edge.protocols.codecs.bits import CodecError

HIGH = bytes.fromhex("01640028ffe1001967640028acd940780227e5c38400000fa40003a9803c60c65801000668ebe3cb22c0fdf8f800")
BASELINE = bytes.fromhex("0142c01effe100196742c01ed900a02ff970110000030001000003003c0f162e4801000568cb83cb20")
nals = st.lists(st.binary(min_size=1, max_size=30).filter(lambda nal: nal[-1] != 0), min_size=1, max_size=5)


def test_high_profile() -> None:
    config = avc.parse_config(HIGH)
    picture = config.picture()
    assert config.rfc6381() == "avc1.640028"
    assert (picture.width, picture.height) == (1920, 1080)
    assert picture.sample_aspect == (4, 3)
    assert picture.frame_rate == (30000, 1001)
    assert config.encode() == HIGH


def test_baseline() -> None:
    config = avc.parse_config(BASELINE)
    assert config.rfc6381() == "avc1.42c01e"
    assert config.picture().width == 640
    assert config.picture().frame_rate == (30, 1)
    assert config.encode() == BASELINE


def test_annexb_in_place_of_the_record() -> None:
    config = avc.parse_config(BASELINE)
    stream = b"\0\0\0\1" + config.sps[0] + b"\0\0\1" + config.pps[0]
    assert avc.parse_config(stream) == config


def test_record_without_parameter_sets() -> None:
    config = avc.parse_config(bytes([1, 66, 0, 30, 0xFF, 0xE0, 0]))
    assert config.sps == ()
    with pytest.raises(CodecError):
        config.picture()


def test_damaged_sps_keeps_what_comes_before_a_short_vui() -> None:
    sps = avc.parse_config(HIGH).sps[0]
    assert parse_sps(sps[:-8]).width == 1920


@given(st.binary(max_size=80))
def test_any_bytes(data: bytes) -> None:
    for parse in (avc.parse_config, parse_sps, aac.parse_config):
        with contextlib.suppress(CodecError):
            parse(data)
    with contextlib.suppress(CodecError):
        list(avc.iter_nals(data, 4))
    avc.split_annexb(data)


@given(st.binary(max_size=60))
def test_any_sps(data: bytes) -> None:
    with contextlib.suppress(CodecError):
        parse_sps(b"\x67" + data)


@given(nals)
def test_framing_round_trip(units: list[bytes]) -> None:
    framed = avc.join_avcc(units)
    assert [bytes(nal) for nal in avc.iter_nals(framed, 4)] == units
    if not any(b"\0\0" in nal for nal in units):
        assert [bytes(nal) for nal in avc.split_annexb(b"".join(b"\0\0\0\1" + nal for nal in units))] == units


def test_three_byte_start_code_is_also_a_length() -> None:
    nal = b"\x65" + bytes(range(1, 200)) + b"\xff" * 100
    assert not avc.is_annexb(avc.join_avcc([nal]))
    assert avc.is_annexb(b"\0\0\0\1" + nal)


def test_unescape() -> None:
    assert unescape(b"\1\0\0\3\1\0\0\3") == b"\1\0\0\1\0\0"


@pytest.mark.parametrize("rate", [48000, 44100, 8000])
def test_aac_round_trip(rate: int) -> None:
    config = aac.parse_config(aac.build_config(rate, 2))
    assert (config.sample_rate, config.channels, config.frame_samples) == (rate, 2, 1024)
    assert config.rfc6381() == "mp4a.40.2"


def test_he_aac_counts_in_core_samples() -> None:
    config = aac.parse_config(bytes.fromhex("2b920800"))
    assert config.object_type == 2
    assert config.extension == 5
    assert config.sample_rate == 22050
    assert config.rfc6381() == "mp4a.40.5"


@pytest.mark.parametrize(
    ("told", "config", "heard"),
    [
        ("nothing of the extension", "1310", (24_000, 2)),
        ("hierarchical", "2b118800", (48_000, 2)),
        ("behind what older decoders read", "131056e598", (48_000, 2)),
        ("hierarchical, parametric stereo", "eb098800", (48_000, 2)),
        ("parametric stereo behind", "130856e59d4880", (48_000, 2)),
        ("mono", "130856e598", (48_000, 1)),
    ],
)
def test_what_is_heard_of_he_aac(told: str, config: str, heard: tuple[int, int]) -> None:
    found = aac.parse_config(bytes.fromhex(config))
    assert (found.heard_rate, found.heard_channels) == heard, told
    assert (found.object_type, found.sample_rate) == (2, 24_000)


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff\xff\xff\xff\xff\xff\xff"])
def test_aac_refused(data: bytes) -> None:
    with pytest.raises(CodecError):
        aac.parse_config(data)


def test_whether_pictures_may_be_fields() -> None:
    fields = "01640015ffe1001a67640015acd941410fcb808800000300080000030190f8a14cb001000668fba3cb22c0fdf8f800"
    frames = "01640028ffe1001967640028acb403c0113f2e0220000003002000000781e3065401000468ef3cb0fdf8f800"
    found = avc.parse_config(bytes.fromhex(fields)).picture()
    assert (found.interlaced, found.width, found.height) == (True, 320, 240)
    assert not avc.parse_config(bytes.fromhex(frames)).picture().interlaced
