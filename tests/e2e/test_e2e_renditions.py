"""What is published is what is played: every picture, every rendition, sound in step."""

import pytest

from tests.e2e.e2e_checks import (
    VIDEO,
    assert_every_picture,
    assert_in_step,
    assert_nothing_missing,
    assert_playlists_honest,
    assert_same_segments,
)
from tests.e2e.e2e_node import Node
from tests.media_tools.clips import ClipMaker
from tests.media_tools.frames import pictures, sound
from tests.media_tools.hls_client import HlsRecorder
from tests.media_tools.publisher import Publisher

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(("seconds", "b_frames"), [(12, 0), (6, 2)])
async def test_each_picture_once_in_every_rendition(
    node: Node, clips: ClipMaker, seconds: int, b_frames: int
) -> None:
    clip = clips.clip(seconds, b_frames=b_frames)
    channel = node.channel("whole")
    with Publisher(clip, channel.publish_url):
        async with HlsRecorder(node.hls(channel)) as recorder:
            await recorder.start()
            await recorder.wait_over(40)
    assert set(recorder.tracks) == {*VIDEO, "audio"}
    assert_playlists_honest(recorder.tracks.values())
    assert_nothing_missing(recorder)
    assert_same_segments(recorder)
    for name in VIDEO:
        assert_every_picture(recorder.tracks[name], 0, clip.frames - 1)
    heard = sound(recorder.tracks["audio"])
    assert not heard.holes
    assert abs(float(heard.end - heard.start) - clip.seconds) < 0.1
    assert len(heard.beeps) == clip.seconds
    print(f"largest skew {assert_in_step(recorder) * 1000:.0f} ms")


@pytest.mark.parametrize("bits", [pytest.param(31, marks=pytest.mark.slow), 32])
async def test_stamps_that_wrap(node: Node, clips: ClipMaker, bits: int) -> None:
    """A publisher of weeks: its millisecond stamps begin anew in the middle of the broadcast."""
    clip = clips.clip(8)
    channel = node.channel(f"wraps{bits}-")
    with Publisher(clip, channel.publish_url, first_stamp_s=2**bits / 1000 - 3):
        async with HlsRecorder(node.hls(channel)) as recorder:
            await recorder.start()
            await recorder.wait_over(40)
    assert_playlists_honest(recorder.tracks.values())
    assert_nothing_missing(recorder)
    for name in VIDEO:
        assert_every_picture(recorder.tracks[name], 0, clip.frames - 1)
    assert_in_step(recorder)


async def test_sound_only(node: Node, clips: ClipMaker) -> None:
    clip = clips.clip(7, video=False)
    channel = node.channel("sound")
    with Publisher(clip, channel.publish_url):
        async with HlsRecorder(node.hls(channel)) as recorder:
            await recorder.start()
            await recorder.wait_for(2, 20)
            seen = await recorder.meanwhile(node.broadcast, channel)
            await recorder.wait_over(30)
    assert set(recorder.tracks) == {"audio"}
    assert seen is not None
    assert [problem["code"] for problem in seen["problems"]] == ["no_video"]
    assert_playlists_honest(recorder.tracks.values())
    assert_nothing_missing(recorder)
    heard = sound(recorder.tracks["audio"])
    assert not heard.holes
    assert len(heard.beeps) == clip.seconds


async def test_picture_only(node: Node, clips: ClipMaker) -> None:
    clip = clips.clip(7, audio=False)
    channel = node.channel("picture")
    with Publisher(clip, channel.publish_url):
        async with HlsRecorder(node.hls(channel)) as recorder:
            await recorder.start()
            await recorder.wait_for(2, 20)
            seen = await recorder.meanwhile(node.broadcast, channel)
            await recorder.wait_over(30)
    assert set(recorder.tracks) == set(VIDEO)
    assert seen is not None
    assert [problem["code"] for problem in seen["problems"]] == ["no_audio"]
    assert_playlists_honest(recorder.tracks.values())
    assert_nothing_missing(recorder)
    for name in VIDEO:
        assert_every_picture(recorder.tracks[name], 0, clip.frames - 1)


@pytest.mark.slow
async def test_two_channels_do_not_mix(node: Node, clips: ClipMaker) -> None:
    clip = clips.clip(8)
    one, other = node.channel("left"), node.channel("right")
    with Publisher(clip, one.publish_url), Publisher(clip, other.publish_url, skip_s=2.5):
        async with HlsRecorder(node.hls(one)) as left, HlsRecorder(node.hls(other)) as right:
            await left.start()
            await right.start()
            await left.wait_over(40)
            await right.wait_over(40)
    assert left.broadcast != right.broadcast
    for name in VIDEO:
        assert_every_picture(left.tracks[name], 0, clip.frames - 1)
        assert pictures(right.tracks[name])[0].number == 60
        assert_every_picture(right.tracks[name], 60, clip.frames - 1)
