"""How fast this machine decodes, scales and encodes: measured once with a short picture, kept on disk.

It takes less than a second of CPU, in a thread of low priority. What is measured is the CPU time of that
thread, so that other work on the machine does not count.
"""

import contextlib
import os
import threading
import time
from pathlib import Path
from typing import cast

import av
import av.error
import msgspec
from av.filter import Graph
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from appliance.runtime.logs import get_logger
from edge.media.capacity import Speeds, reference_speeds
from edge.transcode.engines.base import TIME_BASE, EngineError, RungFormat
from edge.transcode.engines.scaler import Scaler
from edge.transcode.engines.x264 import X264
from edge.transcode.machine import cpu_model

_FRAMES = 36
_FIRST = 6  # frames that warm up what is measured
_SIZE, _SMALLER = (1280, 720), (854, 480)
_TICKS = 3000
_BIT_RATE = 3_000_000
_NICE = 10
_log = get_logger("calibration")


class _Measured(msgspec.Struct, frozen=True):
    """The file: what the speeds are of."""

    key: str
    speeds: Speeds


def known_speeds(preset: str, folder: Path) -> Speeds | None:
    """What was measured of this machine and this build before."""
    try:
        kept = msgspec.json.decode(_file(folder, preset).read_bytes(), type=_Measured)
    except (OSError, msgspec.MsgspecError):
        return None
    return kept.speeds if kept.key == _key(preset) else None


def measure_speeds(preset: str, folder: Path) -> Speeds:
    """Measures and keeps. Blocks for about a second, and the thread stays at low priority: give it its own.

    The reference where it fails.
    """
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
    try:
        speeds = _measure(preset)
    except (av.error.FFmpegError, EngineError, TypeError, ValueError) as error:
        _log.warning("not_calibrated", error=repr(error))
        return reference_speeds(preset)
    _keep(folder, preset, speeds)
    _log.info("calibrated", preset=preset, speeds=msgspec.to_builtins(speeds))
    return speeds


def _keep(folder: Path, preset: str, speeds: Speeds) -> None:
    file = _file(folder, preset)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(f".{os.getpid()}")
        draft.write_bytes(msgspec.json.encode(_Measured(_key(preset), speeds)))
        draft.replace(file)
    except OSError as error:
        _log.warning("calibration_not_kept", error=repr(error))


def _file(folder: Path, preset: str) -> Path:
    return folder / f"speeds-{preset}.json"


def _key(preset: str) -> str:
    versions = ".".join(str(number) for number in av.library_versions.get("libavcodec", ()))
    return f"{cpu_model()} {preset} av {av.__version__} libavcodec {versions}"


def _measure(preset: str) -> Speeds:
    width, height = _SIZE
    pixels = width * height
    pictures = _pictures()
    encoder = X264(RungFormat(width, height, _BIT_RATE, (30, 1), preset))
    decoder = av.CodecContext.create("h264", "r")
    if not isinstance(decoder, VideoCodecContext):
        raise TypeError("h264 is not a video decoder")
    decoder.extradata, decoder.thread_count = encoder.config, 1
    scaler = Scaler(*_SMALLER)
    encoding = decoding = scaling = 0.0
    for index, picture in enumerate(pictures):
        began = time.thread_time()
        units = encoder.encode(picture, index == 0, (1, 1))
        encoded = time.thread_time()
        frames = [frame for unit in units for frame in decoder.decode(_packet(unit.pts, unit.data))]
        decoded = time.thread_time()
        for frame in frames:
            frame.time_base = TIME_BASE
            scaler.scale(frame)
        if index >= _FIRST:
            encoding += encoded - began
            decoding += decoded - encoded
            scaling += time.thread_time() - decoded
    each = 1e9 / (_FRAMES - _FIRST) / pixels
    reference = reference_speeds(preset)
    expected = reference.scale_from * pixels + reference.scale_to * _SMALLER[0] * _SMALLER[1]
    slower = scaling * 1e9 / (_FRAMES - _FIRST) / expected
    return Speeds(decoding * each, reference.scale_from * slower, reference.scale_to * slower, encoding * each)


def _packet(pts: int, data: bytes) -> "Packet[VideoStream]":
    packet = Packet(data)
    packet.pts = packet.dts = pts
    packet.time_base = TIME_BASE
    return cast("Packet[VideoStream]", packet)  # generic only in its stubs


def _pictures() -> list[VideoFrame]:
    """A moving test picture with noise: a flat one would make every machine look fast."""
    graph = Graph()
    graph.threads = 1
    width, height = _SIZE
    source = graph.add("testsrc2", f"size={width}x{height}:rate=30")
    sink = graph.add("buffersink")
    steps = [source, graph.add("noise", "alls=12:allf=t"), graph.add("format", "yuv420p"), sink]
    graph.link_nodes(*steps).configure()
    found = []
    for index in range(_FRAMES):
        frame = sink.pull()
        if not isinstance(frame, VideoFrame):
            raise TypeError("the test source gave no picture")
        frame.pts, frame.time_base = index * _TICKS, TIME_BASE
        found.append(frame)
    return found
