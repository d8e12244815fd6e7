"""What is published is what is played: every picture, every rendition, sound in step."""

import pytest

from tests.e2e.e2e_checks import (
    VIDEO,
    assert_every_picture,
    assert_nothing_missing,
    assert_playlists_honest,
    assert_same_segments,
)
from tests.e2e.e2e_node import Node
from tests.media_tools.clips import ClipMaker
from tests.media_tools.frames import sound
from tests.media_tools.hls_client import HlsRecorder
from tests.media_tools.publisher import Publisher

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("b_frames", [0, 2])
async def test_each_picture_once_in_every_rendition(node: Node, clips: ClipMaker, b_frames: int) -> None:
    clip = clips.clip(15, b_frames=b_frames)
    channel = node.channel("whole")
    with Publisher(clip, channel.publish_url):
        async with HlsRecorder(node.hls(channel)) as recorder:
            await recorder.start()
            await recorder.wait_over(40)
    assert set(recorder.tracks) == {*VIDEO, "audio"}
    assert_playlists_honest(recorder.tracks.values())
    assert_nothing_missing(recorder)
    assert_same_segments(recorder)
    heard = sound(recorder.tracks["audio"])
    assert not heard.holes
    assert abs(float(heard.end - heard.start) - clip.seconds) < 0.1
    assert len(heard.beeps) == clip.seconds
    for name in VIDEO:
        shown = assert_every_picture(recorder.tracks[name], 0, clip.frames - 1)
        flashes = [float(one.at) for one in shown if one.flash]
        skews = [abs(beep - flash) for beep, flash in zip(heard.beeps, flashes, strict=True)]
        print(f"{name}: largest skew {max(skews) * 1000:.0f} ms")
        assert max(skews) < 0.08, f"{name}: skews {skews}"
