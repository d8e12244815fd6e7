"""Encoded streams as an encoder's RTMP messages: enhanced tags with their stamps."""

from collections.abc import Iterable
from typing import NamedTuple

from edge.protocols.codecs import avc
from edge.protocols.flv import TagKind, audio_tag, video_tag
from tests.media_tools.encoded import RATE, SAMPLE_RATE, Stream


class Body(NamedTuple):
    """An RTMP video or audio message."""

    is_video: bool
    stamp: int
    body: bytes


def video_bodies(codec: str, stream: Stream, *, track: int = 0, start_ms: int = 0, frames: int = 0) -> list[Body]:
    """The stream again and again until there are `frames` pictures (0: once), its configuration first."""
    config = avc.join_avcc(()) if not stream.extra else stream.extra
    out = [Body(True, start_ms, video_tag(codec, TagKind.CONFIG, key=True, track=track, data=config))]
    count = frames or len(stream.units)
    first = stream.units[0].dts
    for index in range(count):
        unit = stream.units[index % len(stream.units)]
        number = index - index % len(stream.units) + unit.dts - first
        cts_ms = round((unit.pts - unit.dts) * 1000 / RATE)
        body = video_tag(codec, TagKind.FRAME, key=unit.key, cts_ms=cts_ms, track=track, data=unit.data)
        out.append(Body(True, start_ms + number * 1000 // RATE, body))
    return out


def audio_bodies(
    codec: str, stream: Stream, samples: int, *, track: int = 0, start_ms: int = 0, frames: int = 0
) -> list[Body]:
    """The same for audio frames of `samples` each."""
    config = [] if codec in ("ac-3", "ec-3") else [stream.extra]
    out = [Body(False, start_ms, audio_tag(codec, TagKind.CONFIG, track=track, data=data)) for data in config]
    for index in range(frames or len(stream.units)):
        data = stream.units[index % len(stream.units)].data
        body = audio_tag(codec, TagKind.FRAME, track=track, data=data)
        out.append(Body(False, start_ms + index * samples * 1000 // SAMPLE_RATE, body))
    return out


def interleaved(*tracks: Iterable[Body]) -> list[Body]:
    """By time, each track in its order."""
    return sorted((body for track in tracks for body in track), key=lambda body: body.stamp)
