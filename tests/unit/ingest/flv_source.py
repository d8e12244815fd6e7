"""A synthetic encoder's FLV bodies: valid configurations, frames that say their number."""

from collections.abc import Iterator
from typing import NamedTuple

AVC_RECORD = bytes.fromhex("0142c01effe100196742c01ed900a02ff970110000030001000003003c0f162e4801000568cb83cb20")
OTHER_RECORD = bytes.fromhex(
    "01640028ffe1001967640028acd940780227e5c38400000fa40003a9803c60c65801000668ebe3cb22c0fdf8f800"
)
AAC_CONFIG = bytes.fromhex("1190")


class Body(NamedTuple):
    is_video: bool
    stamp: int
    body: bytes


def video_config(record: bytes = AVC_RECORD) -> Body:
    return Body(True, 0, b"\x17\0\0\0\0" + record)


def audio_config() -> Body:
    return Body(False, 0, b"\xaf\0" + AAC_CONFIG)


def picture(index: int, *, key: bool, stamp: int) -> Body:
    nal = bytes([0x65 if key else 0x41]) + index.to_bytes(4, "big") + b"p" * 40
    return Body(True, stamp, (b"\x17" if key else b"\x27") + b"\1\0\0\0" + len(nal).to_bytes(4, "big") + nal)


def sound(index: int, *, stamp: int) -> Body:
    return Body(False, stamp, b"\xaf\1" + index.to_bytes(4, "big"))


def media(
    seconds: float, *, start_ms: int = 0, gop: int = 60, video: bool = True, audio: bool = True
) -> list[Body]:
    """30 frames/s and AAC at 48 kHz, interleaved by time."""
    out: list[Body] = []
    if video:
        out += [picture(i, key=i % gop == 0, stamp=start_ms + i * 1000 // 30) for i in range(round(seconds * 30))]
    if audio:
        out += [sound(i, stamp=start_ms + i * 1024 // 48) for i in range(round(seconds * 48000 / 1024))]
    return sorted(out, key=lambda body: body.stamp)


def broadcast(seconds: float, **options: object) -> Iterator[Body]:
    """The same behind its configurations."""
    if options.get("video", True):
        yield video_config()
    if options.get("audio", True):
        yield audio_config()
    yield from media(seconds, **options)  # type: ignore[arg-type]
