"""When a browser paints which numbered picture and when its sound beeps; an encoder that draws in real time."""

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction

import av

from tests.media_tools.clips import BITS, HEIGHT, RATE, WIDTH, Clip, picture

SAMPLER = """([band, bits, height]) => {
  const video = document.querySelector('video[data-testid=video], [data-testid=video] video');
  const canvas = document.createElement('canvas');
  canvas.width = bits * 4; canvas.height = 4;
  const context = canvas.getContext('2d', {willReadFrequently: true});
  window.samples = [];
  const read = () => {
    const now = performance.timeOrigin + performance.now();
    const h = video.videoHeight, w = video.videoWidth;
    context.drawImage(video, 0, h * band / height / 4, w, h * band / height / 2, 0, 0, bits * 4, 4);
    const pixels = context.getImageData(0, 2, bits * 4, 1).data;
    let number = 0;
    for (let i = 0; i < bits; i++) number = number * 2 + (pixels[(i * 4 + 2) * 4] > 125 ? 1 : 0);
    window.samples.push([now, number]);
    video.requestVideoFrameCallback(read);
  };
  video.requestVideoFrameCallback(read);
}"""
"""Keeps [Unix milliseconds, number] of each painted picture in `window.samples`; arguments BAND, BITS, HEIGHT."""

LISTENER = """async () => {
  const sounds = new AudioContext();
  await sounds.resume();
  const ear = sounds.createAnalyser();
  ear.fftSize = 256;
  sounds.createMediaStreamSource(document.querySelector('[data-testid=video]').srcObject).connect(ear);
  const levels = new Float32Array(ear.fftSize);
  window.beeps = [];
  let quiet = 0;
  setInterval(() => {
    ear.getFloatTimeDomainData(levels);
    const loud = Math.max(...levels) > 0.1;
    if (loud && quiet > 20) window.beeps.push(performance.timeOrigin + performance.now());
    quiet = loud ? 0 : quiet + 1;
  }, 4);
}"""
"""Keeps the Unix milliseconds at which each beep begins in `window.beeps`."""


def publish(url: str, *given: str) -> None:
    """Draws picture n at start + n / RATE and encodes it at once; prints the start. Without end.

    To RTMP, or to WHIP where the muxer is given options ("name=value").
    """
    options = dict(one.split("=", 1) for one in given)
    with av.open(url, "w", format="whip" if given else "flv", options=options) as output:
        stream = output.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate = 3_000_000
        stream.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "60", "sc_threshold": "0"}
        stream.codec_context.thread_count = 1
        start = time.time() + 0.1
        print(start, flush=True)
        number = 0
        while True:
            time.sleep(max(0.0, start + number / RATE - time.time()))
            frame = picture(number % (1 << BITS))
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            output.mux(stream.encode(frame))
            number += 1


def replay(url: str, path: str, seconds: int) -> None:
    """Sends a clip again and again, each packet at its time; prints when picture 0 was sent."""
    with av.open(path) as clip, av.open(url, "w", format="flv") as output:
        streams = {one.index: output.add_stream_from_template(one) for one in clip.streams}
        packets = [packet for packet in clip.demux() if packet.dts is not None and _at(packet) < seconds]
        start = time.time() + 0.1
        print(start + min(_at(packet) for packet in packets if packet.stream.type == "video"), flush=True)
        for round_ in itertools.count():
            for packet in packets:
                at = _at(packet) + round_ * seconds
                time.sleep(max(0.0, start + at - time.time()))
                sent = av.Packet(bytes(packet))
                shift = round(round_ * seconds / packet.time_base)
                sent.pts, sent.dts, sent.time_base = packet.pts + shift, packet.dts + shift, packet.time_base
                sent.is_keyframe, sent.stream = packet.is_keyframe, streams[packet.stream.index]
                output.mux(sent)


def _at(packet: av.Packet) -> float:
    return float((packet.dts or 0) * packet.time_base)


@contextmanager
def publishing(url: str, clip: Clip | None = None, whip: Sequence[str] = ()) -> Iterator[float]:
    """Publishes from a process of its own, `clip` or what is drawn; when picture 0 was sent, Unix seconds.

    `whip`: see `publish`.
    """
    call = f"publish{(url, *whip)!r}" if clip is None else f"replay({url!r}, {str(clip.path)!r}, {clip.seconds})"
    code = f"from tests.media_tools.painted import publish, replay; {call}"
    publisher = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ)
    try:
        assert publisher.stdout is not None
        yield float(publisher.stdout.readline())
    finally:
        publisher.kill()
        publisher.wait()
        publisher.stdout.close()


def delays_of(samples: list[tuple[float, int]], start: float, clip: Clip) -> list[float]:
    """Seconds from the time at which each painted picture of a replayed clip was sent to its painting."""
    return [(painted / 1000 - start - number / RATE) % clip.seconds for painted, number in samples]
