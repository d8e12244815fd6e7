"""The watch page in a real browser: picture, latency, chat, and an origin that dies meanwhile."""

import asyncio
import time
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from tests.e2e.e2e_node import Channel, Node
from tests.e2e.e2e_pages import AT_THE_EDGE, BUILT, CHROMIUM, PLAYS, Watcher, until_live, watch
from tests.e2e.test_e2e_standby import standby_url
from tests.media_tools.clips import Clip, ClipMaker
from tests.media_tools.publisher import Publisher

POSITION = "() => document.querySelector('video').currentTime"

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
    pytest.mark.skipif(
        not BUILT.exists() or not Path(CHROMIUM).exists(),
        reason="needs the built pages and Chromium",
    ),
]


async def test_plays_close_to_live_without_a_stall(node: Node, clips: ClipMaker, browser: Browser) -> None:
    channel = await asyncio.to_thread(node.channel, "watched")
    with Publisher(clips.clip(60), channel.publish_url):
        await until_live(node, channel)
        watcher = await watch(browser, node, channel)
        started = await watcher.plays()
        await asyncio.sleep(6)
        begin, stalls, clock = await watcher.time(), await watcher.number("stalls"), time.monotonic()
        latencies = []
        for _ in range(20):
            await asyncio.sleep(0.75)
            latencies.append(await watcher.number("latency"))
        played = (await watcher.time() - begin) / (time.monotonic() - clock)
        print(
            f"plays after {started:.1f} s, latency {min(latencies):.2f} to {max(latencies):.2f} s, {played:.3f} x"
        )
        assert await watcher.number("stalls") == stalls == 0
    assert not watcher.errors
    assert 0 < sorted(latencies)[len(latencies) // 2] < 2.5
    assert 0.9 < played < 1.1


async def test_origin_killed_while_watching(victim: Node, clips: ClipMaker, browser: Browser) -> None:
    channel = await asyncio.to_thread(victim.channel, "cut")
    with Publisher(clips.clip(60), channel.publish_url):
        await until_live(victim, channel)
        watcher = await watch(browser, victim, channel)
        await watcher.plays()
        await asyncio.sleep(4)
        await asyncio.to_thread(victim.kill, "origin")
        await asyncio.sleep(6)
        begin = await watcher.time()
        await asyncio.sleep(4)
        assert await watcher.time() - begin > 3.0, "playback did not go on"
        print(f"stalls {await watcher.number('stalls')}, latency {await watcher.number('latency'):.2f} s")
    assert not watcher.errors


@pytest.mark.slow  # each picture of a takeover is counted among the quick ones
async def test_standby_takes_over_while_watching(node: Node, clips: ClipMaker, browser: Browser) -> None:
    clip = clips.clip(60)
    channel = await asyncio.to_thread(node.channel, "spare")
    spare_url = await asyncio.to_thread(standby_url, node, channel)
    with Publisher(clip, channel.publish_url) as primary, Publisher(clip, spare_url):
        await until_live(node, channel)
        watcher = await watch(browser, node, channel)
        await watcher.plays()
        await asyncio.sleep(5)
        begin, stalls, clock = await watcher.time(), await watcher.number("stalls"), time.monotonic()
        primary.kill()
        await asyncio.sleep(10)
        played = (await watcher.time() - begin) / (time.monotonic() - clock)
        print(f"{played:.3f} x over the switch, latency {await watcher.number('latency'):.2f} s")
        assert await watcher.number("stalls") == stalls
        record = await asyncio.to_thread(node.broadcast, channel)
        assert record is not None
        assert record["slot"] == "standby"
    assert not watcher.errors
    assert 0.9 < played < 1.1


async def killed_while_watching(
    node: Node, channel: Channel, clip: Clip, browser: Browser, seconds: float
) -> Watcher:
    """A page that has played for so long when the publisher dies; `window.stayed` until it is loaded anew."""
    with Publisher(clip, channel.publish_url) as publisher:
        await until_live(node, channel)
        watcher = await watch(browser, node, channel)
        await watcher.plays()
        await asyncio.sleep(seconds)
        await watcher.page.evaluate("() => { window.stayed = true; }")
        publisher.kill()
    return watcher


async def test_publisher_returns_while_watching(node: Node, clips: ClipMaker, browser: Browser) -> None:
    clip = clips.clip(60)
    channel = await asyncio.to_thread(node.channel, "returns")
    watcher = await killed_while_watching(node, channel, clip, browser, 5)
    await asyncio.sleep(4)
    with Publisher(clip, channel.publish_url, skip_s=10) as second:
        while (await asyncio.to_thread(node.broadcast, channel) or {}).get("state") != "live":
            await asyncio.sleep(0.05)
        live = time.monotonic()
        async with asyncio.timeout(15):
            while not await watcher.page.evaluate(AT_THE_EDGE):
                await asyncio.sleep(0.05)
        back = time.monotonic() - live
        print(
            f"at the edge {back:.1f} s after the publisher was back, {live - second.started:.1f} s after it began"
        )
        assert await watcher.page.evaluate("() => window.stayed"), "the page was loaded anew"
    assert not watcher.errors
    assert back < 3


@pytest.mark.slow  # one who returns as they were is among the quick ones
async def test_publisher_returns_in_another_format_while_watching(
    node: Node, clips: ClipMaker, browser: Browser
) -> None:
    channel = await asyncio.to_thread(node.channel, "other-format")
    watcher = await killed_while_watching(node, channel, clips.clip(60), browser, 3)
    await asyncio.sleep(2)
    with Publisher(clips.clip(40, b_frames=2), channel.publish_url):
        await asyncio.sleep(8)
        before = await watcher.page.evaluate(POSITION)
        await asyncio.sleep(8)
        played = await watcher.page.evaluate(POSITION) - before
        print(f"played {played:.1f} of 8 s after the publisher was back")
        assert await watcher.page.evaluate("() => window.stayed"), "the page was loaded anew"
    assert not watcher.errors
    assert 7.0 < played < 9.0


async def test_page_of_an_offline_channel_begins_to_play(node: Node, clips: ClipMaker, browser: Browser) -> None:
    channel = await asyncio.to_thread(node.channel, "later")
    watcher = await watch(browser, node, channel)
    await asyncio.sleep(1)
    with Publisher(clips.clip(20), channel.publish_url) as publisher:
        await watcher.page.wait_for_function(PLAYS, timeout=15_000)
        print(f"plays {time.monotonic() - publisher.started:.1f} s after ffmpeg started")
    assert not watcher.errors


async def test_two_pages_chat(node: Node, browser: Browser) -> None:
    channel = await asyncio.to_thread(node.channel, "talk")
    writer, reader = await watch(browser, node, channel), await watch(browser, node, channel)
    await sign_in(writer.page, channel)
    await writer.page.get_by_test_id("chat-input").fill("hello from a page")
    await writer.page.get_by_test_id("chat-send").click()
    for page in (writer.page, reader.page):
        await page.get_by_text("hello from a page").first.wait_for(timeout=10_000)
    assert not writer.errors
    assert not reader.errors


async def sign_in(page: Page, channel: Channel) -> None:
    """Gives the page the channel's token."""
    await page.get_by_text("Write with a chat token").click()
    await page.get_by_test_id("chat-token").fill(channel.token)
    await page.get_by_role("button", name="Use").click()


async def test_home_shows_what_a_channel_looks_like(node: Node, clips: ClipMaker, browser: Browser) -> None:
    channel = await asyncio.to_thread(node.channel, "pictured")
    with Publisher(clips.clip(60), channel.publish_url):
        await until_live(node, channel)
        page = await browser.new_page(viewport={"width": 1024, "height": 640})
        await page.goto(node.web, wait_until="domcontentloaded")
        card = page.locator(f'a[href="/{channel.name}"]')
        await card.wait_for(timeout=10_000)
        before = await card.bounding_box()
        picture = card.get_by_test_id("live-picture")
        await picture.wait_for(timeout=10_000)
        assert await card.bounding_box() == before, "the card moved when its picture came"
        assert await picture.evaluate("image => image.naturalWidth / image.naturalHeight") == pytest.approx(16 / 9)
        assert await picture.get_attribute("alt") == f"{channel.name} just now"


async def test_pages_need_nothing_from_elsewhere(node: Node, browser: Browser) -> None:
    channel = await asyncio.to_thread(node.channel, "closed")
    page = await browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for path in ("/", f"/{channel.name}", "/studio"):
        await page.goto(f"{node.web}{path}", wait_until="load")
        await asyncio.sleep(0.5)
    own = (node.web, node.web.replace("http", "ws", 1), "data:", "blob:")
    assert not [url for url in asked if not url.startswith(own)]
