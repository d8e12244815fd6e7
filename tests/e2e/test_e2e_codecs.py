"""What players cannot play is made anew: VP8 and Opus by Enhanced RTMP become H.264 and AAC."""

import asyncio
from fractions import Fraction

import pytest

from tests.e2e.e2e_checks import assert_nothing_missing, assert_playlists_honest, assert_steps
from tests.e2e.e2e_node import Node
from tests.media_tools.clips import RATE
from tests.media_tools.enhanced import publish, vp8_and_opus
from tests.media_tools.frames import pictures, sound
from tests.media_tools.hls_client import HlsRecorder

pytestmark = pytest.mark.e2e

SECONDS = 8
SKEW_S = 0.04
STAMP = Fraction(1, 1000)  # VP8 does not say its frame rate: until it is learnt, times are the stamps'


async def test_vp8_and_opus_reach_viewers_as_h264_and_aac(node: Node) -> None:
    channel = node.channel("enhanced")
    tags = await asyncio.to_thread(vp8_and_opus, SECONDS)
    sending = asyncio.ensure_future(publish(channel.publish_url, tags))
    async with HlsRecorder(node.hls(channel)) as recorder:
        await recorder.start()
        await recorder.wait_over(60)
        await sending
    assert set(recorder.tracks) == {"720p", "480p", "360p", "aac"}, "no source, no Opus"
    assert_playlists_honest(recorder.tracks.values())
    assert_nothing_missing(recorder)
    heard = sound(recorder.tracks["aac"])
    assert not heard.holes
    assert len(heard.beeps) == SECONDS
    for name in ("720p", "480p", "360p"):
        shown = pictures(recorder.tracks[name])
        assert [picture.number for picture in shown] == list(range(SECONDS * RATE))
        assert_steps(name, shown, tolerance=STAMP)
        flashes = [float(picture.at) for picture in shown if picture.flash]
        assert max(min(abs(beep - flash) for flash in flashes) for beep in heard.beeps) < SKEW_S
