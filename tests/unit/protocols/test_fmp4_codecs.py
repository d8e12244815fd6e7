"""Initialisation segment and fragments of every codec, decoded; and the reader of the former."""

import contextlib
import io

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.protocols.codecs import ac3, av1, avc, hevc, vp8, vp9
from edge.protocols.fmp4 import (
    AudioTrack,
    FragmentError,
    InitTrack,
    Sample,
    VideoTrack,
    fragment,
    init_segment,
    read_init,
)
from tests.media_tools import encoded


def video_config(codec: str, stream: encoded.Stream) -> bytes:
    first = stream.units[0].data
    if codec == "avc1":
        return avc.parse_config(stream.extra).encode()
    if codec == "hvc1":
        return hevc.parse_config(stream.extra).encode()
    if codec == "av01":
        return av1.parse_config(stream.extra).encode()
    return vp9.config_from_frame(first) if codec == "vp09" else vp8.config_from_frame(first)


def stored(codec: str, data: bytes) -> bytes:
    if codec in ("avc1", "hvc1"):
        return avc.join_avcc(avc.split_annexb(data))
    return bytes(av1.stored(data)) if codec == "av01" else data


@pytest.mark.parametrize("codec", encoded.VIDEO)
def test_video_is_decoded(codec: str) -> None:
    stream = encoded.video(codec, 10)
    track = VideoTrack(
        entry=codec,
        config=video_config(codec, stream),
        width=128,
        height=96,
        sample_aspect=(4, 3),
        colour=(9, 16, 9, False),
    )
    init = init_segment(track)
    assert read_init(init) == InitTrack(
        entry=codec, config=track.config, timescale=90_000, width=128, height=96, sample_aspect=(4, 3)
    )
    first = min(unit.dts for unit in stream.units)
    shift = max(unit.dts - unit.pts for unit in stream.units)
    samples = [
        Sample((u.dts - first) * 3000, 3000, (u.pts - u.dts + shift) * 3000, u.key, stored(codec, u.data))
        for u in stream.units
    ]
    with av.open(io.BytesIO(init + fragment(1, 1, 0, samples)), format="mp4") as file:
        pictures = list(file.decode(video=0))
        assert len(pictures) == 10
        assert (pictures[0].width, pictures[0].height) == (128, 96)


@pytest.mark.parametrize("codec", encoded.AUDIO)
def test_audio_is_decoded(codec: str) -> None:
    stream = encoded.audio(codec)
    samples = {"mp4a": 1024, "Opus": 960, "fLaC": 4608, ".mp3": 1152}.get(codec, 1536)
    first = stream.units[0].data
    config = ac3.parse_frame(first).specific_box() if codec in ("ac-3", "ec-3") else stream.extra
    track = AudioTrack(entry=codec, config=config, timescale=48_000, channels=2)
    init = init_segment(track)
    assert read_init(init) == InitTrack(
        entry=codec, config=config, timescale=48_000, sample_rate=48_000, channels=2
    )
    data = [Sample(i * samples, samples, 0, True, unit.data) for i, unit in enumerate(stream.units)]
    with av.open(io.BytesIO(init + fragment(1, 1, 0, data)), format="mp4") as file:
        frames = list(file.decode(audio=0))
        assert sum(frame.samples for frame in frames) >= samples * (len(stream.units) - 1)
        assert frames[0].sample_rate == 48_000


def test_entries_that_are_not_known() -> None:
    with pytest.raises(ValueError, match="no sample entry"):
        init_segment(VideoTrack(entry="vvc1", config=b"", width=2, height=2))
    with pytest.raises(ValueError, match="no sample entry"):
        init_segment(AudioTrack(entry="spex", config=b"", timescale=48_000, channels=2))


def test_defaults_are_h264_and_aac() -> None:
    assert read_init(init_segment(VideoTrack(config=b"c", width=2, height=4))).entry == "avc1"
    track = read_init(
        init_segment(AudioTrack(config=b"\x11\x90", timescale=90_000, sample_rate=44_100, channels=1))
    )
    assert (track.entry, track.timescale, track.sample_rate, track.is_video) == ("mp4a", 90_000, 44_100, False)


@given(st.binary(max_size=300))
def test_garbage(data: bytes) -> None:
    with contextlib.suppress(FragmentError):
        read_init(data)


@given(st.data())
def test_damaged(data: st.DataObject) -> None:
    tracks = [
        VideoTrack(config=b"config", width=16, height=16, sample_aspect=(4, 3)),
        AudioTrack(config=b"\x11\x90", timescale=48_000, channels=2),
        AudioTrack(entry="Opus", config=encoded.audio("Opus").extra, timescale=48_000, channels=2),
        AudioTrack(entry="fLaC", config=encoded.audio("fLaC").extra, timescale=48_000, channels=2),
    ]
    whole = bytearray(init_segment(data.draw(st.sampled_from(tracks))))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FragmentError):
        read_init(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
