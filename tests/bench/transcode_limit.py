"""What the lateness of the last rung cannot be less than here: the same ladder in one process, no ingest, no log.

`python -m tests.bench.transcode_limit CLIP SECONDS` decodes the clip in real time, scales and encodes each rung in
a thread of its own, with the product's scaler and encoder, and prints milliseconds from the time at which a frame
was due until all rungs of it are encoded, as JSON.
"""

import json
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from edge.media.ladder import Rung, plan_ladder, scales_on
from edge.transcode.engines.base import TIME_BASE, RungFormat
from edge.transcode.engines.scaler import Scaler
from edge.transcode.engines.x264 import X264

RATE = 30
_WARM = 2 * RATE  # frames that do not count


def measure(clip: Path, seconds: float) -> list[float]:
    """Sorted seconds, of a process of its own."""
    argv = [sys.executable, "-m", "tests.bench.transcode_limit", str(clip), str(seconds)]
    late: list[float] = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)
    return [one / 1000 for one in late]


class _Lane:
    """One rung's thread."""

    def __init__(self, rung: Rung, done: "_Done") -> None:
        form = RungFormat(rung.width, rung.height, rung.bit_rate, rung.frame_rate, "superfast")
        self.size = rung.width, rung.height
        self.frames: queue.SimpleQueue[tuple[int, VideoFrame] | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._run, args=(X264(form), done))
        self.thread.start()

    def _run(self, encoder: X264, done: "_Done") -> None:
        while (item := self.frames.get()) is not None:
            number, frame = item
            encoder.encode(frame, frame.key_frame, (1, 1))
            done.note(number)


class _Done:
    """When each frame was finished in its last rung."""

    def __init__(self) -> None:
        self.at: dict[int, float] = {}
        self._lock = threading.Lock()

    def note(self, number: int) -> None:
        with self._lock:
            self.at[number] = time.monotonic()


def _ladder(clip: str, seconds: float) -> list[float]:
    with av.open(clip) as source:
        stream = source.streams.video[0]
        size, extradata = (stream.width, stream.height), stream.codec_context.extradata
        packets = [packet for packet in source.demux(stream) if packet.dts is not None]
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.extradata, decoder.thread_count = extradata, 1
    done = _Done()
    lanes = [_Lane(rung, done) for rung in plan_ladder(*size, (RATE, 1))]
    largest = lanes[0].size
    shrunk = [scales_on(lane.size, largest) for lane in lanes]
    shrunk[0] = any(shrunk)
    shrink, began = Scaler(*largest), time.monotonic() + 0.1
    for number in range(int(seconds * RATE)):
        time.sleep(max(0.0, began + number / RATE - time.monotonic()))
        for frame in decoder.decode(packets[number % len(packets)]):
            frame.pts, frame.time_base = number * 3000, TIME_BASE
            _give(frame, number, lanes, shrunk, shrink)
    for lane in lanes:
        lane.frames.put(None)
        lane.thread.join()
    return sorted(1000 * (at - began - number / RATE) for number, at in done.at.items() if number >= _WARM)


def _give(frame: VideoFrame, number: int, lanes: list[_Lane], shrunk: list[bool], shrink: Scaler) -> None:
    """As the product does: rungs of half the largest one's size or less are scaled on from its picture."""
    for lane in (lane for lane, is_shrunk in zip(lanes, shrunk, strict=True) if not is_shrunk):
        lane.frames.put((number, frame))
    smaller = shrink.scale(frame, (1, 1)) if any(shrunk) else frame
    for lane in (lane for lane, is_shrunk in zip(lanes, shrunk, strict=True) if is_shrunk):
        lane.frames.put((number, smaller))


if __name__ == "__main__":
    print(json.dumps(_ladder(sys.argv[1], float(sys.argv[2]))))
