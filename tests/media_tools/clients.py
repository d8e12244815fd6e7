"""Programs of other people that publish: their command lines, and one run of any of them."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import av

ROOT = Path(__file__).resolve().parents[2]
_STOP_S = 5.0
_KILL_S = 5.0


class Running:
    """One run of a program and all that it starts, in a session of its own. Everything it says is in a file.

    As a context manager it is ended, with its children, at the end of the block.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: dict[str, str] | None = None) -> None:
        self.log = log
        self.started = time.monotonic()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def over(self) -> bool:
        """Whether the program itself has ended."""
        return self._process.poll() is not None

    @property
    def said(self) -> str:
        """What it wrote so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait(self, timeout_s: float) -> int:
        """Its exit code. subprocess.TimeoutExpired when it goes on."""
        return self._process.wait(timeout_s)

    def stop(self) -> None:
        """Asks it to end as Ctrl-C does, then ends whatever is left of its session."""
        self._signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_S)
        until = time.monotonic() + _KILL_S
        while self._signal(signal.SIGKILL) and time.monotonic() < until:
            time.sleep(0.05)
        self._process.wait(_KILL_S)

    def _signal(self, number: signal.Signals) -> int:
        members = _session(self._process.pid)
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return len(members)


def _session(leader: int) -> list[int]:
    """Living processes of a session, by proc(5)."""
    found = []
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                state, _, _, session = (directory / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(session) == leader and state != "Z":
                    found.append(int(directory.name))
    return found


def missing(*programs: str) -> list[str]:
    """Those of `programs` that are not installed."""
    return [program for program in programs if shutil.which(program) is None]


def ffmpeg(url: str, source: Sequence[str], output: Sequence[str]) -> list[str]:
    """The system's ffmpeg in real time: input options with the input, then options of the output."""
    return [
        *("ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "warning", "-re"),
        *source,
        *output,
        *("-f", "flv", "-flvflags", "no_duration_filesize", url),
    ]


def ffmpeg_version() -> str:
    """Such as 5.1.9."""
    done = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[2].partition("-")[0]


def libraries(clip: Path, url: str, **options: object) -> list[str]:
    """FFmpeg's newest libraries, as PyAV brings them, copying a file to RTMP, or with options to WHIP."""
    given = [f"{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "tests.media_tools.libav_publisher", str(clip), url, *given]


def libraries_version() -> str:
    """Such as 8.1.2."""
    return str(av.ffmpeg_version_info)


def gstreamer(url: str, sink: str) -> list[str]:
    """A test picture and tone as H.264 and AAC to `sink`, which is rtmp2sink or librtmp's rtmpsink."""
    location = url if sink == "rtmp2sink" else f"{url} live=1"
    return [
        *("gst-launch-1.0", "-e", "videotestsrc", "is-live=true"),
        *("!", "video/x-raw,width=640,height=360,framerate=30/1"),
        *("!", "x264enc", "tune=zerolatency", "speed-preset=ultrafast", "bitrate=1000", "key-int-max=60"),
        *("!", "video/x-h264,profile=main", "!", "h264parse", "!", "flvmux", "name=mux", "streamable=true"),
        *("!", sink, f"location={location}"),
        *("audiotestsrc", "is-live=true", "!", "audio/x-raw,rate=48000,channels=2"),
        *("!", "avenc_aac", "bitrate=128000", "!", "aacparse", "!", "mux."),
    ]


def whip_client(url: str, key: str, codec: str) -> list[str]:
    """A test picture in a codec and a tone as Opus by GStreamer's whipclientsink (plugin rswebrtc)."""
    return [
        *("gst-launch-1.0", "-e", "whipclientsink", "name=sink", "congestion-control=disabled"),
        *(f"video-caps=video/x-{codec}", f"signaller::whip-endpoint={url}", f"signaller::auth-token={key}"),
        *("videotestsrc", "is-live=true", "!", "video/x-raw,width=640,height=360,framerate=30/1", "!", "sink."),
        *("audiotestsrc", "is-live=true", "!", "sink."),
    ]


def whip_client_version() -> str:
    """Of the plugin, such as 0.15.4; empty where GStreamer does not have it."""
    if shutil.which("gst-inspect-1.0") is None:
        return ""
    done = subprocess.run(["gst-inspect-1.0", "rswebrtc"], capture_output=True, text=True, check=False)
    lines = [line.split() for line in done.stdout.splitlines()]
    return next((words[1].partition("-")[0] for words in lines if words[:1] == ["Version"]), "")


def gstreamer_version() -> str:
    """Such as 1.22.0."""
    done = subprocess.run(["gst-launch-1.0", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[2]
