"""An encoder: ffmpeg that copies a clip to RTMP in real time, once or again and again as OBS does."""

import signal
import subprocess
import threading
import time
from typing import Self, TypedDict, Unpack

from tests.media_tools.clips import Clip

_STOP_S = 5.0


class Options(TypedDict, total=False):
    """How a clip is published: from `skip_s` on, with stamps from `first_stamp_s` on.

    `loop`: again and again, with stamps that go on. `interleave_s`, 10 else: so long sound waits for pictures, or
    they for it.
    """

    skip_s: float
    first_stamp_s: float
    loop: bool
    interleave_s: float


def ffmpeg_command(clip: Clip, url: str, **options: Unpack[Options]) -> list[str]:
    """The command line that publishes `clip`."""
    again = ["-stream_loop", "-1"] if options.get("loop") else []
    skip_s, first_stamp_s = options.get("skip_s", 0.0), options.get("first_stamp_s", 0.0)
    seek = ["-ss", f"{skip_s:.3f}"] if skip_s else []
    shift = ["-output_ts_offset", f"{first_stamp_s:.3f}"] if first_stamp_s else []
    interleave_us = round(1e6 * options.get("interleave_s", 10.0))
    return [
        *("ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "warning", "-re", *again, *seek),
        *("-i", str(clip.path), "-c", "copy", *shift, "-f", "flv", "-flvflags", "no_duration_filesize"),
        *("-max_interleave_delta", str(interleave_us), url),
    ]


class Publisher:
    """One run of ffmpeg. As a context manager it is stopped at the end of the block."""

    def __init__(self, clip: Clip, url: str, **options: Unpack[Options]) -> None:
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            ffmpeg_command(clip, url, **options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether it still publishes."""
        return self._process.poll() is None

    def wait(self, timeout_s: float) -> tuple[int, str]:
        """Exit code and what ffmpeg said. subprocess.TimeoutExpired when it goes on."""
        _, said = self._process.communicate(timeout=timeout_s)
        return self._process.returncode, said.decode(errors="replace")

    def stop(self) -> None:
        """Stops as a person does: the stream is unpublished in order."""
        if self.running:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()
        if self._process.stderr is not None:
            self._process.stderr.close()

    def kill(self) -> None:
        """The encoder's machine loses its power."""
        self._process.kill()
        self._process.wait()


class RestartingPublisher:
    """Publishes a clip and, when the connection breaks, goes on from where the clip is by now."""

    def __init__(self, clip: Clip, url: str, *, pause_s: float = 1.0) -> None:
        self.runs = 0
        self._clip = clip
        self._url = url
        self._pause_s = pause_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="publisher")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def running(self) -> bool:
        """Whether the clip is not over yet."""
        return self._thread.is_alive()

    def _run(self) -> None:
        began = time.monotonic()
        while not self._over.is_set():
            skip = time.monotonic() - began
            if skip > self._clip.seconds - 1:
                return
            self.runs += 1
            with Publisher(self._clip, self._url, skip_s=skip if self.runs > 1 else 0.0) as one:
                while one.running and not self._over.wait(0.05):
                    pass
            self._over.wait(self._pause_s)
