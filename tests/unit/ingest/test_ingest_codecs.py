"""Every codec through the packager: what comes out is decoded, nothing is lost or doubled."""

import io
import itertools

import av
import pytest

from appliance.contracts.media import AUDIO, SOURCE, ChunkFlag
from edge.ingest.packager import Packager, PackagerConfig
from edge.ingest.rendition import Append
from edge.ingest.sounds import silent_source
from edge.protocols.codecs import avc, hevc
from edge.protocols.fmp4 import read_fragments, read_init
from tests.media_tools import encoded
from tests.media_tools.bodies import Body, audio_bodies, interleaved, video_bodies

T0 = 1_700_000_000_000_000
CODECS = {"avc1": "avc1.42c00a", "hvc1": "hvc1.1.6.L30.90", "av01": "av01.0.00M.08", "vp09": "vp09.00.10.08"}
SOUNDS = {"mp4a": ("mp4a.40.2", 1024), "Opus": ("opus", 960), "fLaC": ("fLaC", 4608), "ac-3": ("ac-3", 1536)}


def run(packager: Packager, bodies: list[Body]) -> list[Append]:
    out: list[Append] = []
    now_us = T0
    for body in bodies:
        now_us = max(now_us, T0 + (body.stamp - bodies[0].stamp) * 1000)
        take = packager.video if body.is_video else packager.audio
        out += take(body.stamp % (1 << 32), body.body, now_us=now_us)
    return out + packager.finish(now_us=now_us)


def of(appends: list[Append], name: str) -> list[Append]:
    return [append for append in appends if append.rendition == name]


def count(appends: list[Append]) -> int:
    return sum(len(part.samples) for append in appends for part in read_fragments(append.data))


def decoded(packager: Packager, appends: list[Append], name: str) -> list[av.VideoFrame | av.AudioFrame]:
    init = packager.renditions[name].inits[0].data
    data = init + b"".join(append.data for append in of(appends, name))
    with av.open(io.BytesIO(data), format="mp4") as file:
        return list(file.decode(file.streams[0]))


@pytest.mark.parametrize("codec", [*CODECS, "vp08"])
def test_video_codec(codec: str) -> None:
    packager = Packager(PackagerConfig())
    video = video_bodies(codec, encoded.video(codec, 10), frames=70)
    out = run(packager, interleaved(video, audio_bodies("mp4a", encoded.audio("mp4a"), 1024, frames=100)))
    assert count(of(out, SOURCE)) == 70
    assert len(decoded(packager, out, SOURCE)) == 70
    described = packager.renditions[SOURCE].inits[0].video
    assert described is not None
    assert described.codec == CODECS.get(codec, "vp08.00.10.08")
    assert (described.width, described.height) == (128, 96)
    told, measured = described.frame_rate, packager.renditions[SOURCE].record("b").frame_rate
    assert (told, measured) in [((30, 1), (0, 1)), ((0, 1), (30, 1))]
    assert read_init(packager.renditions[SOURCE].inits[0].data).entry == codec
    assert packager.source_playable == (codec != "vp08")
    assert len(packager.renditions[SOURCE].inits) == 1
    assert packager.problems == {}
    assert packager.quirks == []


@pytest.mark.parametrize("codec", [*SOUNDS, "ec-3", ".mp3"])
def test_audio_codec(codec: str) -> None:
    name, samples = (SOUNDS | {"ec-3": ("ec-3", 1536), ".mp3": ("mp4a.6B", 1152)})[codec]
    packager = Packager(PackagerConfig())
    stream = encoded.audio(codec)
    frames = len(stream.units) * 3
    sound = audio_bodies(codec, stream, samples, frames=frames)
    out = run(packager, interleaved(video_bodies("avc1", encoded.video("avc1", 10), frames=40), sound))
    assert count(of(out, AUDIO)) == frames
    assert decoded(packager, out, AUDIO)[0].sample_rate == 48_000
    described = packager.renditions[AUDIO].inits[0].audio
    assert described is not None
    assert (described.codec, described.sample_rate, described.channels) == (name, 48_000, 2)
    for one, two in itertools.pairwise(of(out, AUDIO)):
        assert two.header.dts == one.header.dts + one.header.duration
    assert packager.problems == {}


