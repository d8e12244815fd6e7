"""Publishing as encoders do, playing as players do, and everything else that may come to the RTMP port."""

import asyncio
import contextlib
import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.e2e.e2e_checks import VIDEO, assert_every_picture, assert_nothing_missing
from tests.e2e.e2e_node import Channel, Node
from tests.media_tools.clips import ClipMaker
from tests.media_tools.hls_client import HlsRecorder
from tests.media_tools.publisher import Publisher

pytestmark = pytest.mark.e2e

_TLS_HELLO = bytes.fromhex("160301002f0100002b0303") + bytes(range(32)) + bytes.fromhex("000004002f00350100")
STRANGERS = {
    "nothing": b"",
    "random bytes": os.urandom(4096),
    "half a handshake": b"\x03" + bytes(700),
    "handshake and no more": b"\x03" + bytes(1536),
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": _TLS_HELLO,
    "handshake, then garbage": b"\x03" + bytes(1536) + bytes(1536) + b"\xff" * 3000,
}


def status_of(url: str) -> int:
    """HTTP status of a GET, 0 without an answer."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


@pytest.fixture(scope="module")
def live(node: Node, clips: ClipMaker) -> Iterator[tuple[Channel, float]]:
    """A channel that is live for the tests of this module, and how long it took to be playable."""
    channel = node.channel("live")
    assert status_of(node.hls(channel)) == 410
    with Publisher(clips.clip(60), channel.publish_url) as publisher:
        while status_of(node.hls(channel)) != 200:
            assert time.monotonic() - publisher.started < 15, "never playable"
            time.sleep(0.05)
        yield channel, time.monotonic() - publisher.started
        assert publisher.running, "the clip is too short for these tests"


def test_playable_within_four_seconds(live: tuple[Channel, float]) -> None:
    print(f"playable {live[1]:.2f} s after ffmpeg started")
    assert live[1] < 4.0


def test_unknown_channel_is_404(node: Node) -> None:
    assert status_of(node.hls("nobody-here")) == 404


def test_ffprobe_sees_every_rendition(node: Node, live: tuple[Channel, float]) -> None:
    done = subprocess.run(
        [
            "ffprobe",
            "-v",
            "warning",
            "-show_entries",
            "stream=codec_name,height",
            "-of",
            "csv=p=0",
            node.hls(live[0]),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == {"h264,720", "h264,480", "h264,360", "aac"}


def test_ffmpeg_plays_without_complaint(node: Node, live: tuple[Channel, float]) -> None:
    done = subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "warning", "-i", node.hls(live[0]), "-t", "4", "-f", "null", "-"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    complaints = [
        line for line in done.stderr.splitlines() if re.search("error|corrupt|invalid|concealing", line, re.I)
    ]
    assert not complaints, complaints


def test_wrong_key_is_refused_at_once(node: Node, clips: ClipMaker, live: tuple[Channel, float]) -> None:
    assert live
    clip = clips.clip(10)
    began = time.monotonic()
    with Publisher(clip, f"rtmp://127.0.0.1:{node.rtmp_port}/live/nck_wrong") as publisher:
        code, said = publisher.wait(10)
        took = time.monotonic() - began
    assert code != 0
    assert took < 1.0, f"{took:.2f} s: {said}"


def test_key_in_the_application_name_and_parameters(node: Node, clips: ClipMaker) -> None:
    channel = node.channel("parameters")
    with Publisher(clips.clip(10), f"{channel.publish_url}?bandwidthtest=0&x=y"):
        until = time.monotonic() + 8
        while status_of(node.hls(channel)) != 200:
            assert time.monotonic() < until
            time.sleep(0.1)


def test_publishing_in_tls(node: Node, clips: ClipMaker) -> None:
    """The node makes its own certificate; an encoder that does not insist on a signed one may publish."""
    channel = node.channel("secret")
    url = f"{node.endpoint('rtmps')}/{channel.publish_url.rpartition('/')[2]}"
    assert url.startswith("rtmps://")
    with Publisher(clips.clip(10), url):
        until = time.monotonic() + 8
        while status_of(node.hls(channel)) != 200:
            assert time.monotonic() < until
            time.sleep(0.1)


def test_replaced_key_is_refused_in_words(node: Node, clips: ClipMaker) -> None:
    channel = node.channel("rotated")
    node.command("channel", "rotate-key", channel.name)
    with Publisher(clips.clip(10), channel.publish_url) as publisher:
        code, _ = publisher.wait(10)
    assert code != 0
    texts = [notice["text"] for notice in node.status()["notices"] if notice["channel"] == channel.name]
    assert texts == ["This stream key was replaced. Copy the new one."]


async def _stranger(port: int, content: bytes) -> float:
    """Seconds until the server closes a connection that sent `content`."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        with contextlib.suppress(OSError):
            writer.write(content)
            await writer.drain()
            async with asyncio.timeout(20):
                while await reader.read(65536):
                    pass
        return time.monotonic() - began
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_strangers_are_closed_and_nobody_is_disturbed(node: Node, clips: ClipMaker) -> None:
    clip = clips.clip(10)
    channel = node.channel("undisturbed")
    with Publisher(clip, channel.publish_url):
        async with HlsRecorder(node.hls(channel)) as recorder:
            await recorder.start()
            contents = [*STRANGERS.values(), *[b"\x06" * 500] * 40]
            times = await asyncio.gather(*(_stranger(node.rtmp_port, content) for content in contents))
            await recorder.wait_over(40)
    closed = dict(zip(STRANGERS, times, strict=False))
    print({name: round(seconds, 1) for name, seconds in closed.items()})
    assert all(seconds < 11.0 for seconds in closed.values()), closed
    assert max(times) < 11.0
    assert_nothing_missing(recorder)
    for name in VIDEO:
        assert_every_picture(recorder.tracks[name], 0, clip.frames - 1)


def test_slow_reader_of_media_is_no_danger(node: Node, live: tuple[Channel, float]) -> None:
    with socket.create_connection(("127.0.0.1", node.port_base)) as stuck:
        stuck.sendall(f"GET /live/{live[0].name}/index.m3u8 HTTP/1.1\r\nHost: x\r\n".encode())
        assert status_of(node.hls(live[0])) == 200
