"""Picture to picture: from the moment a numbered picture is drawn to the moment Chromium paints it.

A real encoder publishes numbered pictures drawn in real time; players show them; each painted frame's number is
read back from a canvas on the same clock. The limit is what the protocol itself costs: three part targets of
hold-back. Watched: the watch page at the default part target, then hls.js, shaka and video.js by themselves,
hls.js also at parts of 0.2 s.
"""

import itertools
import os
import statistics
import subprocess
import sys
import time
from fractions import Fraction
from typing import NamedTuple

import av
from playwright.sync_api import Page, sync_playwright

from tests.e2e.e2e_node import Node
from tests.media_tools.clips import BAND, BITS, HEIGHT, RATE, WIDTH, picture
from tests.media_tools.web_players import ARGUMENTS, page_url, serving

WATCH_S = 60
SETTLE_S = 8
_HOLD_BACK = 3  # part targets
_SAMPLER = """([band, bits, height]) => {
  const video = document.querySelector('[data-testid=video]');
  const canvas = document.createElement('canvas');
  canvas.width = bits * 4; canvas.height = 4;
  const context = canvas.getContext('2d', {willReadFrequently: true});
  window.samples = [];
  const read = () => {
    const now = performance.timeOrigin + performance.now();
    const h = video.videoHeight, w = video.videoWidth;
    context.drawImage(video, 0, h * band / height / 4, w, h * band / height / 2, 0, 0, bits * 4, 4);
    const pixels = context.getImageData(0, 2, bits * 4, 1).data;
    let number = 0;
    for (let i = 0; i < bits; i++) number = number * 2 + (pixels[(i * 4 + 2) * 4] > 125 ? 1 : 0);
    window.samples.push([now, number]);
    video.requestVideoFrameCallback(read);
  };
  video.requestVideoFrameCallback(read);
}"""


def publish(url: str) -> None:
    """Child process: draws picture n at start + n / RATE and encodes it at once; prints the start."""
    with av.open(url, "w", format="flv") as output:
        stream = output.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate = 3_000_000
        stream.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "60", "sc_threshold": "0"}
        stream.codec_context.thread_count = 1
        start = time.time() + 0.1
        print(start, flush=True)
        number = 0
        while True:
            time.sleep(max(0.0, start + number / RATE - time.time()))
            frame = picture(number % (1 << BITS))
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            output.mux(stream.encode(frame))
            number += 1


class Case(NamedTuple):
    """Who watches, at which part target, and the median that is aimed at, in seconds."""

    player: str
    part_target_s: float
    target_s: float


_CASES = (
    Case("page", 0.35, 1.4),
    Case("hls", 0.35, 1.4),
    Case("shaka", 0.35, 1.9),
    Case("videojs", 0.35, 2.0),
    Case("hls", 0.2, 1.15),
)


def main() -> int:
    """Prints median, 95th percentile and stalls of each case."""
    missed = 0
    with serving() as player_page:
        for part_target_s, cases in itertools.groupby(_CASES, key=lambda case: case.part_target_s):
            node = Node({"NEARCAST__MEDIA__PART_TARGET_S": str(part_target_s)})
            node.start()
            try:
                missed += sum(not _measured(node, case, player_page) for case in cases)
            finally:
                node.stop()
                node.remove()
    return min(missed, 1)


def _measured(node: Node, case: Case, player_page: str) -> bool:
    """Whether the case reached its target."""
    channel = node.channel("latency")
    code = f"from tests.bench.latency import publish; publish({channel.publish_url!r})"
    publisher = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ)
    try:
        assert publisher.stdout is not None
        start = float(publisher.stdout.readline())
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
            page = browser.new_page(bypass_csp=True)  # the sampler below is not the page's own script
            if case.player == "page":
                page.goto(f"{node.web}/{channel.name}")
                page.wait_for_function("() => document.documentElement.dataset.state === 'playing'", timeout=20_000)
            else:
                hold = str(_HOLD_BACK * case.part_target_s)
                page.goto(page_url(player_page, case.player, node.hls(channel), hold=hold))
                page.wait_for_function("() => window.seen.started !== null", timeout=30_000)
            stalls_of = "window.nearcast.player.stalls()" if case.player == "page" else "window.seen.stalls"
            samples, stalls = _watch(page, stalls_of)
            browser.close()
    finally:
        publisher.kill()
        publisher.wait()
    delays = sorted(painted / 1000 - (start + number / RATE) for painted, number in samples)
    median, late = statistics.median(delays), delays[int(len(delays) * 0.95)]
    floor = _HOLD_BACK * case.part_target_s
    print(
        f"latency: {case.player}, parts of {case.part_target_s} s: picture to picture median {median:.2f} s "
        f"({median / floor:.2f}x the hold-back), p95 {late:.2f} s, {len(delays)} frames, {stalls} stalls; "
        f"aimed at {case.target_s} s"
    )
    return median <= case.target_s and not stalls


def _watch(page: Page, stalls_of: str) -> tuple[list[tuple[float, int]], int]:
    page.wait_for_timeout(SETTLE_S * 1000)
    before = page.evaluate(stalls_of)
    page.evaluate(_SAMPLER, [BAND, BITS, HEIGHT])
    page.wait_for_timeout(WATCH_S * 1000)
    samples = page.evaluate("window.samples")
    return samples, page.evaluate(stalls_of) - before


if __name__ == "__main__":
    sys.exit(main())