@pytest.mark.parametrize(
    ("codec", "samples"),
    [("fLaC", 4608), (".mp3", 1152), ("Opus", 960), ("mp4a", 1024), ("ac-3", 1536), ("ec-3", 1536)],
)
def test_silence_follows_the_pictures_while_sound_has_stopped(codec: str, samples: int) -> None:
    packager = Packager(PackagerConfig())
    sound = audio_bodies(codec, encoded.audio(codec), samples, frames=3 * 48_000 // samples)
    pictures = video_bodies("avc1", encoded.video("avc1", 10), frames=300)
    out = run(packager, interleaved(pictures, sound))
    ends = {name: of(out, name)[-1].header for name in (SOURCE, AUDIO)}
    apart = ends[SOURCE].dts / 90_000 - (ends[AUDIO].dts + ends[AUDIO].duration) / 48_000
    assert apart < 2.5
    assert len(decoded(packager, out, AUDIO)) == count(of(out, AUDIO)) > 7 * 48_000 // samples
    silent = silent_source(packager.renditions[AUDIO].inits[0].data)
    assert silent is not None, "so does one who returns without sound"
    assert (silent.entry, silent.frame_samples, bool(silent.silence)) == (codec, samples, True)


def test_speex_is_refused_in_words() -> None:
    packager = Packager(PackagerConfig())
    sound = [Body(False, stamp, b"\xb6\xff\xfb\x90") for stamp in range(0, 2500, 26)]
    run(packager, interleaved(video_bodies("avc1", encoded.video("avc1", 10), frames=70), sound))
    assert "Speex" in packager.problems["audio_codec"].text
    assert packager.has_video


def test_open_gop_and_b_frames_of_hevc() -> None:
    packager = Packager(PackagerConfig())
    stream = encoded.video("hvc1", 30, gop=15)
    assert any(unit.pts != unit.dts for unit in stream.units)
    nals = [hevc.nal_type(nal) for unit in stream.units for nal in avc.split_annexb(unit.data)]
    assert 21 in nals  # CRA: the GOP is open
    assert {8, 9} & set(nals)  # RASL: pictures that lead it
    out = run(packager, video_bodies("hvc1", stream, frames=90))
    pictures = decoded(packager, out, SOURCE)
    times = [picture.pts for picture in pictures if picture.pts is not None]
    assert len(times) == 90
    assert times == sorted(times)
    assert {two - one for one, two in itertools.pairwise(times)} == {3000}


def test_hevc_under_the_number_of_h264_and_codec_12() -> None:
    for number in (7, 12):
        stream = encoded.video("hvc1", 10)
        record = hevc_record(stream)
        bodies = [Body(True, 0, bytes([0x10 | number]) + b"\0\0\0\0" + record)]
        for index, unit in enumerate(stream.units * 3):
            cts = max(0, unit.pts - unit.dts) * 33
            head = bytes([(0x10 if unit.key else 0x20) | number, 1]) + cts.to_bytes(3, "big")
            bodies.append(Body(True, index * 1000 // 30, head + unit.data))
        packager = Packager(PackagerConfig())
        out = run(packager, bodies)
        assert count(of(out, SOURCE)) == 30
        described = packager.renditions[SOURCE].inits[0].video
        assert described is not None
        assert described.codec.startswith("hvc1.")


def hevc_record(stream: encoded.Stream) -> bytes:
    return hevc.parse_config(stream.extra).encode()


def test_hevc_parameter_sets_in_band_only() -> None:
    stream = encoded.video("hvc1", 10)
    config = hevc.parse_config(stream.extra)
    sets = b"".join(b"\0\0\0\1" + nal for nal in (*config.vps, *config.sps, *config.pps))
    units = [unit._replace(data=sets + unit.data if unit.key else unit.data) for unit in stream.units]
    bodies = [
        Body(body.is_video, body.stamp, body.body.replace(b"hvc1", b"hev1", 1))
        for body in video_bodies("hvc1", encoded.Stream(b"", units), frames=20)[1:]
    ]
    packager = Packager(PackagerConfig())
    out = run(packager, bodies)
    assert count(of(out, SOURCE)) == 20
    assert len(decoded(packager, out, SOURCE)) == 20


def test_pictures_in_another_codec_are_left_out() -> None:
    """They begin another broadcast."""
    packager = Packager(PackagerConfig())
    first = video_bodies("avc1", encoded.video("avc1", 10), frames=60)
    second = video_bodies("hvc1", encoded.video("hvc1", 10), frames=60, start_ms=2000)
    out = run(packager, interleaved(first, second))
    assert packager.is_other_video
    assert count(of(out, SOURCE)) == 60
    assert len(packager.renditions[SOURCE].inits) == 1


def test_codec_changes_in_the_middle() -> None:
    packager = Packager(PackagerConfig())
    first = video_bodies("avc1", encoded.video("avc1", 10), frames=60)
    second = video_bodies("avc1", encoded.video("avc1", 10, width=256), frames=60, start_ms=2000)
    sound = audio_bodies("mp4a", encoded.audio("mp4a"), 1024, frames=94)
    other = audio_bodies("Opus", encoded.audio("Opus"), 960, frames=100, start_ms=2006)
    out = run(packager, interleaved(first, second, sound, other))
    assert count(of(out, SOURCE)) == 120
    for name in (SOURCE, AUDIO):
        new = [append.header.msn for append in of(out, name) if append.header.flags & ChunkFlag.DISCONTINUITY]
        assert new[-1] == 3
    assert [init.video.width for init in packager.renditions[SOURCE].inits if init.video] == [128, 256]
    assert [init.audio.codec for init in packager.renditions[AUDIO].inits if init.audio] == ["mp4a.40.2", "opus"]
    for append in of(out, AUDIO):
        for part in read_fragments(append.data):
            for sample in part.samples:
                is_opus = bytes(sample.data) in {unit.data for unit in encoded.audio("Opus").units}
                assert is_opus == (append.header.init == 1)


def test_a_codec_we_cannot_take_in_the_middle_is_said() -> None:
    packager = Packager(PackagerConfig())
    video = video_bodies("avc1", encoded.video("avc1", 10), frames=90)
    sound = audio_bodies("mp4a", encoded.audio("mp4a"), 1024, frames=60)
    speex = [Body(False, stamp, b"\xb6\xff\xfb\x90") for stamp in range(1300, 3000, 26)]
    out = run(packager, interleaved(video, sound, speex))
    assert "Speex" in packager.problems["audio_codec"].text
    assert count(of(out, SOURCE)) == 90
    assert count(of(out, AUDIO)) == 60
