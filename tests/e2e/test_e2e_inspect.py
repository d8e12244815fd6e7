"""What `inspect` says of our own broadcasts: nothing."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.e2e_node import ROOT, Channel, Node
from tests.media_tools.clips import Clip, ClipMaker
from tests.media_tools.publisher import Publisher

pytestmark = pytest.mark.e2e

WATCHED_S = 9
# When parts come is a question of the machine's speed, which is not asserted here.
_SPEED = {"CADENCE-PART", "CADENCE-SEG", "X-PART-SKEW"}


def _inspected(node: Node, channel: Channel) -> dict[str, Any]:
    url = node.hls(channel)
    until = time.monotonic() + 15
    while not _playable(url):
        assert time.monotonic() < until, "never playable"
        time.sleep(0.1)
    done = subprocess.run(
        [sys.executable, "-m", "appliance", "inspect", url, "--seconds", str(WATCHED_S), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (1 if report["violated"]["MUST"] or report["violated"]["PLAYER"] else 0), done.stderr
    return report


def _playable(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        error.close()
        return False


def _assert_clean(report: dict[str, Any], renditions: int) -> None:
    assert [one for one in report["violations"] if one["name"] not in _SPEED] == []
    assert len(report["renditions"]) == renditions
    for rendition in report["renditions"]:
        assert rendition["low_latency"]
        assert rendition["segments"] >= 2
        assert rendition["parts"] > 5


def _usual(clips: ClipMaker) -> Clip:
    return clips.clip(60)


def _with_b_frames(clips: ClipMaker) -> Clip:
    return clips.clip(20, b_frames=2)


def _sound(clips: ClipMaker) -> Clip:
    return clips.clip(20, video=False)


def _picture(clips: ClipMaker) -> Clip:
    return clips.clip(20, audio=False)


@pytest.mark.parametrize(
    ("clip", "renditions"),
    [
        (_usual, 4),
        pytest.param(_with_b_frames, 4, marks=pytest.mark.slow),
        pytest.param(_sound, 1, marks=pytest.mark.slow),
        pytest.param(_picture, 3, marks=pytest.mark.slow),
    ],
)
def test_nothing_is_violated(
    node: Node, clips: ClipMaker, clip: Callable[[ClipMaker], Clip], renditions: int
) -> None:
    channel = node.channel("inspected")
    with Publisher(clip(clips), channel.publish_url):
        _assert_clean(_inspected(node, channel), renditions)
