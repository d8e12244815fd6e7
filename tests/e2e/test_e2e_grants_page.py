"""The watch page of a channel that is not for everybody: who is asked in, who is let in, who is put out."""

import asyncio
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
