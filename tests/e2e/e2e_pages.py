"""Pages of a node in headless Chromium, and a network that can be cut between them."""

import asyncio
import contextlib
import time
from typing import Self

from playwright.async_api import Browser, Page

from tests.e2e.e2e_node import ROOT, Channel, Node

BUILT = ROOT / "edge" / "web" / "dist" / "index.html"
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
    "--mute-audio",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
]
PLAYS = """() => {
  const video = window.nearcast?.player?.video;
  return video !== undefined && !video.paused && video.currentTime > 0.5;
}"""
AT_THE_EDGE = """() => {
  const player = window.nearcast?.player;
  const latency = player?.latency();
  return latency !== undefined && latency !== null && latency < 3 && !player.video.paused
    && player.video.readyState >= 3;
}"""
PLAY_S = 10.0
_CHUNK = 1 << 16


class Watcher:
    """A page of a channel and what went wrong on it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    async def number(self, what: str) -> float:
        """A figure of the player."""
        return float(await self.page.evaluate(f"() => window.nearcast.player.{what}() ?? -1"))

    async def time(self) -> float:
        """Position of the picture in seconds."""
        return float(await self.page.evaluate("() => window.nearcast.player.video.currentTime"))

    async def plays(self) -> float:
        """Waits until the picture moves; seconds that took."""
        began = time.monotonic()
        await self.page.wait_for_function(PLAYS, timeout=PLAY_S * 1000)
        return time.monotonic() - began

    async def until(self, condition: str, deadline_s: float = 10.0) -> float:
        """Waits until a JavaScript expression of `player` is true; seconds that took."""
        began = time.monotonic()
        code = f"() => {{ const player = window.nearcast.player; return {condition}; }}"
        await self.page.wait_for_function(code, timeout=deadline_s * 1000, polling=50)
        return time.monotonic() - began


async def watch(browser: Browser, node: Node, channel: Channel, *, site: str = "") -> Watcher:
    """Opens the watch page. `site`: where the node is reached, instead of directly."""
    watcher = Watcher(await browser.new_page(viewport={"width": 1024, "height": 640}))
    await watcher.page.goto(f"{site or node.web}/{channel.name}", wait_until="domcontentloaded")
    return watcher


async def until_live(node: Node, channel: Channel) -> None:
    """Waits until the channel is on the air."""
    async with asyncio.timeout(15):
        while (await asyncio.to_thread(node.broadcast, channel) or {}).get("state") != "live":
            await asyncio.sleep(0.2)


class Wire:
    """A TCP way to a port of this machine that can be cut: connections that a cut hit stay dead."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cut = False
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()

    @property
    def site(self) -> str:
        """Where it is to be reached."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def cut(self) -> None:
        """From now on nothing comes through, and nothing says so."""
        self._cut = True

    def heal(self) -> None:
        """New connections come through."""
        self._cut = False

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            inner, outer = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                dead = asyncio.Event()
                await asyncio.gather(self._pass(reader, outer, dead), self._pass(inner, writer, dead))
            finally:
                await _shut(outer)
        except OSError:
            return  # one of the two is gone
        finally:
            await _shut(writer)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, dead: asyncio.Event) -> None:
        while data := await reader.read(_CHUNK):
            if self._cut:
                dead.set()
            if not dead.is_set():
                writer.write(data)
                await writer.drain()
        writer.close()


async def _shut(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
