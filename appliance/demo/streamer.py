"""Publishes a moving picture with a running clock and a tone over RTMP, for ever."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from fractions import Fraction

import av
import av.error
from av.audio.frame import AudioFrame
from av.filter import Graph
from av.video.frame import VideoFrame

from appliance.runtime.backoff import Backoff
from appliance.runtime.logs import configure, get_logger
from appliance.runtime.role import tell_ready

WIDTH, HEIGHT, RATE = 1280, 720, 30
SAMPLE_RATE, SAMPLES = 48_000, 1024
_GOP_S = 2


def pictures() -> Iterator[VideoFrame]:
    """Test pictures with the time since the start drawn into them."""
    graph = Graph()
    source = graph.add("testsrc2", f"size={WIDTH}x{HEIGHT}:rate={RATE}")
    sink = graph.add("buffersink")
    graph.link_nodes(source, sink).configure()
    while True:
        frame = graph.pull()
        if isinstance(frame, VideoFrame):
            yield frame


def tone() -> Iterator[AudioFrame]:
    """A quiet tone with a beep each second."""
    graph = Graph()
    source = graph.add("sine", f"frequency=220:beep_factor=4:sample_rate={SAMPLE_RATE}:samples_per_frame={SAMPLES}")
    form = graph.add("aformat", "sample_fmts=fltp:channel_layouts=stereo")
    sink = graph.add("abuffersink")
    graph.link_nodes(source, form, sink).configure()
    while True:
        frame = graph.pull()
        if isinstance(frame, AudioFrame):
            yield frame


def publish(url: str) -> None:
    """One connection, until it breaks. av.error.FFmpegError says how."""
    with av.open(url, "w", format="flv", options={"flvflags": "no_duration_filesize"}) as output:
        video = output.add_stream("libx264", rate=RATE)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.bit_rate = 4_000_000
        video.options = {
            "preset": "superfast",
            "tune": "zerolatency",
            "g": str(RATE * _GOP_S),
            "sc_threshold": "0",
            "profile": "high",
        }
        video.codec_context.thread_count = 1
        audio = output.add_stream("aac", rate=SAMPLE_RATE)
        audio.bit_rate = 128_000
        sounds, start, sent = tone(), time.monotonic(), 0
        for number, picture in enumerate(pictures()):
            picture.pts, picture.time_base = number, Fraction(1, RATE)
            output.mux(video.encode(picture))
            while sent * SAMPLES * RATE <= number * SAMPLE_RATE:
                sound = next(sounds)
                sound.pts, sound.time_base = sent * SAMPLES, Fraction(1, SAMPLE_RATE)
                output.mux(audio.encode(sound))
                sent += 1
            time.sleep(max(0.0, start + (number + 1) / RATE - time.monotonic()))


def main() -> None:
    """Publishes again after each break."""
    configure(role="demo-streamer")
    log = get_logger("demo")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    tell_ready()
    backoff = Backoff(0.5, 5.0)
    while True:
        began = time.monotonic()
        try:
            publish(os.environ["NEARCAST_DEMO_RTMP"])
        except (av.error.FFmpegError, OSError) as error:
            log.warning("publisher_broke", error=type(error).__name__)
        if time.monotonic() - began > 30:
            backoff.reset()
        time.sleep(backoff.next_delay())


if __name__ == "__main__":
    main()
