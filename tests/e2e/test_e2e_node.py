"""The node as a thing that is started, asked, stopped and started again."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable

import pytest

from tests.e2e.e2e_node import ROOT, Node
from tests.media_tools.clips import ClipMaker
from tests.media_tools.hls_client import HlsRecorder
from tests.media_tools.publisher import Publisher

pytestmark = pytest.mark.e2e


async def test_channel_and_key_outlive_the_node(fresh_node: Callable[..., Node], clips: ClipMaker) -> None:
    node = fresh_node()
    channel = node.channel("lasting")
    first = await _publish(node, channel.publish_url, node.hls(channel), clips)
    node.stop()
    assert not node.processes()
    assert json.loads(node.command("status", "--json", code=1))["state"] == "stopped"
    took = node.start()
    print(f"second start {took:.1f} s")
    assert took < 15
    assert channel.name in node.command("channel", "list", "--json")
    second = await _publish(node, channel.publish_url, node.hls(channel), clips)
    assert first and second and first != second


async def _publish(node: Node, url: str, hls: str, clips: ClipMaker) -> str:
    with Publisher(clips.clip(10), url):
        async with HlsRecorder(hls) as recorder:
            await recorder.start()
            await recorder.wait_for(2, 20)
    until = time.monotonic() + 10
    while node.status()["broadcasts"]:
        assert time.monotonic() < until, "the broadcast does not end"
    return recorder.broadcast


@pytest.mark.slow
def test_a_detached_start_that_is_interrupted_leaves_nothing_running() -> None:
    node = Node()
    try:
        where = ["--data", str(node.data), "--port-base", str(node.port_base)]
        with subprocess.Popen(
            [sys.executable, "-m", "appliance", "up", "--detach", *where],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=subprocess.PIPE,
            text=True,
        ) as starting:
            until = time.monotonic() + 30
            while not (node.data / "logs" / "nats-edge.log").exists():
                assert time.monotonic() < until, "it does not start"
                time.sleep(0.02)
            starting.send_signal(signal.SIGINT)
            _, said = starting.communicate(timeout=60)
        assert starting.returncode == 1
        assert said == "stopping\n"
        assert not node.processes()
    finally:
        node.remove()


@pytest.mark.slow
def test_starts_without_a_network() -> None:
    if os.geteuid() != 0 or subprocess.run(["unshare", "-n", "true"], check=False).returncode:
        pytest.skip("making a network namespace needs root")
    node = Node()
    up = f"{sys.executable} -m appliance up --detach --data {node.data} --port-base {node.port_base}"
    stop = f"{sys.executable} -m appliance stop --data {node.data}"
    status = f"{sys.executable} -m appliance status --json --data {node.data}"
    try:
        done = subprocess.run(
            ["unshare", "-n", "sh", "-c", f"ip link set lo up && {up} && {status}; {stop}"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert '"state":"ready"' in done.stdout, f"{done.stdout}\n{done.stderr}\n{node.logs()}"
    finally:
        left = node.remove()
    assert not left


def test_second_node_on_the_same_data_is_refused(node: Node) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "appliance", "up", "--data", str(node.data), "--port-base", str(node.port_base)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "already runs" in done.stderr


def test_every_role_answers_with_metrics(node: Node) -> None:
    with urllib.request.urlopen(node.endpoint("metrics"), timeout=5) as answer:
        text = answer.read().decode()
    for name in ("nearcast_ingest_connections", "nearcast_transcode_broadcasts", "nearcast_origin_stored_bytes"):
        assert name in text
    assert node.status()["chat_history"] == {"store": "postgresql", "state": "answers"}
