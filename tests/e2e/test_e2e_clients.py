"""Encoders as strangers bring them, published to a whole node. `docs/clients.md` has the table of what ran.

With NEARCAST_WRITE_DOCS=1 the table is written anew.
"""

import asyncio
import datetime as dt
import io
import os
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import pytest

from appliance.engines.certificate import self_signed
from tests.e2e.e2e_checks import assert_nothing_missing, assert_playlists_honest
from tests.e2e.e2e_node import ROOT, Channel, Node
from tests.media_tools import clients, codec_clips, obs
from tests.media_tools.clients import Running
from tests.media_tools.clips import ClipMaker
from tests.media_tools.hls_client import HlsRecorder, Track, rendition_uris

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

DOCUMENT = ROOT / "docs" / "clients.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
PLAYABLE_S = 15.0
WATCHED_S = 3.0
REFUSED_S = 20.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a row is played."""

    node: Node
    channel: Channel
    clips: ClipMaker
    folder: Path

    @property
    def server(self) -> str:
        return f"rtmp://127.0.0.1:{self.node.rtmp_port}/live"

    @property
    def log(self) -> Path:
        return self.folder / "client.log"

    def run(self, command: list[str]) -> Running:
        return Running(command, self.log)


Start = Callable[[Stage], Running]


@dataclass(frozen=True, slots=True)
class Row:
    """`plays` is what viewers get, by name and codec; without it `refused` is what somebody is told.

    `told` are the words in which the streamer of a row that plays is told what viewers do not get. A source
    that is repaired is so for viewers who come `settle_s` later: what is wrong with it shows only then.
    """

    client: str
    variant: str
    start: Start
    plays: str = ""
    refused: str = ""
    told: str = ""
    settle_s: float = 0.0  # a viewer who comes so long after the first picture

    @property
    def name(self) -> str:
        return f"{self.client}: {self.variant}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A row that ran; `seconds` from its start to a playable multivariant playlist."""

    row: Row
    result: str
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Client:
    """A program of other people, and what has to be installed for it."""

    version: Callable[[], str]
    programs: tuple[str, ...]


FFMPEG, LIBRARIES, GSTREAMER, LIBRTMP, WHIP_SINK, OBS = (
    "ffmpeg",
    "FFmpeg libraries",
    "GStreamer",
    "GStreamer, librtmp",
    "GStreamer, rswebrtc",
    "OBS Studio",
)
CLIENTS = {
    FFMPEG: Client(clients.ffmpeg_version, ("ffmpeg",)),
    LIBRARIES: Client(clients.libraries_version, ()),
    GSTREAMER: Client(clients.gstreamer_version, ("gst-launch-1.0",)),
    LIBRTMP: Client(clients.gstreamer_version, ("gst-launch-1.0",)),
    WHIP_SINK: Client(clients.whip_client_version, ("gst-launch-1.0",)),
    OBS: Client(obs.version, ("obs", "xvfb-run", "dbus-run-session")),
}


def copied(
    *, b_frames: int = 0, video: bool = True, audio: bool = True, url: Callable[[Stage], str] | None = None
) -> Start:
    """ffmpeg copies a clip."""

    def start(stage: Stage) -> Running:
        clip = stage.clips.clip(24, b_frames=b_frames, video=video, audio=audio)
        address = url(stage) if url is not None else stage.channel.publish_url
        return stage.run(clients.ffmpeg(address, ["-i", str(clip.path)], ["-c", "copy"]))

    return start


def encoded(*options: str) -> Start:
    """ffmpeg encodes a test picture and a tone."""
    source = ["-f", "lavfi", "-i", "testsrc2=s=640x360:r=30", "-f", "lavfi", "-i", "sine=r=44100"]

    def start(stage: Stage) -> Running:
        return stage.run(clients.ffmpeg(stage.channel.publish_url, source, ["-t", "24", *options]))

    return start


def enhanced(audio: str, *videos: tuple[str, int]) -> Start:
    """FFmpeg's newest libraries copy tracks of these codecs."""

    def start(stage: Stage) -> Running:
        clip = codec_clips.make_apart(stage.folder / "clip.mkv", list(videos), audio)
        return stage.run(clients.libraries(clip, stage.channel.publish_url))

    return start


def by_whip(*, own_certificate: bool) -> Start:
    """The same with WebRTC; these libraries use GnuTLS, and their certificates have a curve nobody else takes."""

    def start(stage: Stage) -> Running:
        clip = codec_clips.make_apart(stage.folder / "clip.mkv", [("H.264", 360)], "Opus")
        files = self_signed(stage.folder / "tls", ["encoder"], dt.datetime.now(dt.UTC))
        options = {"cert_file": files.certificate, "key_file": files.key} if own_certificate else {}
        url = f"{stage.node.web}/whip"
        return stage.run(clients.libraries(clip, url, authorization=stage.channel.key, **options))

    return start


def pipeline(sink: str) -> Start:
    """GStreamer."""
    return lambda stage: stage.run(clients.gstreamer(stage.channel.publish_url, sink))


