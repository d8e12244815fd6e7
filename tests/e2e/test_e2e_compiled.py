"""A node whose launcher has compiled the hot modules of ingest."""

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edge import compiled
from tests.e2e.e2e_node import Node
from tests.media_tools.clips import ClipMaker
from tests.media_tools.publisher import Publisher
from tests.support.compiled import BUILD_S, built

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2 * BUILD_S)]


def test_what_compiled_modules_cut_is_played_without_complaint(
    fresh_node: Callable[..., Node], clips: ClipMaker
) -> None:
    folder = built()
    node = fresh_node(**{compiled.VARIABLE: str(folder)})
    loaded = Path(f"/proc/{node.roles()['ingest'].pid}/maps").read_text(encoding="utf-8")
    assert f"{folder}/" in loaded
    channel = node.channel("compiled")
    with Publisher(clips.clip(20), channel.publish_url) as publisher:
        while (node.broadcast(channel) or {}).get("state") != "live":
            assert time.monotonic() - publisher.started < 15, "never live"
        argv = ["ffmpeg", "-nostdin", "-v", "warning", "-i", node.hls(channel), "-t", "4", "-f", "null", "-"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert not re.findall("(?i).*(?:error|corrupt|invalid|concealing).*", done.stderr)
