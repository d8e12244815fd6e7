"""An encoder that speaks Enhanced RTMP: the numbered pictures and the beeps of the clips, as VP8 and Opus."""

import array
import asyncio
import contextlib
from fractions import Fraction
from typing import NamedTuple
from urllib.parse import urlsplit

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.video.codeccontext import VideoCodecContext

from edge.protocols.flv import TagKind
from edge.protocols.flv.writer import audio_tag, video_tag
from tests.media_tools.clips import GOP_S, HEIGHT, RATE, SAMPLE_RATE, WIDTH, level
from tests.media_tools.clips import picture as numbered
from tests.unit.protocols.rtmp_bytes import Encoder

_OPUS = 960
_BASE_MS = 1000


class Tag(NamedTuple):
    """A message of the encoder. `stamp` in milliseconds."""

    stamp: int
    is_video: bool
    body: bytes


def vp8_and_opus(seconds: int) -> list[Tag]:
    """1280x720 at 30/s with a GOP of 2 s, and stereo at 48 kHz, in the order of their stamps."""
    config = Tag(0, True, video_tag("vp08", TagKind.CONFIG, key=True, data=bytes(4) + _vp8_config()))
    return sorted([config, *_pictures(seconds), *_sound(seconds)], key=lambda tag: tag.stamp)


def _vp8_config() -> bytes:
    """VPCodecConfigurationRecord: profile 0, 8 bits, 4:2:0, colours of BT.709."""
    return bytes([0, 31, 0x82, 1, 1, 1, 0, 0])


def _pictures(seconds: int) -> list[Tag]:
    context = av.CodecContext.create("libvpx", "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    context.time_base, context.framerate = Fraction(1, RATE), Fraction(RATE)
    context.bit_rate, context.gop_size = 2_000_000, RATE * GOP_S
    context.options = {"deadline": "realtime", "cpu-used": "12", "lag-in-frames": "0"}
    packets = [packet for number in range(seconds * RATE) for packet in context.encode(numbered(number))]
    packets += context.encode(None)
    return [
        Tag(
            _BASE_MS + (packet.pts or 0) * 1000 // RATE,
            True,
            video_tag("vp08", TagKind.FRAME, key=packet.is_keyframe, data=bytes(packet)),
        )
        for packet in packets
    ]


def _sound(seconds: int) -> list[Tag]:
    context = av.CodecContext.create("libopus", "w")
    assert isinstance(context, AudioCodecContext)
    context.sample_rate, context.layout, context.format = SAMPLE_RATE, "stereo", "flt"
    context.time_base, context.bit_rate = Fraction(1, SAMPLE_RATE), 128_000
    context.open()
    packets = []
    for first in range(0, seconds * SAMPLE_RATE, _OPUS):
        frame = AudioFrame(format="flt", layout="stereo", samples=_OPUS)
        values = [level(first + index) for index in range(_OPUS) for _ in range(2)]
        frame.planes[0].update(array.array("f", values).tobytes())
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, first, Fraction(1, SAMPLE_RATE)
        packets += context.encode(frame)
    tags = [Tag(0, False, audio_tag("Opus", TagKind.CONFIG, data=bytes(context.extradata or b"")))]
    for packet in packets:
        stamp = _BASE_MS + round((packet.pts or 0) * 1000 / SAMPLE_RATE)
        tags.append(Tag(stamp, False, audio_tag("Opus", TagKind.FRAME, data=bytes(packet))))
    return tags


async def publish(url: str, tags: list[Tag]) -> None:
    """Sends `tags` to rtmp://HOST:PORT/live/KEY as their stamps say, and leaves in order."""
    place = urlsplit(url)
    key = place.path.rpartition("/")[2]
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    drain = asyncio.ensure_future(reader.read(-1))
    encoder = Encoder()
    writer.write(encoder.opening(key) + encoder.chunk_size(65_536))
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        for tag in tags:
            await asyncio.sleep(max(0.0, began + (tag.stamp - _BASE_MS) / 1000 - loop.time()))
            write = encoder.video if tag.is_video else encoder.audio
            writer.write(write(tag.stamp, tag.body))
            await writer.drain()
        writer.write(encoder.command("FCUnpublish", 6, None, key) + encoder.command("deleteStream", 7, None, 1))
        await writer.drain()
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        drain.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await drain
