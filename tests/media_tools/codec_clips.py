"""Short clips of one codec each, in Matroska, for publishers that copy.

`python -m tests.media_tools.codec_clips PATH AUDIO VIDEO:HEIGHT ...` makes one.
"""

import os
import subprocess
import sys
from array import array
from fractions import Fraction
from pathlib import Path

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tests.media_tools.clips import GOP_S, RATE, SAMPLE_RATE, Clip, level, picture

SECONDS = 24
_GOP = RATE * GOP_S
VIDEO = {
    "H.264": ("libx264", {"preset": "ultrafast", "bf": "0", "sc_threshold": "0"}),
    "HEVC": ("libx265", {"preset": "ultrafast", "x265-params": f"log-level=none:keyint={_GOP}:min-keyint={_GOP}"}),
    "AV1": ("libsvtav1", {"preset": "12", "svtav1-params": "lp=1"}),
    "VP9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
}
AUDIO = {
    "AAC": ("aac", "fltp"),
    "Opus": ("libopus", "flt"),
    "FLAC": ("flac", "s16"),
    "AC-3": ("ac3", "fltp"),
    "E-AC-3": ("eac3", "fltp"),
    "MP3": ("libmp3lame", "fltp"),
}


def make_apart(path: Path, videos: list[tuple[str, int]], audio: str) -> Path:
    """As `make`, in a process that may not raise its priority.

    SVT-AV1 run by root gives its caller's thread and its own real-time priority 99, which everything
    started later inherits: the machine then belongs to the test.
    """
    guard = ["setpriv", "--inh-caps=-sys_nice", "--bounding-set=-sys_nice"] if os.geteuid() == 0 else []
    tracks = [f"{codec}:{height}" for codec, height in videos]
    command = [*guard, sys.executable, "-m", "tests.media_tools.codec_clips", str(path), audio, *tracks]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    return path


def make(path: Path, videos: list[tuple[str, int]], audio: str) -> Path:
    """Video tracks of (codec, height) and one of audio; 16:9, 30/s, GOP of 2 s, stereo at 48 kHz."""
    with av.open(str(path), "w", format="matroska") as output:
        pictures = [_video(output, codec, height) for codec, height in videos]
        sound = _audio(output, audio)
        size = sound.codec_context.frame_size or 1024
        sent = 0
        for number in range(SECONDS * RATE):
            large = picture(number)
            for stream in pictures:
                output.mux(stream.encode(_scaled(large, stream, number)))
            while sent * size * RATE < (number + 1) * SAMPLE_RATE:
                output.mux(sound.encode(_tone(sent, size, AUDIO[audio][1])))
                sent += 1
        for stream in (*pictures, sound):
            output.mux(stream.encode(None))
    return path


def with_mp3(clip: Clip, path: Path) -> Clip:
    """The clip at `path`, FLV, with its sound as MP3 at 44.1 kHz."""
    sound = ("-c:a", "libmp3lame", "-ar", "44100", "-b:a", "128k")
    subprocess.run(
        ["ffmpeg", "-nostdin", "-v", "error", "-i", str(clip.path), "-c:v", "copy", *sound, str(path)],
        check=True,
        timeout=60,
    )
    return Clip(path, clip.seconds, clip.video, clip.audio)


def without_pictures(clip: Path, path: Path, first_s: float, end_s: float) -> Path:
    """A copy of a clip that lacks what its pictures from `first_s` to before `end_s` are made of."""
    with av.open(str(clip)) as source, av.open(str(path), "w", format="matroska") as output:
        copies = {stream.index: output.add_stream_from_template(stream, opaque=True) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is None:
                continue
            at = float(packet.dts * packet.time_base)
            if packet.stream.type != "video" or not first_s <= at < end_s:
                packet.stream = copies[packet.stream.index]
                output.mux(packet)
    return path


def _video(output: OutputContainer, codec: str, height: int) -> VideoStream:
    name, options = VIDEO[codec]
    stream = output.add_stream(name, rate=RATE, options=options)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = height * 16 // 9, height, "yuv420p"
    if codec != "AV1":  # of which the rate is left to a quality
        stream.bit_rate = 800_000
    stream.codec_context.gop_size = _GOP
    stream.codec_context.thread_count = 1
    return stream


def _audio(output: OutputContainer, codec: str) -> AudioStream:
    name, form = AUDIO[codec]
    stream = output.add_stream(name, rate=SAMPLE_RATE, layout="stereo")
    assert isinstance(stream, AudioStream)
    stream.codec_context.format = form  # type: ignore[assignment]  # PyAV takes a name
    stream.bit_rate = 128_000
    stream.codec_context.open()
    return stream


def _scaled(large: VideoFrame, stream: VideoStream, number: int) -> VideoFrame:
    frame = large.reformat(stream.width, stream.height)
    frame.pts, frame.time_base = number, Fraction(1, RATE)
    return frame


def _tone(number: int, size: int, form: str) -> AudioFrame:
    frame = AudioFrame(format=form, layout="stereo", samples=size)
    samples = [level(number * size + index) for index in range(size)]
    if form == "s16":
        data = array("h", (round(32_000 * one) for one in samples for _ in range(2))).tobytes()
    elif form == "flt":
        data = array("f", (one for one in samples for _ in range(2))).tobytes()
    else:
        data = array("f", samples).tobytes()
    for plane in frame.planes:
        plane.update(data.ljust(plane.buffer_size, b"\0"))
    frame.sample_rate = SAMPLE_RATE
    frame.pts, frame.time_base = number * size, Fraction(1, SAMPLE_RATE)
    return frame


if __name__ == "__main__":
    pairs = [track.partition(":") for track in sys.argv[3:]]
    make(Path(sys.argv[1]), [(codec, int(height)) for codec, _, height in pairs], sys.argv[2])
