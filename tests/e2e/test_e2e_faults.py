"""kill -9 of each role while somebody watches."""

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
from tests.media_tools.hls_client import HlsRecorder
from tests.media_tools.publisher import Publisher

pytestmark = pytest.mark.e2e


async def test_transcoder_killed(victim: Node, clips: ClipMaker) -> None:
    clip = clips.clip(15)
    channel = victim.channel("transcode")
    with Publisher(clip, channel.publish_url):
        async with HlsRecorder(victim.hls(channel)) as recorder:
            await recorder.start()
            await recorder.wait_for(5, 20)
            killed = victim.kill("transcode")
            await recorder.wait_over(40)
    victim.wait_ready(15, restarted="transcode")
    assert_playlists_honest(recorder.tracks.values())
    assert_nothing_missing(recorder)
    assert_same_segments(recorder)
    for name in VIDEO:
        assert_every_picture(recorder.tracks[name], 0, clip.frames - 1)
    waits = {name: recorder.tracks[name].longest_wait(killed) for name in VIDEO}
    print("longest time without a new part after the kill:", {name: round(s, 2) for name, s in waits.items()})
    assert waits["source"] < 1.0
    assert max(waits.values()) < 3.0
