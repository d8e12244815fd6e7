"""What `inspect` says of our own broadcasts: nothing."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.e2e_node import ROOT, Channel, Node
from tests.media_tools.clips import Clip, ClipMaker
from tests.media_tools.harmed import blind, late, skip, thin
from tests.media_tools.publisher import Publisher

pytestmark = pytest.mark.e2e

WATCHED_S = 8
# When parts come is a question of the machine's speed, which is not asserted here.
_SPEED = {"CADENCE-PART", "CADENCE-SEG", "X-PART-SKEW"}


def _inspected(node: Node, channel: Channel, seconds: int = WATCHED_S) -> dict[str, Any]:
    url = node.hls(channel)
    until = time.monotonic() + 15
    while not _playlist(url):
        assert time.monotonic() < until, "never playable"
        time.sleep(0.1)
    done = subprocess.run(
        [sys.executable, "-m", "appliance", "inspect", url, "--seconds", str(seconds), "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (1 if report["violated"]["MUST"] or report["violated"]["PLAYER"] else 0), done.stderr
    return report


def _violated(report: dict[str, Any]) -> list[str]:
    return [f"{one['name']}: {one['evidence']}" for one in report["violations"] if one["name"] not in _SPEED]


def _playlist(url: str) -> str:
    """Empty while there is none."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            text: str = answer.read().decode()
            return text
    except urllib.error.HTTPError as error:
        error.close()
        return ""


def _assert_clean(report: dict[str, Any], renditions: int) -> None:
    assert not _violated(report)
    assert 1 <= len(report["renditions"]) <= renditions  # a busy machine makes fewer, and lets some of them pause
    for rendition in report["renditions"]:
        assert rendition["low_latency"]
        if "/source/" in rendition["url"] or "/audio/" in rendition["url"]:
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


@pytest.mark.slow
def test_nothing_is_violated_where_key_frames_come_as_they_like(node: Node, tmp_path: Path) -> None:
    """For viewers who come once the source is known to have segments without a key frame, and was made anew."""
    clip = Clip(tmp_path / "irregular.flv", 45)
    subprocess.run(
        [
            *("ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=640x360:r=30"),
            *("-f", "lavfi", "-i", "sine=r=44100", "-t", str(clip.seconds), "-c:v", "libx264"),
            *("-preset", "ultrafast", "-bf", "2", "-g", "250", "-sc_threshold", "0", "-c:a", "aac"),
            *("-force_key_frames", "0,0.7,2.9,3.4,7.1,8,8.5,15,15.5,22,24,24.5,33", str(clip.path)),
        ],
        check=True,
        timeout=60,
    )
    channel = node.channel("irregular")
    with Publisher(clip, channel.publish_url):
        until = time.monotonic() + 25
        while "/source/" in (listed := _playlist(node.hls(channel))) or not listed:
            assert time.monotonic() < until, "the source is not made anew"
            time.sleep(0.2)
        report = _inspected(node, channel)
    # The segments from before are as long as the encoder made them, and a busy machine makes one rung only.
    assert not [told for told in _violated(report) if not told.startswith(("IDR-2S", "MV-SEVERAL"))]


@pytest.mark.slow
def test_slides_that_are_followed_by_action_violate_nothing(node: Node, tmp_path: Path) -> None:
    clip = Clip(tmp_path / "slides.flv", 30)
    scenes = "color=s=hd720:r=30:d=12[a];testsrc2=s=hd720:r=30:d=18,noise=alls=60:allf=t[b];[a][b]concat[out0]"
    subprocess.run(
        [
            *("ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", scenes),
            *(
                "-f",
                "lavfi",
                "-i",
                "sine=r=44100",
                "-t",
                str(clip.seconds),
                "-c:v",
                "libx264",
                "-pix_fmt",
                "yuv420p",
            ),
            *("-preset", "ultrafast", "-g", "60", "-sc_threshold", "0", "-b:v", "2M", "-maxrate", "2M"),
            *("-bufsize", "2M", "-c:a", "aac", "-b:a", "128k", str(clip.path)),
        ],
        check=True,
        timeout=60,
    )
    channel = node.channel("slides")
    with Publisher(clip, channel.publish_url):
        _assert_clean(_inspected(node, channel, 20), 4)


@pytest.mark.slow
@pytest.mark.parametrize(("harm", "share"), [(thin, 0.02), (skip, 0.1)])
def test_nothing_is_violated_where_pictures_are_left_out(
    node: Node, clips: ClipMaker, tmp_path: Path, harm: Callable[[Clip, Path, float, int], Clip], share: float
) -> None:
    clip = harm(clips.clip(30), tmp_path / "harmed.flv", share, 4)
    channel = node.channel("holes")
    with Publisher(clip, channel.publish_url):
        _assert_clean(_inspected(node, channel, 16), 4)


@pytest.mark.slow
def test_nothing_is_violated_while_only_sound_comes(node: Node, clips: ClipMaker, tmp_path: Path) -> None:
    clip = blind(clips.clip(60), tmp_path / "blind.flv", 9.3, 19.5)
    channel = node.channel("blind")
    with Publisher(clip, channel.publish_url, interleave_s=0.1):
        report = _inspected(node, channel, 24)
        _assert_clean(report, 4)
        listed = {
            name: _playlist(next(one["url"] for one in report["renditions"] if f"/{name}/" in one["url"]))
            for name in ("source", "audio")
        }
        assert 5 <= listed["source"].count("#EXT-X-GAP") <= 8
        assert "GAP" not in listed["audio"], "the sound has no hole"
        begun = {name: text.count("#EXT-X-PROGRAM-DATE-TIME") for name, text in listed.items()}
        assert abs(begun["source"] - begun["audio"]) <= 1


@pytest.mark.slow
def test_pictures_that_come_too_late_to_be_shown_violate_nothing(
    node: Node, clips: ClipMaker, tmp_path: Path
) -> None:
    clip = late(clips.clip(60), tmp_path / "late.flv", 12.2, 14.9)
    channel = node.channel("late")
    with Publisher(clip, channel.publish_url, interleave_s=0.1):
        report = _inspected(node, channel, 20)
        _assert_clean(report, 4)
        listed = _playlist(next(one["url"] for one in report["renditions"] if "/source/" in one["url"]))
        assert "#EXT-X-GAP" in listed


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
