"""The watch page of a channel that is not for everybody: who is asked in, who is let in, who is put out."""

import asyncio
import json
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.e2e.e2e_node import Node
from tests.e2e.e2e_pages import BUILT, CHROMIUM, until_live, watch
from tests.e2e.test_e2e_viewers import viewer_of
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


@pytest.mark.parametrize("engine", ["hls.js", "whep"])
async def test_a_viewer_signs_in_follows_and_is_put_out(
    node: Node, clips: ClipMaker, browser: Browser, engine: str
) -> None:
    channel = await asyncio.to_thread(node.channel, "members")
    with Publisher(clips.clip(90), channel.publish_url):
        await until_live(node, channel)
        await asyncio.to_thread(node.command, "channel", "set", channel.name, "--access", "followers")
        async with viewer_of(node, f"fan-{engine[0]}") as viewer:
            watcher = await watch(browser, node, channel)
            page = watcher.page
            if engine == "whep":
                await page.evaluate("localStorage.setItem('nearcast.lowest-delay', '1')")
                await page.reload()
            await page.wait_for_selector("html[data-state=locked]", timeout=10_000)
            assert "For followers of" in await page.inner_text("[data-testid=state-caption]")
            await page.fill("[data-testid=viewer-token]", "nonsense")
            await page.click(".sign-in button")
            await page.get_by_text("This token is not valid").wait_for(timeout=10_000)
            await page.fill("[data-testid=viewer-token]", viewer.token)
            await page.click(".sign-in button")
            await page.get_by_text(f"Follow {channel.name} to watch").wait_for(timeout=10_000)
            await viewer.api("PUT", f"/users/me/follows/{channel.name}")
            await page.wait_for_selector("html[data-state=playing]", timeout=30_000)
            assert engine in await page.evaluate("window.nearcast.player.engine()")
            async with asyncio.timeout(10):
                while (await viewer.live(channel))["viewers"] != 1:
                    await asyncio.sleep(0.2)
            await viewer.api("DELETE", f"/users/me/follows/{channel.name}")
            await page.wait_for_selector("html[data-state=locked]", timeout=30_000)
            await page.close()


async def test_what_the_page_reports_reaches_the_centre(node: Node, clips: ClipMaker, browser: Browser) -> None:
    channel = await asyncio.to_thread(node.channel, "reported")
    with Publisher(clips.clip(60), channel.publish_url):
        await until_live(node, channel)
        async with viewer_of(node, "reporter") as viewer:
            stream = await viewer.live(channel)
            watcher = await watch(browser, node, channel)
            await watcher.plays()
            await asyncio.sleep(12)
            await watcher.page.goto("about:blank")  # the last report is sent as the page goes
            path = f"/streams/{stream['stream_id']}/quality"
            async with asyncio.timeout(20):
                while True:
                    minutes = (await viewer.api("GET", path, token=channel.token))["minutes"]
                    if sum(minute["reports"] for minute in minutes) >= 2:
                        break
                    await asyncio.sleep(0.5)
            print(json.dumps(minutes))
            assert sum(minute["startup_ms"]["count"] for minute in minutes if minute.get("startup_ms")) == 1
            async with asyncio.timeout(15):
                while (await viewer.live(channel))["viewers"] != 0:
                    await asyncio.sleep(0.5)
