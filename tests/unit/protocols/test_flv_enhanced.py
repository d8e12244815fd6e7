"""Enhanced RTMP v2 tag bodies: multitrack, ModEx, metadata, and the writer."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.protocols import amf
from edge.protocols.codecs import hevc
from edge.protocols.flv import (
    AudioTag,
    FlvError,
    TagKind,
    VideoTag,
    audio_tag,
    parse_audio,
    parse_video,
    spoken,
    video_tag,
)
from edge.protocols.flv.tags import MAX_TRACKS
from tests.media_tools import encoded

kinds = st.sampled_from([TagKind.CONFIG, TagKind.FRAME, TagKind.END])
video_codecs = st.sampled_from(["avc1", "hvc1", "av01", "vp09", "vp08"])
audio_codecs = st.sampled_from(["mp4a", "Opus", "fLaC", "ac-3", "ec-3"])
times = st.integers(-(1 << 23), (1 << 23) - 1)
tracks, nanos = st.integers(0, 255), st.integers(0, 999_999)


@given(
    video_codecs,
    kinds,
    st.booleans(),
    st.integers(-(1 << 23), (1 << 23) - 1),
    nanos,
    tracks,
    st.binary(max_size=20),
)
def test_video_round_trip(
    codec: str, kind: TagKind, key: bool, cts_ms: int, nano: int, track: int, data: bytes
) -> None:
    timed = codec in ("avc1", "hvc1") and kind is TagKind.FRAME
    cts_ms = cts_ms if timed else 0
    (tag,) = parse_video(video_tag(codec, kind, key=key, cts_ms=cts_ms, nano=nano, track=track, data=data))
    assert tag == VideoTag(codec, kind, key, cts_ms, data, track, nano)


@given(audio_codecs, kinds, nanos, tracks, st.binary(max_size=20))
def test_audio_round_trip(codec: str, kind: TagKind, nano: int, track: int, data: bytes) -> None:
    (tag,) = parse_audio(audio_tag(codec, kind, nano=nano, track=track, data=data))
    assert tag == AudioTag(codec, kind, data, track, nano)


def sized(data: bytes) -> bytes:
    return len(data).to_bytes(3, "big") + data


def test_many_tracks_of_one_codec() -> None:
    body = b"\x96\x11avc1" + b"\0" + sized(b"\0\0\x10one") + b"\2" + sized(b"\0\0\0three")
    assert parse_video(body) == [
        VideoTag("avc1", TagKind.FRAME, True, 16, b"one", 0),
        VideoTag("avc1", TagKind.FRAME, True, 0, b"three", 2),
    ]


def test_many_tracks_of_many_codecs() -> None:
    body = b"\xa6\x21" + b"HVC1\1" + sized(b"\xff\xff\xfeone") + b"av01\2" + sized(b"two")
    assert parse_video(body) == [
        VideoTag("hvc1", TagKind.FRAME, False, -2, b"one", 1),
        VideoTag("av01", TagKind.FRAME, False, 0, b"two", 2),
    ]
    body = b"\x95\x20" + b"mp4a\0" + sized(b"\x11\x90") + b"Opus\1" + sized(b"OpusHead")
    assert parse_audio(body) == [
        AudioTag("mp4a", TagKind.CONFIG, b"\x11\x90", 0),
        AudioTag("Opus", TagKind.CONFIG, b"OpusHead", 1),
    ]


def test_nanoseconds_before_several_tracks() -> None:
    body = b"\x97\x02\x01\x86\xa0\x06" + b"\x13avc1" + b"\0" + sized(b"x") + b"\1" + sized(b"y")
    assert [(tag.nano, tag.track, tag.data) for tag in parse_video(body)] == [
        (100_000, 0, b"x"),
        (100_000, 1, b"y"),
    ]


def test_unknown_and_long_extensions_are_skipped() -> None:
    long = b"\x97\xff\x01\x03" + bytes(260) + b"\xf7" + b"\x02\0\0\x05\x01" + b"avc1\0\0\0x"
    (tag,) = parse_video(long)
    assert (tag.nano, tag.data) == (5, b"x")


def test_colour_information() -> None:
    data = amf.encode(["colorInfo", {"colorConfig": {"bitDepth": 10.0}}])
    (tag,) = parse_video(video_tag("hvc1", TagKind.METADATA, key=True, data=data))
    assert (tag.kind, tag.data) == (TagKind.METADATA, data)
    (tag,) = parse_video(b"\xd4hvc1" + data)  # a command frame of this type has a body
    assert tag.kind is TagKind.METADATA


@pytest.mark.parametrize("body", [b"\xd0\0", b"\xd1\1", b"\x95av01data"])
def test_commands_and_transport_stream_starts_carry_nothing(body: bytes) -> None:
    assert all(tag.kind is TagKind.OTHER for tag in parse_video(body))


@pytest.mark.parametrize(
    "body",
    [
        b"\x96", b"\x96\x11av", b"\x96\x11avc1\0\0\0", b"\x96\x11avc1\0\0\0\x09x", b"\x96\x31avc1\0",
        b"\x96\x16avc1\0", b"\x97\x02\0\0", b"\x97\xff\0", b"\x91avc1\0",
    ],
)  # fmt: skip
def test_cut_off_or_impossible(body: bytes) -> None:
    with pytest.raises(FlvError):
        parse_video(body)


def test_tracks_are_bounded() -> None:
    body = b"\x96\x13avc1" + b"".join(bytes([number]) + sized(b"x") for number in range(MAX_TRACKS + 1))
    with pytest.raises(FlvError):
        parse_video(body)


def test_old_numbers_of_newer_codecs() -> None:
    record = hevc.parse_config(encoded.video("hvc1", 10).extra).encode()
    assert parse_video(b"\x17\0\0\0\0" + record)[0].codec == "hvc1"
    assert parse_video(b"\x1c\0\0\0\0" + record)[0].codec == "hvc1"
    assert parse_video(b"\x1d\1\0\0\x05x")[0] == VideoTag("av01", TagKind.FRAME, True, 5, b"x")
    avc_record = bytes.fromhex("0142c01effe100196742c01ed900a02ff970110000030001000003003c0f162e4801000568cb83cb20")
    assert parse_video(b"\x17\0\0\0\0" + avc_record)[0].codec == "avc1"


def test_names_that_people_use() -> None:
    assert [spoken(codec) for codec in ("hvc1", "ec-3", "Speex")] == ["HEVC", "E-AC-3", "Speex"]


@given(st.integers(0, 255), st.binary(max_size=60))
def test_any_enhanced_bytes(first: int, data: bytes) -> None:
    for parse in (parse_video, parse_audio):
        with contextlib.suppress(FlvError):
            for tag in parse(bytes([first]) + data):
                assert len(tag.data) <= len(data)
                assert 0 <= tag.nano <= 999_999
