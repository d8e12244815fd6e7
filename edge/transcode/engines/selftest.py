"""The self-test of one engine, in the process that calls it: a driver may take that process along."""

import time

import av
import av.error
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from edge.protocols.codecs import avc
from edge.protocols.codecs.bits import CodecError
from edge.transcode.engines.base import TIME_BASE, Encoded, Engine, EngineError, RungFormat
from edge.transcode.engines.catalogue import ENGINES
from edge.transcode.engines.choice import SelfTest

FORM = RungFormat(1280, 720, 3_000_000, (30, 1), "superfast")
FRAMES, KEYS, MOST_LAG = 12, (0, 7), 2
DURATION = TIME_BASE.denominator // 30


def self_test(name: str) -> SelfTest:
    """Encodes a few pictures and looks at what comes. What is wrong is a value, as long as we live."""
    try:
        engine = ENGINES[name].make(FORM)
        try:
            return SelfTest(engine=name, usable=True, frames_per_s=round(_run(engine), 1))
        finally:
            engine.close()
    except EngineError as error:
        return SelfTest(engine=name, usable=False, reason=error.detail)


def _run(engine: Engine) -> float:
    """Frames per second. EngineError when a promise is not kept."""
    pictures = [_picture(index) for index in range(FRAMES)]
    units: list[Encoded] = []
    began = time.perf_counter()
    for index, picture in enumerate(pictures):
        units += engine.encode(picture, index in KEYS, (1, 1))
        if index + 1 - len(units) > MOST_LAG:
            raise EngineError(f"more than {MOST_LAG} frames late")
    units += engine.drain() if len(units) < FRAMES else []
    took_s = time.perf_counter() - began
    look_at(FORM, engine.config, units)
    return FRAMES / took_s


def look_at(form: RungFormat, config: bytes, units: list[Encoded]) -> list[VideoFrame]:
    """What the access units of `FRAMES` pictures `DURATION` apart show. EngineError where a promise is not kept."""
    if [unit.pts for unit in units] != [index * DURATION for index in range(FRAMES)]:
        raise EngineError(f"{len(units)} access units for {FRAMES} frames, or in another order")
    keys = tuple(index for index, unit in enumerate(units) if unit.key)
    if keys != KEYS:
        raise EngineError(f"IDR at frames {keys}, not at {KEYS}")
    try:
        sets = avc.parse_config(config)
        size = sets.picture()
    except CodecError as error:
        raise EngineError(f"parameter sets: {error.detail}") from error
    if not sets.pps:
        raise EngineError("no picture parameter set")
    if (size.width, size.height) != (form.width, form.height):
        raise EngineError(f"the picture is {size.width}x{size.height}, not {form.width}x{form.height}")
    shown = _decoded(config, units)
    if len(shown) != len(units):
        raise EngineError(f"{len(shown)} of {len(units)} frames can be decoded")
    return shown


def _decoded(config: bytes, units: list[Encoded]) -> list[VideoFrame]:
    decoder = av.CodecContext.create("h264", "r")
    if not isinstance(decoder, VideoCodecContext):
        raise EngineError("no decoder to look at the result")
    decoder.extradata, decoder.thread_count = config, 1
    try:
        shown = [frame for unit in units for frame in decoder.decode(Packet(unit.data))]
        return [*shown, *decoder.decode(None)]
    except av.error.FFmpegError as error:
        raise EngineError(f"the result cannot be decoded: {error}") from error


def _picture(index: int) -> VideoFrame:
    """Stripes that move."""
    frame = VideoFrame(FORM.width, FORM.height, "yuv420p")
    for number, plane in enumerate(frame.planes):
        stripe = bytes(16 + (at + 8 * index) * 3 % 200 for at in range(plane.line_size)) if number == 0 else b"\x80"
        plane.update(stripe * (plane.buffer_size // len(stripe)))
    frame.pts, frame.time_base = index * DURATION, TIME_BASE
    return frame
