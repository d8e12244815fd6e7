"""A streamer's page is told what arrives and what to set better; nobody else is."""

import asyncio
import dataclasses
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import av
import pytest

from tests.e2e.e2e_checks import VIDEO, assert_nothing_missing, assert_playlists_honest, assert_same_segments
from tests.e2e.e2e_node import Node
from tests.media_tools.clips import RATE, ClipMaker
from tests.media_tools.harmed import damage
from tests.media_tools.hls_client import HlsRecorder
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


def access_units(file: Path | io.BytesIO) -> list[bytes]:
    with av.open(file if isinstance(file, io.BytesIO) else str(file)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


@pytest.mark.slow
async def test_pictures_that_arrive_damaged(node: Node, clips: ClipMaker, tmp_path: Path) -> None:
    """The source goes through as it came, the rungs have every segment, and the streamer is told."""
    clip = dataclasses.replace(clips.clip(16), path=tmp_path / "damaged.flv")
    harmed = damage(clips.clip(16), clip.path, 0.2, seed=7, spared_s=3.0)
    assert harmed > 40
    channel = node.channel("damaged")
    url, headers = f"{node.web}/live/{channel.name}/health", {"Authorization": f"Bearer {channel.token}"}
    async with aiohttp.ClientSession() as session, HlsRecorder(node.hls(channel)) as recorder:
        with Publisher(clip, channel.publish_url):
            await recorder.start()
            async with asyncio.timeout(30), session.get(url, headers=headers) as told:
                async for document in reports(told):
                    advice = {one["code"]: one for one in (document["report"] or {"advice": []})["advice"]}
                    if "damaged" in advice:
                        break
            await recorder.wait_for(clip.seconds - 0.5, 30)
        await recorder.wait_over(90)
    assert "arrived damaged in the last minute" in advice["damaged"]["text"]
    assert_playlists_honest(recorder.tracks.values())
    assert_nothing_missing(recorder)
    assert_same_segments(recorder)
    assert set(VIDEO) <= recorder.tracks.keys()
    (source,) = recorder.tracks["source"].streams()
    found = access_units(io.BytesIO(source))
    assert len(found) > (clip.seconds - 1) * RATE
    assert found == access_units(clip.path)[: len(found)]
