"""Two encoders for one channel on a real node: the one on the air is killed, and nobody notices."""

import json
import time

import pytest

from tests.e2e.e2e_checks import (
    VIDEO,
    assert_every_picture,
    assert_in_step,
    assert_nothing_missing,
    assert_playlists_honest,
)
from tests.e2e.e2e_node import Channel, Node
from tests.media_tools.clips import ClipMaker
from tests.media_tools.hls_client import HlsRecorder
from tests.media_tools.publisher import Publisher

pytestmark = pytest.mark.e2e


def standby_url(node: Node, channel: Channel) -> str:
    """Where the channel's second encoder publishes to."""
    made = json.loads(node.command("channel", "add-key", channel.name, "--standby", "--json"))
    return f"{made['rtmp_url']}/{made['stream_key']}"


async def test_every_picture_once_when_the_primary_is_killed(node: Node, clips: ClipMaker) -> None:
    clip = clips.clip(18)
    channel = node.channel("spare")
    spare_url = standby_url(node, channel)
    with Publisher(clip, channel.publish_url) as primary, Publisher(clip, spare_url):
        async with HlsRecorder(node.hls(channel)) as recorder:
            await recorder.start()
            await recorder.wait_for(5, 20)
            killed = time.monotonic()
            primary.kill()
            await recorder.wait_over(40)
    waits = {name: round(track.longest_wait(killed), 2) for name, track in recorder.tracks.items()}
    print(f"longest time without a new part after the kill: {waits}")
    assert_playlists_honest(recorder.tracks.values())
    assert_nothing_missing(recorder)
    for name in VIDEO:
        assert_every_picture(recorder.tracks[name], 0, clip.frames - 1)
    assert_in_step(recorder)
    assert max(waits.values()) < 1.5
