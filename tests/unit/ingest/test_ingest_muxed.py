"""What FFmpeg's own FLV writer makes of each codec and of several tracks, through the packager."""

import io
from fractions import Fraction

import av
import pytest
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from appliance.contracts.media import AUDIO, SOURCE
from edge.ingest.packager import Packager, PackagerConfig
from edge.ingest.rendition import Append
from edge.protocols.fmp4 import read_fragments
from tests.media_tools.encoded import AUDIO as AUDIO_ENCODERS
from tests.media_tools.encoded import VIDEO as VIDEO_ENCODERS
from tests.media_tools.scheduling import ordinary_afterwards

T0 = 1_700_000_000_000_000
RATE, FRAMES, GOP = 30, 75, 30


@ordinary_afterwards()
def muxed(videos: list[tuple[str, int]], audios: list[str]) -> bytes:
    """An FLV file of 2.5 s: pictures of the given heights, and a tone per audio codec."""
    file = io.BytesIO()
    with av.open(file, "w", format="flv") as output:
        streams = [_video(output, *one) for one in videos]
        sounds = [_audio(output, codec) for codec in audios]
        for number in range(FRAMES):
            for stream in streams:
                output.mux(stream.encode(_picture(stream, number)))
        for stream in streams:
            output.mux(stream.encode(None))
        for sound in sounds:
            size = sound.codec_context.frame_size or 1152
            for number in range(FRAMES * 48_000 // RATE // size):
                output.mux(sound.encode(_tone(sound, number, size)))
            output.mux(sound.encode(None))
    return file.getvalue()


def _video(output: av.container.OutputContainer, codec: str, height: int) -> VideoStream:
    name, options = VIDEO_ENCODERS[codec]
    stream = output.add_stream(name, rate=RATE)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = height * 4 // 3, height, "yuv420p"
    stream.codec_context.gop_size = GOP
    keyint = f"log-level=none:pools=none:frame-threads=1:keyint={GOP}:min-keyint={GOP}:scenecut=0"
    stream.options = {**options, "x265-params": keyint} if codec == "hvc1" else dict(options)
    return stream


def _audio(output: av.container.OutputContainer, codec: str) -> AudioStream:
    name, sample_format = AUDIO_ENCODERS[codec]
    stream = output.add_stream(name, rate=48_000, layout="stereo")
    assert isinstance(stream, AudioStream)
    stream.codec_context.format = sample_format
    return stream


def _picture(stream: VideoStream, number: int) -> av.VideoFrame:
    frame = av.VideoFrame(stream.width, stream.height, "yuv420p")
    for index, plane in enumerate(frame.planes):
        plane.update(bytes([(40 * index + number) % 200 + 20]) * plane.buffer_size)
    frame.pts, frame.time_base = number, Fraction(1, RATE)
    return frame


def _tone(stream: AudioStream, number: int, size: int) -> av.AudioFrame:
    frame = av.AudioFrame(format=stream.codec_context.format.name, layout="stereo", samples=size)
    for plane in frame.planes:
        plane.update(bytes(plane.buffer_size))
    frame.sample_rate, frame.pts, frame.time_base = 48_000, number * size, Fraction(1, 48_000)
    return frame


def publish(packager: Packager, data: bytes) -> list[Append]:
    """Gives the tags of an FLV file as messages, by time."""
    tags, at = [], 13
    while at + 11 <= len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        stamp = int.from_bytes(data[at + 4 : at + 7], "big") | data[at + 7] << 24
        tags.append((stamp, data[at], data[at + 11 : at + 11 + size]))
        at += 15 + size
    out: list[Append] = []
    for stamp, kind, body in sorted(tags, key=lambda tag: tag[0]):
        if kind in (8, 9) and body:
            take = packager.video if kind == 9 else packager.audio
            out += take(stamp, body, now_us=T0 + stamp * 1000)
    return out + packager.finish(now_us=T0 + 3_000_000)


def decoded(packager: Packager, out: list[Append], name: str) -> int:
    data = packager.renditions[name].inits[0].data
    data += b"".join(append.data for append in out if append.rendition == name)
    with av.open(io.BytesIO(data), format="mp4") as file:
        return sum(1 for _ in file.decode(file.streams[0]))


@pytest.mark.parametrize("codec", ["avc1", "hvc1", "av01", "vp09"])
def test_video_codec(codec: str) -> None:
    packager = Packager(PackagerConfig())
    out = publish(packager, muxed([(codec, 96)], ["mp4a"]))
    assert decoded(packager, out, SOURCE) == FRAMES
    described = packager.renditions[SOURCE].inits[0].video
    assert described is not None
    assert described.codec.startswith(codec)
    assert packager.problems == {}
    assert packager.quirks == []


@pytest.mark.parametrize("codec", ["Opus", "fLaC", "ac-3", "ec-3"])
def test_audio_codec(codec: str) -> None:
    packager = Packager(PackagerConfig())
    out = publish(packager, muxed([("avc1", 96)], [codec]))
    described = packager.renditions[AUDIO].inits[0].audio
    assert described is not None
    assert described.codec == codec.replace("Opus", "opus")
    assert decoded(packager, out, AUDIO) >= 25
    assert packager.problems == {}


def test_three_pictures_and_two_sounds() -> None:
    packager = Packager(PackagerConfig())
    out = publish(packager, muxed([("avc1", 144), ("avc1", 96), ("hvc1", 72)], ["mp4a", "Opus"]))
    assert packager.contributed == ["96p", "72p"]
    for name in (SOURCE, *packager.contributed):
        assert decoded(packager, out, name) == FRAMES
    assert {name: len({a.header.msn for a in out if a.rendition == name}) for name in packager.renditions} == {
        SOURCE: 2,
        "96p": 2,
        "72p": 2,
        AUDIO: 2,
    }
    assert list(packager.problems) == ["audio_tracks"]
    assert sum(len(p.samples) for a in out if a.rendition == AUDIO for p in read_fragments(a.data)) > 100
