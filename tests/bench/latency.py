"""Picture to picture: from the moment a numbered picture is drawn to the moment Chromium paints it.

A real encoder publishes numbered pictures drawn in real time; players show them; each painted frame's number is
read back from a canvas on the same clock. The limit is what the protocol itself costs: three part targets of
hold-back. Watched: the watch page at the default part target, then hls.js, shaka and video.js by themselves,
hls.js also at parts of 0.2 s. video.js is started as docs/players.md says; as it comes (videojs-alone) it has no
limit, for how it does is chance there.

`--whip`: by WebRTC instead of RTMP.

    ./nearcast bench latency [--whip] [--seconds=60] [--players=page,hls,shaka,videojs,videojs-alone]
"""

import argparse
import datetime as dt
import itertools
import statistics
import sys
import time
import urllib.error
import urllib.request
from contextlib import AbstractContextManager
from typing import NamedTuple

from playwright.sync_api import Page, sync_playwright

from appliance.engines.certificate import self_signed
from tests.e2e.e2e_node import Channel, Node
from tests.media_tools.clips import BAND, BITS, HEIGHT, RATE
from tests.media_tools.painted import SAMPLER, publishing
from tests.media_tools.web_players import ARGUMENTS, page_url, serving

SETTLE_S = 8
RUNNING_S = 6  # that a broadcast is on before a player by itself comes: sooner there is no hold-back to take
_HOLD_BACK = 3  # part targets


class Case(NamedTuple):
    """Who watches, at which part target, and the median that is aimed at, in seconds; 0: none is."""

    player: str
    part_target_s: float
    target_s: float


_CASES = (
    Case("page", 0.35, 1.4),
    Case("hls", 0.35, 1.4),
    Case("shaka", 0.35, 1.9),
    Case("videojs", 0.35, 2.0),
    Case("videojs-alone", 0.35, 0.0),
    Case("hls", 0.2, 1.15),
)


def main(argv: list[str] | None = None) -> int:
    """Prints median, 95th percentile and stalls of each case."""
    options = _options(argv or [])
    wanted = [case for case in _CASES if case.player in options.players.split(",")]
    missed = 0
    with serving() as player_page:
        for part_target_s, cases in itertools.groupby(wanted, key=lambda case: case.part_target_s):
            node = Node({"NEARCAST__MEDIA__PART_TARGET_S": str(part_target_s)})
            node.start()
            try:
                missed += sum(not _measured(node, case, player_page, options) for case in cases)
            finally:
                node.stop()
                node.remove()
    return min(missed, 1)


def _options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./nearcast bench latency")
    parser.add_argument("--whip", action="store_true", help="publish by WebRTC")
    parser.add_argument("--seconds", type=float, default=60, help="how long each player is watched")
    parser.add_argument("--players", default="page,hls,shaka,videojs,videojs-alone", help="those that are watched")
    return parser.parse_args(argv)


def _publishing(node: Node, channel: Channel, *, whip: bool) -> AbstractContextManager[float]:
    if not whip:
        return publishing(channel.publish_url)
    files = self_signed(node.data / "encoder", ["encoder"], dt.datetime.now(dt.UTC))
    given = [f"authorization={channel.key}", f"cert_file={files.certificate}", f"key_file={files.key}"]
    return publishing(f"{node.web}/whip", whip=given)


def _measured(node: Node, case: Case, player_page: str, options: argparse.Namespace) -> bool:
    """Whether the case reached its target."""
    channel, seconds = node.channel("latency"), float(options.seconds)
    with _publishing(node, channel, whip=options.whip) as start, sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        page = browser.new_page(bypass_csp=True)  # the sampler below is not the page's own script
        if case.player == "page":
            page.goto(f"{node.web}/{channel.name}")
            page.wait_for_function("() => document.documentElement.dataset.state === 'playing'", timeout=20_000)
        else:
            _await_live(node.hls(channel))
            time.sleep(RUNNING_S)
            hold = str(_HOLD_BACK * case.part_target_s)
            page.goto(page_url(player_page, case.player, node.hls(channel), hold=hold))
            page.wait_for_function("() => window.seen.started !== null", timeout=30_000)
        stalls_of = "window.nearcast.player.stalls()" if case.player == "page" else "window.seen.stalls"
        samples, stalls = _watch(page, stalls_of, seconds)
        said = page.evaluate("window.seen ? [...window.seen.fatal, ...window.seen.errors] : []")
        browser.close()
    if not samples:
        print(f"latency: {case.player}, parts of {case.part_target_s} s: no picture was painted; it said {said}")
        return False
    delays = sorted(painted / 1000 - (start + number / RATE) for painted, number in samples)
    median, late = statistics.median(delays), delays[int(len(delays) * 0.95)]
    floor = _HOLD_BACK * case.part_target_s
    print(
        f"latency: {case.player}, parts of {case.part_target_s} s: picture to picture median {median:.2f} s "
        f"({median / floor:.2f}x the hold-back), p95 {late:.2f} s, {len(delays)} frames, {stalls} stalls"
        + (f"; aimed at {case.target_s} s" if case.target_s else "")
    )
    return not case.target_s or (median <= case.target_s and not stalls)


def _await_live(url: str) -> None:
    """The players by themselves do not wait for a broadcast to begin."""
    until = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except urllib.error.HTTPError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _watch(page: Page, stalls_of: str, seconds: float) -> tuple[list[tuple[float, int]], int]:
    page.wait_for_timeout(SETTLE_S * 1000)
    before = page.evaluate(stalls_of)
    page.evaluate(SAMPLER, [BAND, BITS, HEIGHT])
    page.wait_for_timeout(seconds * 1000)
    samples = page.evaluate("window.samples")
    return samples, page.evaluate(stalls_of) - before


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
