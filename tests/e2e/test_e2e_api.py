"""The coordinator's API against a node that really streams."""

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from tests.e2e.e2e_node import Channel, Node
from tests.media_tools.clips import ClipMaker
from tests.media_tools.hls_client import HlsRecorder
from tests.media_tools.publisher import Publisher

pytestmark = pytest.mark.e2e


async def call(node: Node, method: str, path: str, *, token: str = "", body: Any = None) -> tuple[int, Any]:
    """Status and decoded body of one call."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, node.api + path, json=body, headers=headers) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


async def announce(node: Node, channel: Channel) -> dict[str, Any]:
    """POST /streams as the channel's owner."""
    body = {"title": "A walk", "user_id": channel.user_id}
    status, made = await call(node, "POST", "/streams", token=channel.token, body=body)
    assert status == 201, made
    answer: dict[str, Any] = made
    return answer


async def until_status(node: Node, path: str, wanted: int, seconds: float) -> dict[str, Any]:
    """The body of the first GET that answers `wanted`."""
    until = time.monotonic() + seconds
    while True:
        status, body = await call(node, "GET", path)
        if status == wanted:
            answer: dict[str, Any] = body
            return answer
        assert time.monotonic() < until, f"{path} answers {status}, not {wanted}, after {seconds} s: {body}"
        await asyncio.sleep(0.1)


async def test_announced_stream_from_start_to_end(node: Node, clips: ClipMaker) -> None:
    channel = await asyncio.to_thread(node.channel, "api")
    made = await announce(node, channel)
    path = f"/streams/{made['stream_id']}/playback"
    assert (await call(node, "GET", path))[0] == 200
    url = f"{made['ingest_url']}/{made['stream_key']}"
    with Publisher(clips.clip(20), url) as publisher:
        while True:
            playback = await until_status(node, path, 200, 10)
            if playback["status"] == "live":
                break
            assert time.monotonic() - publisher.started < 15, playback
            await asyncio.sleep(0.1)
        print(f"live in the API {time.monotonic() - publisher.started:.1f} s after ffmpeg started")
        async with HlsRecorder(playback["playback_url"]) as recorder:
            await recorder.start()
            await recorder.wait_for(3, 20)
    assert recorder.broadcast == made["stream_id"]
    gone = await until_status(node, path, 410, 15)
    assert gone["status"] == 410


async def test_unknown_stream_is_404(node: Node) -> None:
    status, body = await call(node, "GET", "/streams/01a204cc-d629-7bd4-a669-c4d3b9f465db/playback")
    assert status == 404
    assert body["code"]


async def test_announcing_needs_a_token(node: Node) -> None:
    channel = await asyncio.to_thread(node.channel, "nobody")
    body = {"title": "A walk", "user_id": channel.user_id}
    assert (await call(node, "POST", "/streams", body=body))[0] == 401
    assert (await call(node, "POST", "/streams", token="nct_wrong", body=body))[0] == 401


async def test_channel_is_live_in_the_list_while_it_streams(node: Node, clips: ClipMaker) -> None:
    channel = await asyncio.to_thread(node.channel, "listed")
    assert (await call(node, "GET", f"/channels/{channel.name}"))[1]["live"] is False
    with Publisher(clips.clip(15), channel.publish_url):
        await _until_live(node, channel, wanted=True)
    await _until_live(node, channel, wanted=False)


async def _until_live(node: Node, channel: Channel, *, wanted: bool) -> None:
    until = time.monotonic() + 12
    while (await call(node, "GET", f"/channels/{channel.name}"))[1]["live"] is not wanted:
        assert time.monotonic() < until, f"live is not {wanted}"
        await asyncio.sleep(0.1)
