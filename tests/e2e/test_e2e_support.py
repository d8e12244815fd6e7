"""What a supporter sees of an encoder, and what the owner of a key can do about one."""

import json
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.e2e_node import Node
from tests.media_tools.clips import ClipMaker
from tests.media_tools.publisher import Publisher

pytestmark = pytest.mark.e2e


def until_live(node: Node, name: str) -> None:
    until = time.monotonic() + 10
    while not any(entry["channel"] == name and entry["state"] == "live" for entry in node.status()["broadcasts"]):
        assert time.monotonic() < until, "never live"
        time.sleep(0.1)


def test_session_and_capture_of_an_encoder(node: Node, clips: ClipMaker) -> None:
    channel = node.channel("seen")
    with Publisher(clips.clip(25), channel.publish_url):
        until_live(node, channel.name)
        made = json.loads(node.command("capture", channel.name, "--seconds", "4", "--json"))
        (session,) = [entry for entry in node.status()["sessions"] if entry["channel"] == channel.name]
    assert (session["kind"], session["slot"], session["address"]) == ("rtmp", "primary", "127.0.0.1")
    assert session["bit_rate"] > 100_000
    assert session["rtt_ms"] is not None
    assert [event["code"] for event in session["events"]] == ["connected", "on_air"]
    file = Path(made["file"])
    key = channel.publish_url.rpartition("/")[2].encode()
    assert key not in file.read_bytes() + file.with_suffix(".times").read_bytes()
    probe = ["ffprobe", "-v", "error", "-count_packets", "-show_entries", "stream=codec_name,nb_read_packets"]
    said = subprocess.run([*probe, "-of", "csv=p=0", file], capture_output=True, text=True, check=True).stdout
    counts = dict(line.split(",")[:2] for line in said.split())
    assert set(counts) == {"h264", "aac"}
    assert 80 <= int(counts["h264"]) <= 180


def test_capture_of_nobody(node: Node) -> None:
    channel = node.channel("silent")
    node.command("capture", channel.name, "--seconds", "1", code=1)


def test_revoked_key_cuts_its_encoder(node: Node, clips: ClipMaker) -> None:
    channel = node.channel("revoked")
    made = json.loads(node.command("channel", "add-key", channel.name, "--label", "old laptop", "--json"))
    with Publisher(clips.clip(30), f"{made['rtmp_url']}/{made['stream_key']}") as publisher:
        until_live(node, channel.name)
        assert "old laptop" in node.command("channel", "keys", channel.name, "--json")
        began = time.monotonic()
        node.command("channel", "revoke-key", channel.name, made["key_id"])
        publisher.wait(10)
        took = time.monotonic() - began
    print(f"cut {took:.1f} s after the command began")
    assert took < 5
