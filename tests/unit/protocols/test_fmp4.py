"""fMP4: what is written is read back, garbage raises the typed error only."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.protocols.fmp4 import (
    AudioTrack,
    FragmentError,
    Sample,
    VideoTrack,
    fragment,
    init_segment,
    read_fragments,
)


@st.composite
def sample_lists(draw: st.DrawFn) -> list[Sample]:
    base = draw(st.integers(0, 1 << 40))
    samples = []
    for _ in range(draw(st.integers(1, 12))):
        duration = draw(st.sampled_from([3000, 3000, 3003, 1]))
        cts = draw(st.sampled_from([0, 0, 6000]))
        samples.append(Sample(base, duration, cts, draw(st.booleans()), draw(st.binary(max_size=40))))
        base += duration
    return samples


@given(sample_lists())
def test_round_trip(samples: list[Sample]) -> None:
    read = read_fragments(fragment(1, 7, samples[0].dts, samples))
    assert len(read) == 1
    assert read[0].sequence == 7
    assert read[0].track_id == 1
    assert read[0].base_dts == samples[0].dts
    assert [sample.replace(data=bytes(sample.data)) for sample in read[0].samples] == samples


def test_concatenated_fragments() -> None:
    first = [Sample(0, 10, 0, True, b"abc")]
    second = [Sample(10, 10, 0, False, b"defg"), Sample(20, 10, 0, False, b"h")]
    data = fragment(1, 1, 0, first) + fragment(1, 2, 10, second)
    assert [len(item.samples) for item in read_fragments(data)] == [1, 2]
    assert bytes(read_fragments(data)[1].samples[1].data) == b"h"


def test_uniform_samples_need_no_rows() -> None:
    uniform = [Sample(i * 10, 10, 0, True, b"xy") for i in range(50)]
    assert len(fragment(1, 1, 0, uniform)) < 50 * 2 + 130


def test_empty_fragment_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        fragment(1, 1, 0, [])


@given(st.binary(max_size=400))
def test_garbage(data: bytes) -> None:
    with contextlib.suppress(FragmentError):
        read_fragments(data)


@given(sample_lists(), st.data())
def test_damaged(samples: list[Sample], data: st.DataObject) -> None:
    whole = bytearray(fragment(1, 1, samples[0].dts, samples))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FragmentError):
        read_fragments(bytes(whole[: data.draw(st.integers(0, len(whole)))]))


def test_sample_count_is_bounded() -> None:
    data = bytearray(fragment(1, 1, 0, [Sample(0, 1, 0, True, b""), Sample(1, 1, 0, True, b"")]))
    at = data.index(b"trun") + 8
    data[at : at + 4] = struct.pack(">I", 0xFFFFFFFF)
    with pytest.raises(FragmentError, match="too many"):
        read_fragments(bytes(data))


def _children(data: bytes, path: list[bytes]) -> bytes:
    for name in path:
        at = 0
        while at < len(data):
            size, kind = struct.unpack_from(">I4s", data, at)
            if kind == name:
                data = data[at + 8 : at + size]
                break
            at += size
        else:
            raise AssertionError(name)
    return data


@pytest.mark.parametrize(
    "track",
    [
        VideoTrack(config=b"\1config", width=1920, height=1080, sample_aspect=(4, 3)),
        AudioTrack(config=b"\x11\x90", timescale=48_000, channels=2),
    ],
)
def test_init_segment(track: VideoTrack | AudioTrack) -> None:
    data = init_segment(track)
    assert data == init_segment(track)
    mdhd = _children(data, [b"moov", b"trak", b"mdia", b"mdhd"])
    assert struct.unpack_from(">I", mdhd, 12)[0] == track.timescale
    assert track.config in _children(data, [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"])
    assert _children(data, [b"moov", b"mvex", b"trex"])
    if isinstance(track, VideoTrack):
        tkhd = _children(data, [b"moov", b"trak", b"tkhd"])
        assert struct.unpack(">II", tkhd[-8:]) == (2560 << 16, 1080 << 16)
        assert b"pasp" in data
