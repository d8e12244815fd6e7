"""Chromium watches by WHEP what an encoder sends by RTMP: how late, in step, and again after a crash."""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.e2e.e2e_node import Node
from tests.media_tools.clips import BAND, BITS, HEIGHT, ClipMaker
from tests.media_tools.painted import SAMPLER, delays_of, publishing
from tests.media_tools.whep_page import ARGUMENTS, STATS, WATCH

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/usr/bin/chromium").exists(), reason="needs Chromium"),
]
CLIP_S = 10


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of headless Chromium."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=list(ARGUMENTS))
        yield browser.new_page(bypass_csp=True)  # the scripts of these tests are not the page's own
        browser.close()


def watch(page: Page, node: Node, name: str, within_s: float = 15.0) -> float:
    """Watches as soon as there is something; milliseconds from the offer to the first picture."""
    page.goto(f"{node.web}/healthz")
    until = time.monotonic() + within_s
    while True:
        found = page.evaluate(WATCH, f"{node.web}/whep/{name}")
        if found["status"] == 201:
            return float(found["first"])
        assert time.monotonic() < until, found
        page.wait_for_timeout(200)


def test_well_below_a_second_behind_and_in_step(node: Node, page: Page, clips: ClipMaker) -> None:
    channel, clip = node.channel("whep"), clips.clip(CLIP_S)
    with publishing(channel.publish_url, clip) as start:
        first = watch(page, node, channel.name)
        page.evaluate(SAMPLER, [BAND, BITS, HEIGHT])
        page.wait_for_timeout(6_000)
        delays = delays_of(page.evaluate("window.samples"), start, clip)
        figures = page.evaluate(STATS)
    skew = figures["audio"]["estimatedPlayoutTimestamp"] - figures["video"]["estimatedPlayoutTimestamp"]
    median = statistics.median(delays)
    print(f"first picture {first:.0f} ms, behind {median:.3f} s, sound behind picture {skew:.0f} ms")
    assert len(delays) > 60
    assert median < 1.0
    assert abs(skew) < 250
    assert figures["audio"]["totalAudioEnergy"] > 0
    assert figures["video"]["framesDecoded"] > 60


def test_a_killed_role_is_back_and_so_are_its_viewers(victim: Node, page: Page, clips: ClipMaker) -> None:
    channel = victim.channel("whepkill")
    with publishing(channel.publish_url, clips.clip(CLIP_S)):
        watch(page, victim, channel.name)
        victim.kill("whep")
        page.wait_for_function("() => window.peer.connectionState !== 'connected'", timeout=30_000)
        victim.wait_ready(20.0, "whep")
        watch(page, victim, channel.name)
    assert victim.roles()["whep"].state == "ready"
