"""WebRTC viewers: what a packet costs against a loop of plain sendto, and picture to picture in Chromium.

Viewers that only count watch one broadcast; the CPU time of the role is divided by the packets that left. In the
same run the same number of packets of the same sizes is sent by nothing but sendto.
"""

import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
from playwright.sync_api import sync_playwright

from tests.e2e.e2e_node import Node
from tests.media_tools.clips import BAND, BITS, HEIGHT, Clip, ClipMaker
from tests.media_tools.painted import SAMPLER, delays_of, publishing
from tests.media_tools.raw_viewer import RawViewer
from tests.media_tools.whep_page import ARGUMENTS, WATCH
from tests.media_tools.whep_viewer import Answered

VIEWERS = 40
MEASURE_S = 10.0
WATCH_S = 20.0
SETTLE_S = 3.0
COST_TARGET = 5.0  # times a plain sendto of the same packet
DELAY_TARGET_S = 0.5
CLIP_S = 10
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Prints both; 1 when one missed its target."""
    node = Node({"NEARCAST__TRANSCODE__ENABLED": "no"})
    with tempfile.TemporaryDirectory() as folder:
        clip = ClipMaker(Path(folder)).clip(CLIP_S)
        node.start()
        try:
            return int(not _cost(node, clip)) | int(not _delay(node, clip))
        finally:
            node.stop()
            node.remove()


# --- what a packet costs


def _cost(node: Node, clip: Clip) -> bool:
    channel = node.channel("cost")
    with publishing(channel.publish_url, clip):
        pid = node.roles()["whep"].pid
        assert pid is not None
        _wait_live(node, channel.name)
        # viewers in a process of their own: what they take is not ours
        code = f"from tests.bench.whep import count; count({node.web!r}, {channel.name!r}, {VIEWERS})"
        pipe = subprocess.PIPE
        child = subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True)
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(SETTLE_S)
        before = _cpu_s(pid)
        child.stdin.write("go\n")
        child.stdin.flush()
        counted = (one.split(":") for one in child.stdout.readline().split())
        sizes = Counter({int(size): int(number) for size, number in counted})
        used = _cpu_s(pid) - before
        child.stdin.close()
        child.wait()
    packets = sizes.total()
    each, plain = used / packets, _plain(sizes)
    share = used / MEASURE_S / VIEWERS
    print(
        f"whep: {VIEWERS} viewers, {packets} packets: {each * 1e6:.1f} us of CPU each, plain sendto "
        f"{plain * 1e6:.1f} us ({each / plain:.1f}x, target {COST_TARGET}x), {share:.2%} of a core per viewer"
    )
    return each <= COST_TARGET * plain


def _wait_live(node: Node, channel: str) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{node.web}/live/{channel}/status.json") as answer,
        ):
            if "whep_url" in json.load(answer):
                break
        time.sleep(0.2)
    time.sleep(SETTLE_S)


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _plain(sizes: Counter[int]) -> float:
    """CPU seconds of one sendto, over as many packets of these sizes."""
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sink.bind(("127.0.0.1", 0))
    sender, address = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), sink.getsockname()
    data = [bytes(size) for size, count in sizes.items() for _ in range(count)]
    began = time.process_time()
    for one in data:
        sender.sendto(one, address)
    used = time.process_time() - began
    sender.close()
    sink.close()
    return used / len(data)


def count(web: str, channel: str, viewers: int) -> None:
    """Child process: says when all are connected, then counts the packets of `MEASURE_S` after a line came."""
    asyncio.run(_count(web, channel, viewers))


async def _count(web: str, channel: str, viewers: int) -> None:
    async with aiohttp.ClientSession() as session, AsyncExitStack() as stack:

        async def ask(method: str, path: str, body: str, fields: dict[str, str]) -> Answered:
            async with session.request(method, web + path, data=body, headers=fields) as answer:
                found = {name.lower(): value for name, value in answer.headers.items()}
                return Answered(answer.status, found, await answer.text())

        watching = [await stack.enter_async_context(RawViewer(ask, channel)) for _ in range(viewers)]
        print("connected", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        before = sum((one.sizes for one in watching), Counter[int]())
        await asyncio.sleep(MEASURE_S)
        sizes = sum((one.sizes for one in watching), Counter[int]()) - before
        print(*(f"{size}:{number}" for size, number in sizes.items()), flush=True)
        await asyncio.to_thread(sys.stdin.readline)


# --- picture to picture


def _delay(node: Node, clip: Clip) -> bool:
    channel = node.channel("delay")
    with publishing(channel.publish_url, clip) as start, sync_playwright() as play:
        _wait_live(node, channel.name)
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=list(ARGUMENTS))
        page = browser.new_page(bypass_csp=True)
        page.goto(f"{node.web}/healthz")
        first = page.evaluate(WATCH, f"{node.web}/whep/{channel.name}")["first"]
        page.wait_for_timeout(SETTLE_S * 1000)
        page.evaluate(SAMPLER, [BAND, BITS, HEIGHT])
        page.wait_for_timeout(WATCH_S * 1000)
        delays = sorted(delays_of(page.evaluate("window.samples"), start, clip))
        browser.close()
    median, late = statistics.median(delays), delays[int(len(delays) * 0.95)]
    print(
        f"whep: sent to painted, median {median:.3f} s (target {DELAY_TARGET_S}), p95 {late:.3f} s, "
        f"{len(delays)} of {WATCH_S * 30:.0f} pictures; first picture {first:.0f} ms after the offer"
    )
    return median <= DELAY_TARGET_S


if __name__ == "__main__":
    sys.exit(main())
