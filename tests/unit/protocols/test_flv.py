"""FLV tag bodies, legacy and enhanced."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.protocols.flv import FlvError, TagKind, parse_audio, parse_video, raw_aac


@given(st.binary(max_size=40))
def test_any_bytes(data: bytes) -> None:
    for parse in (parse_video, parse_audio):
        with contextlib.suppress(FlvError):
            parse(data)


@pytest.mark.parametrize(
    ("body", "codec", "kind", "key", "cts", "data"),
    [
        (b"\x17\0\0\0\0conf", "avc1", TagKind.CONFIG, True, 0, b"conf"),
        (b"\x27\1\xff\xff\xfbframe", "avc1", TagKind.FRAME, False, -5, b"frame"),
        (b"\x17\2\0\0\0", "avc1", TagKind.END, True, 0, b""),
        (b"\x57\0", "avc1", TagKind.OTHER, False, 0, b""),
        (b"\x1c\1\0\0\0x", "hvc1", TagKind.FRAME, True, 0, b"x"),
        (b"\x12x", "Sorenson H.263", TagKind.FRAME, True, 0, b"x"),
        (b"\x90hvc1conf", "hvc1", TagKind.CONFIG, True, 0, b"conf"),
        (b"\x91avc1\0\0\x10frame", "avc1", TagKind.FRAME, True, 16, b"frame"),
        (b"\xa3avc1frame", "avc1", TagKind.FRAME, False, 0, b"frame"),
        (b"\x91av01frame", "av01", TagKind.FRAME, True, 0, b"frame"),
        (b"\x97\x00m\x01avc1\0\0\x10frame", "avc1", TagKind.FRAME, True, 16, b"frame"),
    ],
)
def test_video(body: bytes, codec: str, kind: TagKind, key: bool, cts: int, data: bytes) -> None:
    (tag,) = parse_video(body)
    assert (tag.codec, tag.kind, tag.key, tag.cts_ms, tag.data) == (codec, kind, key, cts, data)


@pytest.mark.parametrize(
    ("body", "codec", "kind", "data"),
    [
        (b"\xaf\0\x11\x90", "mp4a", TagKind.CONFIG, b"\x11\x90"),
        (b"\xaf\1raw", "mp4a", TagKind.FRAME, b"raw"),
        (b"\x2fx", ".mp3", TagKind.FRAME, b"x"),
        (b"\x90mp4a\x11\x90", "mp4a", TagKind.CONFIG, b"\x11\x90"),
        (b"\x91Opusdata", "Opus", TagKind.FRAME, b"data"),
    ],
)
def test_audio(body: bytes, codec: str, kind: TagKind, data: bytes) -> None:
    (tag,) = parse_audio(body)
    assert (tag.codec, tag.kind, tag.data) == (codec, kind, data)


@pytest.mark.parametrize("body", [b"", b"\x17\1\0", b"\x91av", b"\x97"])
def test_cut_off(body: bytes) -> None:
    with pytest.raises(FlvError):
        parse_video(body)


@given(st.binary(max_size=12), st.sampled_from([b"", b"\xaf\x01", b"\xaf\x00", b"\xaf\x01\xff", b"\x2f"]))
def test_raw_aac_is_what_parsing_finds(data: bytes, begin: bytes) -> None:
    found = raw_aac(begin + data)
    if found:
        (tag,) = parse_audio(begin + data)
        assert (tag.codec, tag.kind, tag.data, tag.track, tag.nano) == ("mp4a", TagKind.FRAME, found, 0, 0)
    elif begin == b"\xaf\x01" and data:
        assert data[0] == 0xFF, "perhaps in ADTS"
