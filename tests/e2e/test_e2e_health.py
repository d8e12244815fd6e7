"""A streamer's page is told what arrives and what to set better; nobody else is."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.e2e.e2e_node import Node
from tests.media_tools.clips import ClipMaker
from tests.media_tools.publisher import Publisher

pytestmark = pytest.mark.e2e


async def reports(response: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    async for line in response.content:
        if line.startswith(b"data: "):
            yield json.loads(line.removeprefix(b"data: "))


async def test_the_owner_sees_how_the_stream_arrives(node: Node, clips: ClipMaker) -> None:
    clip = clips.clip(12)
    channel, other = node.channel("healthy"), node.channel("nosy")
    url = f"{node.web}/live/{channel.name}/health"
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as refused:
            assert refused.status == 401
        with Publisher(clip, channel.publish_url):
            async with asyncio.timeout(30):
                status = 0
                while status != 200:
                    await asyncio.sleep(0.5)
                    async with session.get(f"{node.web}/live/{channel.name}/index.m3u8") as playing:
                        status = playing.status
                headers = {"Authorization": f"Bearer {channel.token}"}
                async with session.get(url, headers=headers) as told:
                    assert told.status == 200
                    async for document in reports(told):
                        report = document["report"]
                        if report is not None and report["video"]["gop_s"] > 0:
                            break
            async with session.get(url, headers={"Authorization": f"Bearer {other.token}"}) as refused:
                assert refused.status in (401, 403)
    video, audio = report["video"], report["audio"]
    assert document["state"] == "live"
    assert (video["width"], video["height"], video["profile"]) == (1280, 720, "Baseline")
    assert video["gop_s"] == pytest.approx(2.0, abs=0.05)
    assert video["frame_rate"] == pytest.approx(30, abs=1.5)
    assert (audio["sample_rate"], audio["channels"]) == (48_000, 2)
