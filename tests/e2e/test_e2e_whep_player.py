"""The lowest delay in a real browser: a WebRTC peer answers the page's offers, refuses them, or goes away."""

import asyncio
import json
from pathlib import Path

import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from playwright.async_api import Browser, Page, Route

from tests.e2e.e2e_node import Channel, Node
from tests.e2e.e2e_pages import BUILT, CHROMIUM, Watcher, until_live
from tests.media_tools.clips import ClipMaker
from tests.media_tools.publisher import Publisher

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(
        not BUILT.exists() or not Path(CHROMIUM).exists(),
        reason="needs the built pages and Chromium",
    ),
]


class Whep:
    """A WHEP resource in the browser's network. `refusing`: how often it says 503 before it answers.

    Each answer comes from a peer of its own; `peer` is the last one.
    """

    def __init__(self, refusing: int = 0) -> None:
        self._refusing = refusing
        self.peer: RTCPeerConnection | None = None
        self.methods: list[str] = []

    async def serve(self, page: Page) -> None:
        """From now on, and in the channel's status."""
        await page.route("**/status.json", self._tell)
        await page.route("**/whep/**", self._answer)

    async def _tell(self, route: Route) -> None:
        said = await route.fetch()
        document = await said.json() | {"whep_url": "/whep/offer"}
        await route.fulfill(body=json.dumps(document), content_type="application/json")

    async def _answer(self, route: Route) -> None:
        request = route.request
        self.methods.append(request.method)
        if request.method != "POST":
            await route.fulfill(status=200)
        elif self._refusing > 0:
            self._refusing -= 1
            await route.fulfill(status=503, headers={"Link": '</live>; rel="alternate"'})
        else:
            await route.fulfill(
                status=201,
                headers={"Location": "/whep/session/1", "Content-Type": "application/sdp", "ETag": '"1"'},
                body=await self._sdp(request.post_data or ""),
            )

    async def close(self) -> None:
        """The last peer goes away."""
        if self.peer is not None:
            await self.peer.close()

    async def _sdp(self, offer: str) -> str:
        peer = self.peer = RTCPeerConnection()
        peer.addTrack(VideoStreamTrack())
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        return peer.localDescription.sdp


@pytest.mark.parametrize("refusing", [0, 1])
async def test_webrtc_first_then_hls_when_it_ends_or_is_refused_and_webrtc_again(
    node: Node, clips: ClipMaker, browser: Browser, refusing: int
) -> None:
    channel = await asyncio.to_thread(node.channel, "close")
    whep = Whep(refusing)
    with Publisher(clips.clip(40), channel.publish_url):
        await until_live(node, channel)
        watcher = await _closest(node, channel, browser, whep)
        if not refusing:
            assert await watcher.page.evaluate("() => window.nearcast.player.engine()") == "whep"
            await watcher.until("player.video.videoWidth === 640 && player.video.currentTime > 2")
            assert await watcher.number("stalls") == 0
            await whep.close()
        await watcher.until("player.engine().startsWith('hls.js') && player.video.videoWidth > 0", 15)
        await watcher.until("player.engine() === 'whep'", 20)
        assert await watcher.number("level") == -1
        assert not await watcher.page.get_by_test_id("seek").count()
        frames = "player.video.getVideoPlaybackQuality().totalVideoFrames"
        seen = float(
            await watcher.page.evaluate(f"() => {{ const {{player}} = window.nearcast; return {frames}; }}")
        )
        await watcher.until(f"{frames} > {seen + 30} && !player.video.paused")
        await watcher.page.close()
    await whep.close()
    assert not watcher.errors
    assert whep.methods.count("POST") >= 2


async def test_who_cannot_have_webrtc_sees_hls_and_nothing_of_the_tries(
    node: Node, clips: ClipMaker, browser: Browser
) -> None:
    channel = await asyncio.to_thread(node.channel, "close")
    whep = Whep(refusing=1000)
    with Publisher(clips.clip(40), channel.publish_url):
        await until_live(node, channel)
        watcher = await _closest(node, channel, browser, whep)
        await watcher.until("player.engine().startsWith('hls.js')", 15)
        await watcher.until("player.video.currentTime > 1 && !player.video.paused && player.latency() < 4")
        await watcher.page.get_by_test_id("settings-button").click()
        assert await watcher.page.get_by_test_id("lowest-delay").is_checked()
        await watcher.page.get_by_text("Not to be had right now").wait_for()
        stalls = await watcher.number("stalls")
        async with asyncio.timeout(15):
            while whep.methods.count("POST") < 2:
                await asyncio.sleep(0.1)
        await watcher.until(f"player.video.currentTime > {await watcher.time() + 2}")
        assert await watcher.number("stalls") == stalls
        await watcher.page.close()
    assert not watcher.errors
    assert "DELETE" not in whep.methods


async def _closest(node: Node, channel: Channel, browser: Browser, whep: Whep) -> Watcher:
    """Somebody who wishes the lowest delay, once the picture moves."""
    watcher = Watcher(await browser.new_page())
    await watcher.page.add_init_script("localStorage.setItem('nearcast.lowest-delay', '1')")
    await whep.serve(watcher.page)
    await watcher.page.goto(f"{node.web}/{channel.name}")
    await watcher.plays()
    return watcher
