"""Players as strangers have them, NEARCAST_PLAY_S seconds each: they play on and have nothing to complain of."""

import asyncio
import os
import re
import shutil
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from tests.e2e.e2e_node import Channel, Node
from tests.media_tools.clients import Running
from tests.media_tools.clips import ClipMaker
from tests.media_tools.publisher import Publisher
from tests.media_tools.web_players import ARGUMENTS, PLAYERS, page_url, serving

PLAY_S = float(os.environ.get("NEARCAST_PLAY_S", "20"))
pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(PLAY_S + 240)]

_PROGRAMS = {
    "ffmpeg": ["ffmpeg", "-nostdin", "-loglevel", "error", "-re", "-i", "{url}", "-f", "null", "-"],
    "ffplay": ["ffplay", "-loglevel", "error", "-nostats", "-i", "{url}"],
    "mpv": ["mpv", "--no-config", "--vo=null", "--ao=null", "--msg-level=all=error", "{url}"],
    "vlc": ["vlc", "-I", "dummy", "--vout", "vdummy", "--aout", "adummy", "--quiet", "{url}"],
    "gstreamer": ["gst-launch-1.0", "-q", "playbin3", "uri={url}", "video-sink=fakesink sync=true",
                  "audio-sink=fakesink sync=true"],
}  # fmt: skip
_HARMLESS = re.compile(
    r"VLC media player|No such service|dbus|XDG_RUNTIME_DIR|pulse|ALSA|vdpau|vaapi|cannot create instance"
    # Two fragments of a rendition are read by two threads of VLC: it says so when it joins.
    r"|Fragment sequence discontinuity|running as root|Estimating duration|qt interface|lua|globalhotkeys",
    re.IGNORECASE,
)
_STALLED = {"bufferStalledError", "bufferNudgeOnStall"}  # counted as stalls
_AS_ROOT = {"vlc": ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]}


def complaints(said: str) -> list[str]:
    """Lines that speak of something wrong."""
    return [line for line in said.splitlines() if line.strip() and not _HARMLESS.search(line)]


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


@pytest.mark.parametrize("program", _PROGRAMS)
async def test_programs(node: Node, channel: Channel, tmp_path: Path, program: str) -> None:
    if shutil.which(_PROGRAMS[program][0]) is None:
        pytest.skip(f"{program} is not installed")
    command = [part.format(url=node.hls(channel)) for part in _PROGRAMS[program]]
    silent = {"SDL_VIDEODRIVER": "dummy", "SDL_AUDIODRIVER": "dummy", "HOME": str(tmp_path)}
    if program in _AS_ROOT and os.geteuid() == 0:
        command = [*_AS_ROOT[program], *command]
        tmp_path.chmod(0o777)
    with Running(command, tmp_path / "said", silent) as running:
        await asyncio.sleep(PLAY_S)
        assert not running.over, running.said
    assert complaints(running.said) == []
