"""The load: ffmpeg processes that copy a clip in real time for ever, and how fast they really are."""

import contextlib
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple, Self

CLIP_S = 12


class Kind(NamedTuple):
    """What one publisher sends. Rates in kbit/s."""

    size: str
    frame_rate: int
    video: int
    audio: int


CLIPS = {
    "6 Mbit/s": Kind("1920x1080", 30, 5_872, 128),
    "300 kbit/s": Kind("426x240", 30, 236, 64),
    "slides": Kind("256x144", 2, 40, 16),  # as little as a publisher can send
}
_STATS_S = 0.5
_START_S = 40.0


def make_clip(folder: Path, kind: str) -> Path:
    """A constant rate, a key frame each 2 s, no B-frames; AAC."""
    size, rate, video, audio = CLIPS[kind]
    gop = str(2 * rate)
    path = folder / f"{kind.replace(' ', '').replace('/', '-')}.flv"
    argv = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}:d={CLIP_S}"]
    argv += ["-f", "lavfi", "-i", f"sine=r=48000:d={CLIP_S}", "-vf", "noise=alls=12:allf=t"]
    argv += ["-c:v", "libx264", "-preset", "ultrafast", "-b:v", f"{video}k", "-minrate", f"{video}k"]
    argv += ["-maxrate", f"{video}k", "-bufsize", f"{video}k", "-x264-params", "nal-hrd=cbr:force-cfr=1"]
    argv += ["-g", gop, "-keyint_min", gop, "-sc_threshold", "0", "-bf", "0", "-pix_fmt", "yuv420p"]
    argv += ["-c:a", "aac", "-b:a", f"{audio}k", "-ac", "2", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return path


class Publishers:
    """One ffmpeg for each target, stopped in order at the end of the block."""

    def __init__(self, clip: Path, targets: list[str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="nearcast-publishers-")
        self._processes: list[subprocess.Popen[bytes]] = []
        self.started = time.monotonic()
        for index, target in enumerate(targets):
            argv = ["ffmpeg", "-nostdin", "-v", "error", "-re", "-stream_loop", "-1", "-i", str(clip)]
            argv += ["-c", "copy", "-f", "flv", "-flvflags", "no_duration_filesize"]
            argv += ["-tcp_nodelay", "1"]  # as OBS: a frame arrives when it is sent
            argv += ["-stats_period", str(_STATS_S), "-progress", str(self._progress(index)), target]
            self._processes.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._folder.cleanup()

    def cpu(self) -> float:
        """CPU seconds of all of them so far."""
        return sum(cpu_of(process.pid) for process in self._processes)

    def speed(self, seconds: float) -> float:
        """Sleeps for `seconds`; media of the slowest publisher in that time against the clock.

        RuntimeError when one has ended.
        """
        before = [self._sent(index) for index in range(len(self._processes))]
        time.sleep(seconds)
        if over := [process.returncode for process in self._processes if process.poll() is not None]:
            raise RuntimeError(f"{len(over)} publishers ended, exit codes {over}")
        after = [self._sent(index) for index in range(len(self._processes))]
        return min((new[1] - old[1]) / (new[0] - old[0]) for old, new in zip(before, after, strict=True))

    def settle(self, seconds: float) -> None:
        """Returns when each of them has sent `seconds` of media. TimeoutError when one does not come to it."""
        until = time.monotonic() + _START_S
        while any(self._sent(index)[1] < seconds for index in range(len(self._processes))):
            if time.monotonic() > until:
                raise TimeoutError(f"not every publisher has sent {seconds} s of media after {_START_S} s")
            time.sleep(0.1)

    def _progress(self, index: int) -> Path:
        return Path(self._folder.name, f"{index}.progress")

    def _sent(self, index: int) -> tuple[float, float]:
        """When the last report was written, and the seconds of media sent by then."""
        path = self._progress(index)
        if not path.exists():
            return 0.0, 0.0
        at, lines = path.stat().st_mtime, path.read_text(encoding="ascii").splitlines()
        values = [line.partition("=")[2] for line in lines if line.startswith("out_time_us=")]
        return at, int(values[-1]) / 1e6 if values and values[-1].isdigit() else 0.0


def cpu_of(pid: int) -> float:
    """CPU seconds of a process: the exact times of its living threads (/proc/PID/task/TID/schedstat)."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            total += int((thread / "schedstat").read_text(encoding="ascii").split()[0])
    return total / 1e9
