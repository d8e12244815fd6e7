"""Picture to picture: from the moment a numbered picture is drawn to the moment Chromium paints it.

A real encoder publishes numbered pictures drawn in real time; the watch page plays them with hls.js at the
default part target; each painted frame's number is read back from a canvas on the same clock. The limit is
what the protocol itself costs: three part targets of hold-back.
"""

import os
import statistics
import subprocess
import sys
import time
from fractions import Fraction

import av
from playwright.sync_api import Page, sync_playwright

from tests.e2e.e2e_node import Node
from tests.media_tools.clips import BAND, BITS, HEIGHT, RATE, WIDTH, picture

TARGET_S = 2.0
WATCH_S = 60
SETTLE_S = 8
CHROMIUM = [
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--autoplay-policy=no-user-gesture-required",
    "--mute-audio",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
]
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


def main() -> int:
    """Prints median, 95th percentile and stalls."""
    node = Node()
    node.start()
    publisher = None
    try:
        channel = node.channel("latency")
        url = channel.publish_url
        code = f"from tests.bench.latency import publish; publish({url!r})"
        publisher = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ
        )
        assert publisher.stdout is not None
        start = float(publisher.stdout.readline())
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
            page = browser.new_page(bypass_csp=True)  # the sampler below is not the page's own script
            page.goto(f"{node.web}/{channel.name}")
            samples, stalls = _watch(page)
            browser.close()
    finally:
        if publisher is not None:
            publisher.kill()
        node.stop()
        node.remove()
    delays = sorted(painted / 1000 - (start + number / RATE) for painted, number in samples)
    median, late = statistics.median(delays), delays[int(len(delays) * 0.95)]
    frames = len(delays)
    print(f"latency: picture to picture median {median:.2f} s, p95 {late:.2f} s, {frames} frames, {stalls} stalls")
    print(f"latency: {median / (3 * 0.35):.2f}x the protocol's hold-back of 3 part targets; target {TARGET_S} s")
    return 0 if median <= TARGET_S and not stalls else 1


def _watch(page: Page) -> tuple[list[tuple[float, int]], int]:
    page.wait_for_function("() => document.documentElement.dataset.state === 'playing'", timeout=20_000)
    page.wait_for_timeout(SETTLE_S * 1000)
    before = page.evaluate("window.nearcast.player.stalls()")
    page.evaluate(_SAMPLER, [BAND, BITS, HEIGHT])
    page.wait_for_timeout(WATCH_S * 1000)
    samples = page.evaluate("window.samples")
    return samples, page.evaluate("window.nearcast.player.stalls()") - before


if __name__ == "__main__":
    sys.exit(main())
