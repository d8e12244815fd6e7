"""What a channel looks like now, as pages and other sites fetch it."""

import asyncio
import time

import aiohttp
import av
import pytest
from av.video.frame import VideoFrame

from tests.e2e.e2e_node import Node
from tests.media_tools.clips import RATE, ClipMaker, read_number
from tests.media_tools.hls_client import HlsRecorder
from tests.media_tools.publisher import Publisher

pytestmark = pytest.mark.e2e

_DECODERS = {"image/jpeg": "mjpeg", "image/webp": "webp"}


async def fetch(session: aiohttp.ClientSession, url: str, deadline_s: float) -> tuple[bytes, str]:
    """Body and media type, asked for until it is there."""
    until = time.monotonic() + deadline_s
    while True:
        async with session.get(url) as answer:
            if answer.status == 200:
                return await answer.read(), answer.content_type
            assert answer.status in (404, 410), answer.status
            assert time.monotonic() < until, f"{url} answers {answer.status} after {deadline_s} s"
        await asyncio.sleep(0.1)


def opened(data: bytes, kind: str) -> VideoFrame:
    decoder = av.CodecContext.create(_DECODERS[kind], "r")
    (frame,) = decoder.decode(av.Packet(data)) + decoder.decode(None)
    assert isinstance(frame, VideoFrame)
    return frame


async def test_pictures_of_a_live_channel(node: Node, clips: ClipMaker) -> None:
    clip = clips.clip(8)
    channel = node.channel("pictures")
    base = f"{node.web}/thumb/{channel.name}"
    async with aiohttp.ClientSession() as session:
        with Publisher(clip, channel.publish_url) as publisher:
            async with HlsRecorder(node.hls(channel)) as recorder:
                await recorder.start()
                data, kind = await fetch(session, f"{base}.jpg", 3)
                first = opened(data, kind)
                assert (kind, first.width, first.height) == ("image/jpeg", 640, 360)
                assert read_number(first) % (2 * RATE) == 0, "a frame that starts a segment"
                for size in (320, 640, 1280):
                    for form in ("jpg", "webp"):
                        shown = opened(*await fetch(session, f"{base}/{size}.{form}", 3))
                        assert (shown.width, shown.height) == (size, size * 9 // 16)
                data, kind = await fetch(session, f"{base}.webp", 3)
                assert kind == "image/webp" and opened(data, kind).width == 640
                await recorder.wait_for(6.5, 20)
                now = read_number(opened(*await fetch(session, f"{base}.jpg", 3)))
                age = (time.monotonic() - publisher.started) - now / RATE
                print(f"the picture is {age:.1f} s old")
                assert now >= 2 * RATE and now > read_number(first)
                await check_storyboard(session, base)
                await recorder.wait_over(40)
        async with session.get(f"{base}.jpg") as answer:
            assert answer.status == 410


async def check_storyboard(session: aiohttp.ClientSession, base: str) -> None:
    """Each cue's tile shows the frame of its time."""
    text, kind = await fetch(session, f"{base}/storyboard.vtt", 3)
    assert kind == "text/vtt"
    blocks = [block.split("\n") for block in text.decode().strip().split("\n\n")[1:]]
    assert len(blocks) >= 2
    numbers, starts = [], []
    for times, place in blocks:
        uri, _, where = place.partition("#xywh=")
        x, y, width, height = (int(number) for number in where.split(","))
        sheet = opened(*await fetch(session, f"{base}/{uri}", 3))
        numbers.append(number_at(sheet, x, y, width, height))
        hours, minutes, seconds = times.split(" --> ")[0].split(":")
        starts.append(int(hours) * 3600 + int(minutes) * 60 + float(seconds))
    for number, start in zip(numbers, starts, strict=True):
        assert abs((start - starts[0]) - (number - numbers[0]) / RATE) < 0.05, (numbers, starts)


def number_at(sheet: VideoFrame, x: int, y: int, width: int, height: int) -> int:
    """The number that a tile shows."""
    plane = sheet.planes[0]
    data = bytes(plane)
    tile = VideoFrame(width, height, "gray")
    rows = [data[line * plane.line_size + x : line * plane.line_size + x + width] for line in range(y, y + height)]
    stride = tile.planes[0].line_size
    tile.planes[0].update(b"".join(row.ljust(stride, b"\0") for row in rows))
    return read_number(tile)
