"""Players as strangers have them, NEARCAST_PLAY_S seconds each: they play on and have nothing to complain of."""

import asyncio
import os
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from tests.e2e.e2e_node import Channel, Node
from tests.media_tools.clients import missing
from tests.media_tools.clips import ClipMaker
from tests.media_tools.player_programs import PROGRAMS, complaints, player
from tests.media_tools.publisher import Publisher
from tests.media_tools.web_players import ARGUMENTS, PLAYERS, page_url, serving

PLAY_S = float(os.environ.get("NEARCAST_PLAY_S", "20"))
pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(PLAY_S + 240)]

_STALLED = {"bufferStalledError", "bufferNudgeOnStall"}  # counted as stalls


@pytest.fixture(scope="module")
def on_air(node: Node, clips: ClipMaker) -> Iterator[Channel]:
    """On the air as long as it is watched."""
    made = node.channel("players")
    with Publisher(clips.clip(30), made.publish_url, loop=True):
        yield made


@pytest.fixture
async def channel(node: Node, on_air: Channel) -> Channel:
    """It can be played: not every player asks again."""
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(_is_there, node.hls(on_air)):
            await asyncio.sleep(0.2)
    return on_air


def _is_there(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=20):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return False


@pytest.fixture(scope="module")
def page() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield launched
        await launched.close()


@pytest.mark.parametrize("low", ["1", "0"], ids=["low-latency", "classic"])
@pytest.mark.parametrize("player", PLAYERS)
async def test_players_in_a_browser(
    node: Node, channel: Channel, browser: Browser, page: str, player: str, low: str
) -> None:
    url = node.hls(channel) if low == "1" else node.hls(channel).replace("index.m3u8", "classic.m3u8")
    tab = await browser.new_page()
    await tab.goto(page_url(page, player, url, low=low))
    await tab.wait_for_function("window.seen.started !== null || window.seen.fatal.length", timeout=30_000)
    await asyncio.sleep(4)
    before = await tab.evaluate("[document.querySelector('video').currentTime, window.seen.stalls]")
    await asyncio.sleep(PLAY_S)
    after = await tab.evaluate("[document.querySelector('video').currentTime, window.seen.stalls]")
    seen = await tab.evaluate("window.seen")
    assert seen["fatal"] == []
    assert set(seen["errors"]) <= _STALLED
    assert after[0] - before[0] > 0.9 * PLAY_S, "the picture moved on"
    assert after[1] - before[1] <= 2, "a machine that is busy with tests may hold a player up"


@pytest.mark.parametrize("program", PROGRAMS)
async def test_programs(node: Node, channel: Channel, tmp_path: Path, program: str) -> None:
    if missing(PROGRAMS[program][0]):
        pytest.skip(f"{program} is not installed")
    with player(program, node.hls(channel), tmp_path) as running:
        await asyncio.sleep(PLAY_S)
        assert not running.over, running.said
    assert complaints(running.said) == []
