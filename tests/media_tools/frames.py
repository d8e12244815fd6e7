"""Decoding what a player downloaded: which pictures are there, when, and where the beeps are."""

import io
from array import array
from dataclasses import dataclass
from fractions import Fraction

import av
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

from tests.media_tools.clips import is_flash, read_number
from tests.media_tools.hls_client import Track

_LOUD = 0.1


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture: the number it shows, its time in seconds, whether it is the flash of a second."""

    number: int
    at: Fraction
    flash: bool


def pictures(track: Track) -> list[Picture]:
    """Every picture of a rendition in presentation order. av.error.FFmpegError when it can't be decoded."""
    found = []
    for data in track.streams():
        with av.open(io.BytesIO(data), format="mp4") as file:
            stream = file.streams.video[0]
            stream.thread_type = "NONE"
            for frame in file.decode(stream):
                assert isinstance(frame, VideoFrame)
                assert frame.pts is not None and frame.time_base is not None
                found.append(Picture(read_number(frame), frame.pts * frame.time_base, is_flash(frame)))
    return found


@dataclass(frozen=True, slots=True)
class Sound:
    """A decoded audio rendition: first sample, end, begin of each beep, and holes between frames (seconds)."""

    start: Fraction
    end: Fraction
    beeps: list[float]
    holes: list[float]


def sound(track: Track) -> Sound:
    """Decodes an audio rendition."""
    beeps: list[float] = []
    holes: list[float] = []
    start = end = None
    quiet_since = -1.0
    for data in track.streams():
        with av.open(io.BytesIO(data), format="mp4") as file:
            for frame in file.decode(audio=0):
                assert isinstance(frame, AudioFrame)
                assert frame.pts is not None and frame.time_base is not None
                at = frame.pts * frame.time_base
                if end is not None and abs(at - end) > Fraction(1, 1000):
                    holes.append(float(at - end))
                start = at if start is None else start
                end = at + Fraction(frame.samples, frame.sample_rate)
                quiet_since = _listen(frame, float(at), quiet_since, beeps)
    assert start is not None and end is not None, "no audio"
    return Sound(start, end, beeps, holes)


def _listen(frame: AudioFrame, at: float, loud_at: float, beeps: list[float]) -> float:
    """Adds beginnings of beeps to `beeps`; returns when it was loud last."""
    levels = array("f", bytes(frame.planes[0])[: 4 * frame.samples])
    for index in range(0, len(levels), 8):
        if abs(levels[index]) > _LOUD:
            now = at + index / frame.sample_rate
            if now - loud_at > 0.5:
                beeps.append(now)
            loud_at = now
    return loud_at
