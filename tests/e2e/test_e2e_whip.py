"""A browser publishes by WHIP: every codec that it has, the sound with it, and how the resource answers."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright

from tests.e2e.e2e_node import Channel, Node

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
    pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="needs Chromium"),
]

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
]
_PUBLISH = """async ([url, key, codec, layers]) => {
  const media = await navigator.mediaDevices.getUserMedia({audio: true, video: {width: 1280, height: 720}});
  const peer = window.peer = new RTCPeerConnection();
  peer.addTransceiver(media.getAudioTracks()[0], {direction: 'sendonly'});
  const video = peer.addTransceiver(media.getVideoTracks()[0],
    {direction: 'sendonly', sendEncodings: layers.length ? layers : undefined});
  const codecs = RTCRtpSender.getCapabilities('video').codecs;
  const wanted = codecs.filter(one => one.mimeType === codec || /rtx/.test(one.mimeType));
  if (!wanted.some(one => one.mimeType === codec)) return {missing: true};
  video.setCodecPreferences(wanted);
  await peer.setLocalDescription();
  const began = performance.now();
  const answer = await fetch(url, {method: 'POST', body: peer.localDescription.sdp,
    headers: {'Content-Type': 'application/sdp', 'Authorization': 'Bearer ' + key}});
  const body = await answer.text();
  if (answer.status !== 201) return {status: answer.status, body};
  await peer.setRemoteDescription({type: 'answer', sdp: body});
  await new Promise((done, failed) => {
    const look = () => {
      if (peer.connectionState === 'connected') done();
      if (peer.connectionState === 'failed') failed(new Error('failed'));
    };
    peer.onconnectionstatechange = look;
    look();
  });
  const base = new URL(url);
  return {status: answer.status, location: new URL(answer.headers.get('Location'), base).href,
    etag: answer.headers.get('ETag'), connect: performance.now() - began};
}"""
_LEAVE = """async (location) => {
  const answer = await fetch(location, {method: 'DELETE'});
  window.peer.close();
  return answer.status;
}"""
_SENT = """async () => {
  const found = [];
  for (const one of (await window.peer.getStats()).values()) {
    if (one.type === 'outbound-rtp')
      found.push({kind: one.kind, rid: one.rid, width: one.frameWidth, height: one.frameHeight,
        frames: one.framesEncoded, plis: one.pliCount, nacks: one.nackCount, bytes: one.bytesSent});
  }
  return found;
}"""


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Headless Chromium with a camera of its own making."""
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=_ARGUMENTS)
        yield launched
        await launched.close()


@pytest.fixture
async def elsewhere() -> AsyncIterator[str]:
    """URL of an empty page of another origin than the node's; a secure context, as cameras need."""

    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response(text="<!doctype html><title>studio</title>", content_type="text/html")

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


@pytest.fixture
async def page(browser: Browser, elsewhere: str) -> Page:
    """That page."""
    opened = await browser.new_page()
    await opened.goto(elsewhere)
    return opened


async def publish(
    page: Page, node: Node, channel: Channel, codec: str, layers: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Publishes; what the page found out."""
    arguments = [f"{node.web}/whip", channel.key, codec, layers or []]
    found: dict[str, Any] = await page.evaluate(_PUBLISH, arguments)
    return found


async def playable(node: Node, channel: Channel) -> float:
    """Waits until the multivariant playlist is there; the seconds that took."""
    began = time.monotonic()
    async with aiohttp.ClientSession() as session, asyncio.timeout(15):
        while True:
            async with session.get(node.hls(channel)) as answer:
                if answer.status == 200:
                    return time.monotonic() - began
            await asyncio.sleep(0.1)


async def state(node: Node, channel: Channel) -> str:
    """The state of the channel's broadcast."""
    found = await asyncio.to_thread(node.broadcast, channel)
    return str((found or {}).get("state", "none"))


@pytest.mark.parametrize("codec", ["video/H264", "video/VP8", "video/VP9", "video/AV1"])
async def test_browser_publishes(node: Node, page: Page, codec: str) -> None:
    channel = await asyncio.to_thread(node.channel, "whip")
    made = await publish(page, node, channel, codec)
    if made.get("missing"):
        pytest.skip(f"this Chromium has no {codec}")
    assert made["status"] == 201, made
    waited = await playable(node, channel)
    print(f"{codec}: connected after {made['connect']:.0f} ms, playlist after {waited:.1f} s more")
    await asyncio.sleep(4)
    assert await state(node, channel) == "live"
    print(await page.evaluate(_SENT))
    assert await page.evaluate(_LEAVE, made["location"]) == 200
    async with asyncio.timeout(15):
        while await state(node, channel) == "live":
            await asyncio.sleep(0.2)
