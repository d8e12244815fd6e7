"""The player's own abilities in a real browser: rewinding, latency by choice, beacons, frames on other sites."""

import asyncio
import json
import re
import time
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Browser, Page, Route

from tests.e2e.e2e_node import ROOT, Channel, Node
from tests.e2e.e2e_pages import AT_THE_EDGE, BUILT, CHROMIUM, Watcher, Wire, until_live, watch
from tests.media_tools.captioned import captioned
from tests.media_tools.clients import Running, libraries
from tests.media_tools.clips import ClipMaker
from tests.media_tools.codec_clips import make_apart, with_mp3, without_pictures
from tests.media_tools.harmed import blind
from tests.media_tools.publisher import Publisher

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
    pytest.mark.skipif(
        not BUILT.exists() or not Path(CHROMIUM).exists(),
        reason="needs the built pages and Chromium",
    ),
]

_AXE = ROOT / "edge" / "web" / "node_modules" / "axe-core" / "axe.min.js"
_ROOM_TO_REWIND = (
    "((details) => details && details.edge - details.fragmentStart > 11)(player.hls?.latestLevelDetails)"
)


_HALF_THE_FRAMES = """
const told = HTMLVideoElement.prototype.getVideoPlaybackQuality;
HTMLVideoElement.prototype.getVideoPlaybackQuality = function () {
  const { totalVideoFrames, droppedVideoFrames } = told.call(this);
  return { totalVideoFrames, droppedVideoFrames: window.isWeak ? totalVideoFrames / 2 : droppedVideoFrames };
};
"""


