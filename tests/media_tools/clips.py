"""Clips for publishing: every picture shows its own number, the middle of each second flashes and beeps.

The number is a row of sixteen black or white blocks across the top, so it survives scaling to 360 lines and
encoding at a few hundred kbit/s.
"""

import array
import functools
import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.video.frame import VideoFrame

WIDTH, HEIGHT, RATE = 1280, 720, 30
SAMPLE_RATE, SAMPLES = 48_000, 1024
GOP_S = 2
BITS = 16
BAND = 96  # lines of the counter
BEEP_S = 0.1
BLACK, WHITE = 16, 235
_PERIOD = 160  # columns
_RAMP = bytes(BLACK + 100 * (column % _PERIOD) // _PERIOD for column in range(2 * WIDTH))
_GREY = bytes([128]) * (WIDTH // 2 * HEIGHT // 2)


@dataclass(frozen=True, slots=True)
class Clip:
    """A file ready to be published by copying. `frames` pictures numbered from 0."""

    path: Path
    seconds: int
    video: bool = True
    audio: bool = True

    @property
    def frames(self) -> int:
        """Pictures in the clip."""
        return self.seconds * RATE if self.video else 0


class ClipMaker:
    """Makes clips once per folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[tuple[int, int, bool, bool], Clip] = {}

    def clip(self, seconds: int, *, b_frames: int = 0, video: bool = True, audio: bool = True) -> Clip:
        """1280x720 at 30/s, GOP of 2 s, AAC 48 kHz stereo, in FLV."""
        key = (seconds, b_frames, video, audio)
        if key not in self._made:
            path = self._folder / f"clip-{seconds}-{b_frames}-{int(video)}{int(audio)}.flv"
            clip = Clip(path, seconds, video, audio)
            longer = [made for made in self._made if made[1:] == key[1:] and made[0] > seconds and not b_frames]
            self._made[key] = _cut(self._made[longer[0]], clip) if longer else _make(clip, b_frames)
        return self._made[key]


def _cut(longer: Clip, clip: Clip) -> Clip:
    """The beginning of a clip without B-frames, copied: pictures and sound are the same as encoded ones."""
    with av.open(str(longer.path)) as source, av.open(str(clip.path), "w", format="flv") as output:
        copies = {stream.index: output.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is None or packet.pts is None or packet.time_base is None:
                continue
            if packet.pts * packet.time_base >= clip.seconds:
                continue
            packet.stream = copies[packet.stream.index]
            output.mux(packet)
    return clip


def _make(clip: Clip, b_frames: int) -> Clip:
    with av.open(str(clip.path), "w", format="flv") as output:
        video = output.add_stream("libx264", rate=RATE) if clip.video else None
        if video is not None:
            video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            video.bit_rate = 2_000_000
            video.options = {
                "preset": "ultrafast" if not b_frames else "superfast",
                "g": str(RATE * GOP_S),
                "keyint_min": str(RATE * GOP_S),
                "sc_threshold": "0",
                "bf": str(b_frames),
                "profile": "high",
            }
        audio = output.add_stream("aac", rate=SAMPLE_RATE, layout="stereo") if clip.audio else None
        if audio is not None:
            audio.bit_rate = 128_000
        sent = 0
        for number in range(clip.seconds * RATE):
            if video is not None:
                output.mux(video.encode(picture(number)))
            while audio is not None and sent * SAMPLES * RATE < (number + 1) * SAMPLE_RATE:
                output.mux(audio.encode(_sound(sent)))
                sent += 1
        for stream in (video, audio):
            if stream is not None:
                output.mux(stream.encode(None))
    return clip


def picture(number: int) -> VideoFrame:
    """Picture `number`: its counter on top, a moving ramp below, white in the middle picture of a second."""
    frame = VideoFrame(WIDTH, HEIGHT, "yuv420p")
    block = WIDTH // BITS
    band = b"".join(bytes([WHITE if number >> bit & 1 else BLACK]) * block for bit in reversed(range(BITS)))
    if number % RATE == RATE // 2:
        line = bytes([WHITE]) * WIDTH
    else:
        shift = number * 4 % _PERIOD
        line = _RAMP[shift : shift + WIDTH]
    frame.planes[0].update(band * BAND + line * (HEIGHT - BAND))
    frame.planes[1].update(_GREY)
    frame.planes[2].update(_GREY)
    frame.pts, frame.time_base = number, Fraction(1, RATE)
    return frame


def read_number(frame: VideoFrame) -> int:
    """The number shown in a picture of any size."""
    plane = frame.planes[0]
    data, stride = bytes(plane), plane.line_size
    line = frame.height * BAND // HEIGHT // 2
    number = 0
    for index in range(BITS):
        column = (2 * index + 1) * frame.width // (2 * BITS)
        number = number << 1 | (data[line * stride + column] > 125)
    return number


def is_flash(frame: VideoFrame) -> bool:
    """Whether the picture is the middle one of a second."""
    plane = frame.planes[0]
    at = (frame.height * 3 // 4) * plane.line_size
    row = bytes(plane)[at : at + frame.width]
    return min(row[8:-8]) > 180


def _sound(number: int) -> AudioFrame:
    frame = AudioFrame(format="fltp", layout="stereo", samples=SAMPLES)
    second = _a_second()
    at = number * SAMPLES % SAMPLE_RATE
    samples = (second[at : at + SAMPLES] + second[: max(0, at + SAMPLES - SAMPLE_RATE)]).tobytes()
    for plane in frame.planes:
        plane.update(samples)
    frame.sample_rate = SAMPLE_RATE
    frame.pts, frame.time_base = number * SAMPLES, Fraction(1, SAMPLE_RATE)
    return frame


@functools.cache
def _a_second() -> "array.array[float]":
    """The sound is the same in every second."""
    return array.array("f", (level(sample) for sample in range(SAMPLE_RATE)))


def level(sample: int) -> float:
    """The sound at a sample: a beep around the middle of each second."""
    within = (sample + SAMPLE_RATE // 2) % SAMPLE_RATE
    if within >= BEEP_S * SAMPLE_RATE:
        return 0.0
    return 0.5 * math.sin(2 * math.pi * 1000 * within / SAMPLE_RATE)
