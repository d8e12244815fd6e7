"""Viewers of a broadcast whose transcoders die: players of other people, each on a rung that is made."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from playwright.async_api import Page, async_playwright

from tests.media_tools.clients import Running, missing
from tests.media_tools.player_programs import PROGRAMS, complaints, player
from tests.media_tools.web_players import ARGUMENTS, page_url, serving

_STARTS_MS = 30_000
_GOES_ON_S = 20.0  # a player that was in a stall when it was looked at has so long
_BROWSER_RUNG = "480"
_RUNGS = {"mpv": "360p", "ffmpeg": "480p"}


@dataclass(slots=True)
class Audience:
    """hls.js in Chromium, and mpv and ffmpeg where they are installed. Use `async with`."""

    multivariant: str
    folder: Path
    rungs: dict[str, str]  # URL of the media playlist by the rung's name
    programs: dict[str, Running] = field(default_factory=dict)
    _page: Page | None = None
    _began: tuple[float, float] = (0.0, 0.0)  # time of the loop and of the media
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def __aenter__(self) -> Self:
        try:
            address = self._stack.enter_context(serving())
            playwright = await self._stack.enter_async_context(async_playwright())
            browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
            self._stack.push_async_callback(browser.close)
            self._page = await browser.new_page()
            await self._page.goto(page_url(address, "hls", self.multivariant, height=_BROWSER_RUNG))
            for program, rung in _RUNGS.items():
                if not missing(PROGRAMS[program][0]):
                    running = player(program, self.rungs[rung], self.folder)
                    self.programs[program] = self._stack.enter_context(running)
            started = "window.seen.started !== null || window.seen.fatal.length"
            await self._page.wait_for_function(started, timeout=_STARTS_MS)
            self._began = asyncio.get_running_loop().time(), await self._time()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def check(self) -> str:
        """How they fared, in a line. AssertionError when one does not play any more, or complains."""
        assert self._page is not None
        for program, running in self.programs.items():
            assert not running.over, f"{program} has ended: {running.said}"
            assert complaints(running.said) == [], program
        before = await self._time()
        async with asyncio.timeout(_GOES_ON_S):
            while await self._time() < before + 1:
                await asyncio.sleep(0.2)
        seen: dict[str, Any] = await self._page.evaluate("({...window.seen, latency: window.seen.latency()})")
        assert seen["fatal"] == []
        level = await self._page.evaluate("window.player.levels[window.player.currentLevel].height")
        assert str(level) == _BROWSER_RUNG
        at, media = asyncio.get_running_loop().time() - self._began[0], await self._time() - self._began[1]
        return (
            f"hls.js moved {media:.1f} s in {at:.1f} s, {seen['stalls']} stalls, {seen['latency']:.1f} s behind; "
            f"{' and '.join(self.programs) or 'no program'} without a complaint"
        )

    async def _time(self) -> float:
        assert self._page is not None
        return float(await self._page.evaluate("document.querySelector('video').currentTime"))