def whip_sink(codec: str) -> Start:
    """GStreamer's whipclientsink."""
    return lambda stage: stage.run(clients.whip_client(f"{stage.node.web}/whip", stage.channel.key, codec))


def studio(key: str = "", *, advanced: bool = False) -> Start:
    """OBS Studio with a key of its own, or the channel's."""

    def start(stage: Stage) -> Running:
        home = obs.environment(stage.folder / "home", stage.server, key or stage.channel.key, advanced=advanced)
        return Running(obs.command(), stage.log, home)

    return start


def in_tls(stage: Stage) -> str:
    return f"{stage.node.endpoint('rtmps')}/{stage.channel.key}"


H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "60", "-pix_fmt", "yuv420p")
FLV1, MP3 = ("-c:v", "flv1"), ("-c:a", "libmp3lame")
FULL = "source h264, 480p h264, 360p h264, audio aac"
ROWS = [
    Row(FFMPEG, "H.264 and AAC", copied(), FULL),
    Row(FFMPEG, "H.264 with B-frames", copied(b_frames=2), FULL),
    Row(FFMPEG, "video only", copied(audio=False), "source h264, 480p h264, 360p h264"),
    Row(FFMPEG, "audio only", copied(video=False), "audio aac"),
    Row(FFMPEG, "RTMPS", copied(url=in_tls), FULL),
    Row(FFMPEG, "key in the name, with parameters", copied(url=lambda s: f"{s.channel.publish_url}?x=y&b=0"), FULL),
    Row(FFMPEG, "key in the application", copied(url=lambda s: f"{s.server}/{s.channel.key}/"), FULL),
    Row(FFMPEG, "key as a parameter", copied(url=lambda s: f"{s.server}/?key={s.channel.key}"), FULL),
    Row(FFMPEG, "H.264 and MP3", encoded(*H264, *MP3), "source h264, aac aac"),
    Row(FFMPEG, "flv1 and AAC", encoded(*FLV1, "-c:a", "aac"), "audio aac", told="We cannot take Sorenson H.263"),
    Row(FFMPEG, "flv1 alone", encoded(*FLV1, "-an"), refused="cannot take|Broken pipe|reset by peer"),
    Row(FFMPEG, "wrong key", copied(url=lambda s: f"{s.server}/nck_wrong"), refused="rror"),
    Row(LIBRARIES, "H.264 and AAC", enhanced("AAC", ("H.264", 360)), "source h264, audio aac"),
    Row(LIBRARIES, "HEVC and AAC", enhanced("AAC", ("HEVC", 360)), "source hevc, 360p h264, audio aac"),
    Row(LIBRARIES, "AV1 and Opus", enhanced("Opus", ("AV1", 360)), "source av1, 360p h264, aac aac"),
    Row(LIBRARIES, "VP9 and FLAC", enhanced("FLAC", ("VP9", 360)), "source vp9, 360p h264, aac aac"),
    Row(LIBRARIES, "H.264 and AC-3", enhanced("AC-3", ("H.264", 360)), "source h264, aac aac"),
    Row(LIBRARIES, "H.264 and E-AC-3", enhanced("E-AC-3", ("H.264", 360)), "source h264, aac aac"),
    Row(
        LIBRARIES,
        "two H.264 tracks",
        enhanced("AAC", ("H.264", 720), ("H.264", 360)),
        "source h264, 480p h264, 360p h264, audio aac",
    ),
    Row(LIBRARIES, "WHIP, H.264 and Opus", by_whip(own_certificate=True), "source h264, aac aac"),
    Row(LIBRARIES, "WHIP, certificate of GnuTLS", by_whip(own_certificate=False), refused="weak elliptic curve"),
    Row(GSTREAMER, "rtmp2sink, H.264 and AAC", pipeline("rtmp2sink"), "source h264, audio aac"),
    Row(LIBRTMP, "rtmpsink, H.264 and AAC", pipeline("rtmpsink"), "source h264, audio aac"),
    Row(OBS, "advanced output, keyframe interval 2 s", studio(advanced=True), FULL),
    Row(
        OBS,
        "simple output as it comes, keyframe interval 8.3 s",
        studio(),
        "720p h264, 480p h264, 360p h264, audio aac",
        told="Keyframe interval: set 2 s",
        settle_s=8.0,
    ),
    Row(WHIP_SINK, "whipclientsink, H.264 and Opus", whip_sink("h264"), "source h264, aac aac"),
    Row(WHIP_SINK, "whipclientsink, VP8 and Opus", whip_sink("vp8"), "360p h264, aac aac"),
    Row(OBS, "wrong key", studio("nck_wrong"), refused=r"NetStream\.Publish\.BadName"),
]


