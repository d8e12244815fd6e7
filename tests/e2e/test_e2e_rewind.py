"""Rewinding: everything that was broadcast can be fetched again, whoever was killed meanwhile."""

import asyncio
import io

import aiohttp
import av
import pytest

from edge.protocols.hls import media_parser
from edge.protocols.hls.media import MediaPlaylist
from tests.e2e.e2e_node import Node
from tests.media_tools.clips import ClipMaker, read_number
from tests.media_tools.hls_client import HlsRecorder
from tests.media_tools.publisher import Publisher

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(180)]


async def get(session: aiohttp.ClientSession, url: str) -> bytes:
    async with session.get(url) as answer:
        assert answer.status == 200, (url, answer.status)
        return await answer.read()


async def playlist(session: aiohttp.ClientSession, base: str, file: str = "index.m3u8") -> MediaPlaylist:
    return media_parser.parse(await get(session, f"{base}/{file}"))


async def pictures(session: aiohttp.ClientSession, base: str, found: MediaPlaylist) -> list[int]:
    """The numbers painted on every picture that the playlist lists."""
    uris = [found.segments[0].map_uri, *(segment.uri for segment in found.segments)]
    assert not any(segment.gap for segment in found.segments)
    data = b"".join([await get(session, f"{base}/{uri}") for uri in uris])
    with av.open(io.BytesIO(data), "r") as source:
        return [read_number(frame) for frame in source.decode(video=0)]


async def test_everything_can_be_fetched_again(fresh_node: object, clips: ClipMaker) -> None:
    node: Node = fresh_node(NEARCAST__ORIGIN__WINDOW_S="8", NEARCAST__TRANSCODE__CORES="8")  # type: ignore[operator]
    clip = clips.clip(48)
    channel = node.channel("rewind")
    with Publisher(clip, channel.publish_url):
        async with HlsRecorder(node.hls(channel)) as recorder:
            await recorder.start()
            await recorder.wait_for(16, 40)
            await recorder.meanwhile(node.kill, "recorder")
            await recorder.wait_for(24, 30)
            await recorder.meanwhile(node.kill, "origin")
            await recorder.wait_for(32, 30)
            async with aiohttp.ClientSession() as session:
                base = f"{node.web}/media/{recorder.broadcast}/source"
                live = await playlist(session, base)
                assert live.media_sequence == 0, "nothing has left the playlist"
                assert live.server_control is not None
                numbers = await pictures(session, base, MediaPlaylist(4, live.segments[:-1]))
                assert numbers == list(range(len(numbers)))
            await recorder.wait_over(60)
    await asyncio.sleep(3)
    async with aiohttp.ClientSession() as session:
        for name in ("source", "360p"):
            base = f"{node.web}/media/{recorder.broadcast}/{name}"
            ended = await playlist(session, base)
            assert ended.ended
            assert await pictures(session, base, ended) == list(range(clip.frames))
            keys = await playlist(session, base, "iframes.m3u8")
            first = await pictures(session, base, keys)
            assert len(first) == len(ended.segments)
            assert first == sorted(set(first)) and first[0] == 0
