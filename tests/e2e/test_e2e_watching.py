"""What becomes of a viewer's place, rate and picture when something goes wrong around the page."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.e2e.e2e_node import Node
from tests.e2e.e2e_pages import BUILT, CHROMIUM, Watcher, Wire, until_live, watch
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

_MOVES = "player.video.readyState > 2 && !player.video.seeking && !player.video.paused"


async def assert_stays(watcher: Watcher, clock: float) -> None:
    """The viewer is where they sought to and plays on from there as fast as life."""
    await watcher.until(_MOVES, 15)
    await asyncio.sleep(1.5)
    assert 0 < await watcher.number("clock") - clock < 8000
    assert await watcher.page.evaluate("() => nearcast.player.behind()")
    assert await watcher.page.evaluate("() => nearcast.player.video.playbackRate") == 1


async def test_the_first_moment_of_the_window_plays(node: Node, clips: ClipMaker, browser: Browser) -> None:
    """Sound begins some milliseconds after the picture: there is nothing of it at the picture's first moment."""
    channel = await asyncio.to_thread(node.channel, "first")
    with Publisher(clips.clip(60), channel.publish_url):
        await until_live(node, channel)
        await asyncio.sleep(12)
        watcher = await watch(browser, node, channel)
        await watcher.plays()
        await watcher.page.get_by_test_id("seek").focus()
        await watcher.page.keyboard.press("Home")
        clock = await watcher.number("clock")
        await watcher.until("player.video.currentTime > 0.5 && player.video.currentTime < 3", 4)
        await assert_stays(watcher, clock)
        await watcher.page.close()
    assert not watcher.errors


async def test_a_long_title_on_a_small_phone_lies_below_the_picture(node: Node, browser: Browser) -> None:
    channel = await asyncio.to_thread(node.channel, "small")
    await asyncio.to_thread(node.command, "channel", "set", channel.name, "--title", "a long title " * 10)
    page = await browser.new_page(viewport={"width": 320, "height": 568})
    await page.goto(f"{node.web}/{channel.name}")
    await page.get_by_role("heading", name="a long title").wait_for()
    boxes = [await page.locator(part).bounding_box() for part in (".player", ".info", ".chat")]
    player, info, chat = (box for box in boxes if box is not None)
    assert player["height"] == pytest.approx(180, abs=1)
    assert player["y"] + player["height"] <= info["y"]
    assert info["y"] + info["height"] <= chat["y"] + 1
    await page.close()


@pytest.mark.parametrize(("key", "cut_s"), [("PageDown", 4.5), ("PageDown", 12.0), ("Home", 12.0)])
async def test_who_goes_back_while_the_network_is_cut_stays_there(
    node: Node, clips: ClipMaker, browser: Browser, key: str, cut_s: float
) -> None:
    """The page asks anew for what hangs, and later loads its source again: both for the place that was sought."""
    channel = await asyncio.to_thread(node.channel, "place")
    with Publisher(clips.clip(60), channel.publish_url):
        await until_live(node, channel)
        await asyncio.sleep(14)  # nothing of the time before is loaded when the page comes
        async with Wire(node.port_base) as wire:
            watcher = await watch(browser, node, channel, site=wire.site)
            await watcher.plays()
            await watcher.page.get_by_test_id("seek").focus()
            wire.cut()
            await watcher.page.keyboard.press(key)
            clock = await watcher.number("clock")
            await watcher.until("player.behind() && player.video.readyState < 2")
            await asyncio.sleep(cut_s)
            wire.heal()
            await assert_stays(watcher, clock)
            await watcher.page.close()
    assert not watcher.errors