@pytest.fixture(scope="module")
def outcomes() -> Iterator[list[Outcome]]:
    """Rows that ran; the document's table is made of them at the end."""
    found: list[Outcome] = []
    yield found
    if os.environ.get("NEARCAST_WRITE_DOCS") == "1":
        write_table(found)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_client(row: Row, node: Node, clips: ClipMaker, tmp_path: Path, outcomes: list[Outcome]) -> None:
    if absent := clients.missing(*CLIENTS[row.client].programs):
        pytest.skip(f"not installed: {', '.join(absent)}")
    if row.client == WHIP_SINK and not clients.whip_client_version():
        pytest.skip("GStreamer has no whipclientsink: it comes with the crate gst-plugin-webrtc")
    stage = Stage(node, await asyncio.to_thread(node.channel, "client"), clips, tmp_path)
    running = await asyncio.to_thread(row.start, stage)
    try:
        outcome = await (_plays(row, stage, running) if row.plays else _is_refused(row, stage, running))
    except AssertionError as error:
        raise AssertionError(f"{error}\n{running.said[-4000:]}") from error
    finally:
        await asyncio.to_thread(running.stop)
    print(f"{row.name}: {outcome.result}, {outcome.seconds}")
    outcomes.append(outcome)


async def _plays(row: Row, stage: Stage, running: Running) -> Outcome:
    playlist = stage.node.hls(stage.channel)
    seconds = await asyncio.to_thread(_playable, playlist, running.started)
    await asyncio.sleep(row.settle_s)
    await asyncio.to_thread(_complete, playlist, len(row.plays.split(", ")))
    async with HlsRecorder(playlist) as recorder:
        await recorder.start(PLAYABLE_S)
        await recorder.wait_for(WATCHED_S, 30)
        told = await _told(stage)
    assert_playlists_honest(recorder.tracks.values())
    assert_nothing_missing(recorder)
    found = [f"{name} {_codec(track)}" for name, track in recorder.tracks.items()]
    assert sorted(found) == sorted(row.plays.split(", ")), f"viewers get {found}"
    assert not row.told or any(row.told in text for text in told), f"the streamer is told {told}"
    words = f"; says: {'; '.join(told)}" if told else ""
    return Outcome(row, f"plays: {row.plays}{words}", seconds)


def _playable(url: str, started: float) -> float:
    """Seconds from `started` until there is a multivariant playlist."""
    while not _text(url):
        assert time.monotonic() - started < PLAYABLE_S, f"not playable after {PLAYABLE_S} s"
        time.sleep(0.02)
    return time.monotonic() - started


def _complete(url: str, count: int) -> None:
    """Waits for the renditions that the transcoder adds, a while."""
    until = time.monotonic() + PLAYABLE_S
    while len(rendition_uris(_text(url))) < count and time.monotonic() < until:
        time.sleep(0.1)


def _text(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


async def _told(stage: Stage) -> list[str]:
    broadcast = await asyncio.to_thread(stage.node.broadcast, stage.channel)
    return [problem["text"] for problem in broadcast["problems"]] if broadcast is not None else []


def _codec(track: Track) -> str:
    """Decodes everything that came; the codec's name."""
    names = set()
    seconds = 0.0
    for data in track.streams():
        with av.open(io.BytesIO(data), format="mp4") as file:
            stream = file.streams[0]
            names.add(stream.codec_context.name)
            for frame in file.decode(stream):
                assert frame.time is not None
                seconds = max(seconds, frame.time)
    assert seconds > WATCHED_S / 2, f"{track.name}: {seconds} s can be decoded"
    (name,) = names
    return _PLAIN.get(name, name)


_PLAIN = {"libdav1d": "av1", "libvpx-vp9": "vp9", "libopus": "opus"}


async def _is_refused(row: Row, stage: Stage, running: Running) -> Outcome:
    """The words stand in what the client writes, or in the notices of the channel."""
    until = time.monotonic() + REFUSED_S
    while True:
        status = await asyncio.to_thread(stage.node.status)
        told = [one["text"] for one in status["notices"] if one["channel"] == stage.channel.name]
        for line in (*told, *running.said.splitlines()):
            if re.search(row.refused, line):
                return Outcome(row, f"refused: {told[0] if told else _short(line)}", None)
        assert time.monotonic() < until, f"nobody is told {row.refused!r}; notices {told}"
        await asyncio.sleep(0.2)


def _short(line: str) -> str:
    """A line of a log without its time, the name of the part that writes it, addresses and keys."""
    return " ".join(re.sub(r"^[\d:. ]+|^\[[^]]*\]|rtmps?://\S+", "", line).split())


def write_table(found: list[Outcome]) -> None:
    """Puts the rows that ran into the document, in the order of ROWS."""
    by_name = {outcome.row.name: outcome for outcome in found}
    lines = ["| client | version | variant | result | playable after |", "|---|---|---|---|---|"]
    for row in ROWS:
        if row.name in by_name:
            outcome = by_name[row.name]
            seconds = f"{outcome.seconds:.1f} s" if outcome.seconds is not None else ""
            version = CLIENTS[row.client].version()
            lines.append(f"| {row.client} | {version} | {row.variant} | {outcome.result} | {seconds} |")
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    DOCUMENT.write_text(before + "\n".join([BEGIN, *lines, END]) + after, encoding="utf-8")