class Beacons:
    """Takes a page's beacons in the server's place, and looks at how it asks for playlists."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []

    async def listen(self, page: Page) -> None:
        """From now on."""
        await page.route("**/beacon", self._take)

    async def _take(self, route: Route) -> None:
        self.bodies.append(json.loads(route.request.post_data or "{}"))
        await route.fulfill(status=204)


@pytest.mark.slow
async def test_rewinds_goes_live_and_keeps_the_distance_that_is_chosen(
    node: Node, clips: ClipMaker, browser: Browser
) -> None:
    channel = await asyncio.to_thread(node.channel, "dvr")
    beacons = Beacons()
    with Publisher(clips.clip(60), channel.publish_url):
        await until_live(node, channel)
        watcher = Watcher(await browser.new_page(viewport={"width": 1024, "height": 640}))
        await beacons.listen(watcher.page)
        await watcher.page.goto(f"{node.web}/{channel.name}", wait_until="domcontentloaded")
        await watcher.plays()
        await check_sheets(watcher.page)
        await watcher.until(_ROOM_TO_REWIND, 20)
        await check_rewinding(watcher)
        await check_distance(watcher)
        await watcher.page.get_by_label("Nearcast, live channels").click()
        async with asyncio.timeout(5):
            while not beacons.bodies[-1]["leaving"]:
                await asyncio.sleep(0.05)
    assert not watcher.errors
    check_beacons(beacons, channel.name)


async def check_sheets(page: Page) -> None:
    """What opens over the page is accessible."""
    await page.get_by_test_id("settings-button").click()
    await assert_accessible(page, "watch page with settings open")
    await page.get_by_role("slider", name="How close to live").wait_for(timeout=2000)
    await page.keyboard.press("Escape")
    await page.get_by_test_id("share").click()
    await page.get_by_test_id("share-dialog").get_by_text("<iframe").wait_for()
    await assert_accessible(page, "share dialog")
    await page.keyboard.press("Escape")


async def check_rewinding(watcher: Watcher) -> None:
    """Nothing hurries a viewer who went back; the bar shows what was on, and its end is live."""
    page = watcher.page
    await page.keyboard.press("j")
    await watcher.until("player.behind() && player.latency() > 8 && !player.video.seeking")
    begin, clock, began = await watcher.time(), await watcher.number("clock"), time.monotonic()
    bar = page.get_by_test_id("seek")
    box = await bar.bounding_box()
    assert box is not None
    for step in (0.5, 0.51):
        await page.mouse.move(box["x"] + box["width"] * step, box["y"] + box["height"] / 2)
        await page.get_by_test_id("seek-preview").wait_for()
    await page.get_by_test_id("seek-tile").wait_for(timeout=5000)
    words = await page.get_by_test_id("seek-preview").inner_text()
    assert re.search(r"\u22120:\d\d", words) and re.search(r"\d:\d\d:\d\d", words), words
    await asyncio.sleep(1)
    moved, passed = await watcher.time() - begin, time.monotonic() - began
    assert await watcher.page.evaluate("() => window.nearcast.player.video.playbackRate") == 1
    assert moved < passed + 0.5, "a viewer who went back was hurried"
    assert (await watcher.number("clock") - clock) / 1000 == pytest.approx(moved, abs=0.5)
    assert await page.get_by_test_id("go-live").get_attribute("aria-label") == "Go live"
    await bar.focus()
    await page.keyboard.press("End")
    await watcher.until("!player.behind() && player.latency() < 3")
    assert await page.get_by_test_id("go-live").get_attribute("aria-label") == "Live"


async def check_distance(watcher: Watcher) -> None:
    """Set by keyboard, obeyed while playing, remembered."""
    page = watcher.page
    await page.get_by_test_id("settings-button").focus()
    await page.keyboard.press("Enter")
    slider = page.get_by_test_id("closeness")
    await slider.focus()
    await slider.press("PageUp")
    await slider.press("PageUp")
    await slider.press("PageUp")
    wish = float(await slider.input_value())
    assert wish > 3.5
    await watcher.until(_at(wish))
    await page.keyboard.press("Escape")
    assert not await page.get_by_test_id("settings").count()
    assert await page.evaluate("() => document.activeElement.dataset.testid") == "settings-button"
    assert await page.evaluate("() => localStorage.getItem('nearcast.latency')") == f"{wish:g}"
    await page.get_by_test_id("settings-button").click()
    await page.get_by_test_id("low-latency").uncheck()
    await watcher.until(
        "!player.hls.lowLatencyMode"
        " && Math.abs(player.hls.targetLatency - player.hls.latestLevelDetails.holdBack) < 1"
    )
    await page.get_by_test_id("low-latency").check()
    await watcher.until(f"player.hls.lowLatencyMode && {_at(wish)}")


def _at(distance_s: float) -> str:
    """Whether a distance is aimed at and kept. Stalls on a busy machine make hls.js aim a little further."""
    return (
        f"Math.abs(player.hls.config.liveSyncDuration - {distance_s}) < 0.01 && !player.behind()"
        " && Math.abs(player.latency() - player.hls.targetLatency) < 1.5"
    )


def check_beacons(beacons: Beacons, channel: str) -> None:
    """Numbered without a hole, the start told once, and the same viewer in requests and beacons."""
    assert [body["seq"] for body in beacons.bodies] == list(range(len(beacons.bodies)))
    assert len(beacons.bodies) >= 3
    session = beacons.bodies[0]["session"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", session)
    assert {body["session"] for body in beacons.bodies} == {session}
    assert {body["channel"] for body in beacons.bodies} == {channel}
    assert sum(body["startup_ms"] is not None for body in beacons.bodies) == 1
    assert beacons.bodies[-1]["leaving"] and not any(body["leaving"] for body in beacons.bodies[:-1])
    assert any(body["state"] == "playing" and body["height"] for body in beacons.bodies)


async def test_only_the_embedded_player_plays_on_other_sites(node: Node, browser: Browser) -> None:
    channel = await asyncio.to_thread(node.channel, "framed")
    async with Wire(node.port_base) as elsewhere:  # another port is another site
        await check_frames(await browser.new_page(), node, channel, elsewhere.site)


async def check_frames(page: Page, node: Node, channel: Channel, site: str) -> None:
    """A page of `site` with the embedded player and the watch page in frames."""
    places = [f"/embed/{channel.name}?chat=1", f"/embed/{channel.name}/chat", f"/{channel.name}"]
    frames = "".join(f'<iframe src="{node.web}{place}" width="600" height="340"></iframe>' for place in places)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{site}/healthz")
    await page.set_content(frames)
    embedded = page.frame_locator("iframe").first
    await embedded.get_by_test_id("state-caption").get_by_text("is offline").wait_for(timeout=5000)
    await embedded.get_by_test_id("chat").wait_for()
    await page.frame_locator("iframe").nth(1).get_by_text("No messages yet").wait_for()
    assert not await embedded.locator("header.top").count()
    assert not [url for url in asked if "studio" in url]
    shown = page.frame_locator("iframe").last.get_by_test_id("video")
    assert [frame.url.startswith("chrome-error:") for frame in page.frames[1:]] == [False, False, True]
    assert not await shown.count()
    await page.close()


@pytest.mark.parametrize("scheme", ["dark", pytest.param("light", marks=pytest.mark.slow)])
async def test_pages_are_accessible(node: Node, browser: Browser, scheme: Literal["dark", "light"]) -> None:
    offline = await asyncio.to_thread(node.channel, "shut")
    context = await browser.new_context(
        viewport={"width": 1024, "height": 640}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = await context.new_page()
    await page.goto(node.web)
    await page.locator(".card:not(.skeleton), .empty").first.wait_for()
    await assert_accessible(page, "home")
    for path in (f"/{offline.name}", "/nobody-here", f"/embed/{offline.name}?chat=1"):
        await page.goto(f"{node.web}{path}")
        await page.get_by_test_id("state-caption").wait_for()
        await assert_accessible(page, path)
    await context.close()


async def assert_accessible(page: Page, where: str) -> None:
    """No rule of axe-core is broken, where that is installed."""
    if not _AXE.exists():
        return
    await page.evaluate(_AXE.read_text(encoding="utf-8"))
    found = await page.evaluate("() => axe.run().then((result) => result.violations)")
    told = [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found]
    assert not told, f"{where}: {told}"


@pytest.mark.slow
async def test_a_picture_that_cannot_be_decoded_is_left_out(node: Node, browser: Browser, tmp_path: Path) -> None:
    """Chromium gives up an AV1 picture that refers to a lost one, and pauses."""
    channel = await asyncio.to_thread(node.channel, "harmed")
    whole = await asyncio.to_thread(make_apart, tmp_path / "whole.mkv", [("AV1", 360)], "AAC")
    clip = without_pictures(whole, tmp_path / "harmed.mkv", 8, 9)
    with Running(libraries(clip, channel.publish_url), tmp_path / "encoder.log"):
        await until_live(node, channel)
        watcher = await watch(browser, node, channel)
        await watcher.plays()
        assert await watcher.time() < 7
        await watcher.until("player.hls.levels[player.level()]?.videoCodec?.startsWith('av01')")
        await watcher.until("player.video.currentTime > 12 && !player.video.paused", 20)
        await watcher.until(f"player.video.currentTime > {await watcher.time() + 2} && !player.video.paused")
        await watcher.page.close()
    assert not watcher.errors


@pytest.mark.slow
async def test_a_device_that_cannot_keep_up_gets_a_smaller_picture(
    node: Node, clips: ClipMaker, browser: Browser
) -> None:
    channel = await asyncio.to_thread(node.channel, "weak")
    page = await browser.new_page(viewport={"width": 1600, "height": 900})
    await page.add_init_script(_HALF_THE_FRAMES)
    watcher = Watcher(page)
    with Publisher(clips.clip(40), channel.publish_url):
        await until_live(node, channel)
        await page.goto(f"{node.web}/{channel.name}", wait_until="domcontentloaded")
        await watcher.plays()
        best = await page.evaluate("() => window.nearcast.player.hls.levels.length - 1")
        await watcher.until(f"player.hls.currentLevel === {best}", 15)
        await page.evaluate("() => { window.isWeak = true; }")
        await watcher.until(f"player.hls.currentLevel === {best - 1}", 20)
        await watcher.until("player.hls.currentLevel === 0", 20)
        await page.evaluate(f"() => {{ window.nearcast.player.hls.loadLevel = {best}; }}")
        await watcher.until(f"player.hls.currentLevel === {best}", 10)
    assert not watcher.errors


@pytest.mark.slow
@pytest.mark.parametrize("cut_s", [4.0, 20.0])
async def test_network_cut_while_watching(node: Node, clips: ClipMaker, browser: Browser, cut_s: float) -> None:
    channel = await asyncio.to_thread(node.channel, "wire")
    with Publisher(clips.clip(60), channel.publish_url):
        await until_live(node, channel)
        async with Wire(node.port_base) as wire:
            watcher = await watch(browser, node, channel, site=wire.site)
            await watcher.plays()
            await asyncio.sleep(4)
            await watcher.page.evaluate("() => { window.stayed = true; }")
            wire.cut()
            await asyncio.sleep(cut_s)
            wire.heal()
            began = time.monotonic()
            await watcher.page.wait_for_function(AT_THE_EDGE, timeout=15_000, polling=50)
            print(f"at the edge {time.monotonic() - began:.1f} s after the network was back")
            assert await watcher.page.evaluate("() => window.stayed"), "the page was loaded anew"
            await watcher.page.close()
    assert not watcher.errors


@pytest.mark.slow
async def test_a_line_that_is_narrow_from_the_beginning_on_plays(
    node: Node, clips: ClipMaker, browser: Browser
) -> None:
    """The first picture takes longer than a halt may last, and would be lost if the source was loaded anew."""
    channel = await asyncio.to_thread(node.channel, "narrow")
    with Publisher(clips.clip(60), channel.publish_url):
        await until_live(node, channel)
        page = await browser.new_page(viewport={"width": 1024, "height": 640})
        asked: list[str] = []
        page.on("request", lambda one: asked.append(one.url) if "/live/" in one.url and "m3u8" in one.url else None)
        line = await page.context.new_cdp_session(page)
        narrow = {"offline": False, "latency": 40, "downloadThroughput": 50_000, "uploadThroughput": 50_000}
        await line.send("Network.enable")
        await line.send("Network.emulateNetworkConditions", narrow)
        await page.goto(f"{node.web}/{channel.name}", wait_until="commit")
        await page.wait_for_function("() => window.nearcast?.player.video.currentTime > 3", timeout=30_000)
        await page.wait_for_function("() => window.nearcast.player.video.readyState >= 3", timeout=20_000)
        assert len(asked) == 1, asked


@pytest.mark.slow
async def test_an_encoder_that_comes_back_without_picture_and_with_it_again(
    node: Node, clips: ClipMaker, browser: Browser
) -> None:
    """The page plays what is left, and the picture when there is one again, without being loaded anew."""
    channel = await asyncio.to_thread(node.channel, "tracks")
    both, sound = clips.clip(40), clips.clip(40, video=False)
    playing = "document.documentElement.dataset.state === 'playing'"
    with Publisher(both, channel.publish_url):
        await until_live(node, channel)
        watcher = await watch(browser, node, channel)
        await watcher.plays()
        await watcher.until(f"{playing} && player.video.videoWidth > 0")
        await watcher.page.evaluate("() => { window.stayed = true; }")
    for clip, shown in ((sound, "=== 0"), (both, "> 0")):
        with Publisher(clip, channel.publish_url):
            await watcher.until(f"{playing} && player.video.videoWidth {shown}", 20)
            begin = await watcher.time()
            await asyncio.sleep(2)
            assert await watcher.time() - begin > 1.5
    assert await watcher.page.evaluate("() => window.stayed")
    assert not watcher.errors
    await watcher.page.close()


@pytest.mark.slow
async def test_an_encoder_that_comes_back_with_other_sound(
    node: Node, clips: ClipMaker, browser: Browser, tmp_path: Path
) -> None:
    """It begins another broadcast, which the page goes on with; the one before is over for other players."""
    channel = await asyncio.to_thread(node.channel, "sound")
    other = with_mp3(clips.clip(40), tmp_path / "mp3.flv")
    broadcasts = set()
    with Publisher(clips.clip(40), channel.publish_url):
        await until_live(node, channel)
        watcher = await watch(browser, node, channel)
        await watcher.plays()
        await watcher.page.evaluate("() => { window.stayed = true; }")
        broadcasts.add((await asyncio.to_thread(node.broadcast, channel) or {})["broadcast_id"])
        await asyncio.sleep(3)
    with Publisher(other, channel.publish_url):
        await watcher.until("player.video.readyState === 0", 20)
        await watcher.plays()
        begin = await watcher.time()
        await asyncio.sleep(3)
        assert await watcher.time() - begin > 2
        broadcasts.add((await asyncio.to_thread(node.broadcast, channel) or {})["broadcast_id"])
    assert len(broadcasts) == 2
    assert await watcher.page.evaluate("() => window.stayed")
    assert not watcher.errors
    await watcher.page.close()


@pytest.mark.slow
async def test_captions_in_the_pictures_are_offered(
    node: Node, clips: ClipMaker, browser: Browser, tmp_path: Path
) -> None:
    """A caption is longer than a part, and begins after the page was opened."""
    channel = await asyncio.to_thread(node.channel, "said")
    with Publisher(captioned(clips.clip(40), tmp_path / "said.flv"), channel.publish_url):
        await until_live(node, channel)
        watcher = await watch(browser, node, channel)
        await watcher.plays()
        tracks = "[...player.video.textTracks].filter((one) => one.kind === 'captions')"
        await watcher.until(
            f"{tracks}.some((one) => [...one.cues].some((cue) => /^[A-X]{{4}}$/.test(cue.text)))", 15
        )
        await watcher.page.get_by_role("button", name="Captions").wait_for()
    assert not watcher.errors
    await watcher.page.close()


@pytest.mark.slow
async def test_a_viewer_hears_on_while_the_pictures_stop(
    node: Node, clips: ClipMaker, browser: Browser, tmp_path: Path
) -> None:
    """Media time goes on, of which there is none without both of sound and picture."""
    channel = await asyncio.to_thread(node.channel, "blind")
    clip = blind(clips.clip(60), tmp_path / "blind.flv", 15.3, 29.5)
    with Publisher(clip, channel.publish_url, interleave_s=0.1) as publisher:
        await until_live(node, channel)
        watcher = await watch(browser, node, channel)
        await watcher.plays()
        await watcher.page.evaluate("() => { window.nearcast.player.hls.nextLevel = 0; }")  # never the source
        await asyncio.sleep(max(0.0, publisher.started + 18 - time.monotonic()))
        begin = await watcher.time()
        await asyncio.sleep(8)
        assert await watcher.time() - begin > 7
        await asyncio.sleep(max(0.0, publisher.started + 33 - time.monotonic()))
        begin = await watcher.time()
        await asyncio.sleep(3)
        assert await watcher.time() - begin > 2
        assert not watcher.errors
        await watcher.page.close()
