"""Publishers of one clip from one process, each over a connection of its own: so light that hundreds fit a machine.

    python -m tests.bench.ingest_replay CLIP REPORT URL...

Sound leaves together with the picture that follows it, as from encoders that put tracks in order before they send
(ffmpeg, OBS). REPORT says, twice a second, by how many seconds the latest message was late.
"""

import asyncio
import functools
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import urlsplit

import uvloop

from edge.protocols import amf
from edge.protocols.rtmp.chunks import SET_CHUNK_SIZE, ChunkWriter, Message
from edge.protocols.rtmp.messages import COMMAND_AMF0
from tests.bench.ingest_publishers import cpu_of

_AUDIO, _VIDEO = 8, 9
_HEADER, _TAG = 13, 11  # bytes before the first tag of a file, and before the body of each
_HANDSHAKE = b"\3" + bytes(1536) + bytes(1536)
_CHUNK_SIZE = 4096  # as OBS
_REPORT_S = 0.5
_SPREAD_S = 2.0  # in which all of them begin
_STOP_S = 5.0


class _Tag(NamedTuple):
    kind: int
    stamp: int
    body: bytes


class Clip:
    """An FLV file with pictures at a constant rate, repeated without end. `step_s`: from picture to picture."""

    def __init__(self, file: Path) -> None:
        tags = [tag for tag in _tags(file.read_bytes()) if tag.kind in (_AUDIO, _VIDEO)]
        frames = [tag for tag in tags if tag.body[1] == 1]
        pictures = [tag.stamp for tag in frames if tag.kind == _VIDEO]
        self.step_s = (pictures[-1] - pictures[0]) / (len(pictures) - 1) / 1000
        self._configurations = [tag for tag in tags if tag.body[1] == 0]
        self._length_ms = round(1000 * self.step_s * len(pictures))
        self._bursts: list[list[_Tag]] = [[]]
        for tag in sorted(frames, key=lambda tag: (tag.stamp, tag.kind)):
            if tag.stamp - pictures[0] < self._length_ms:
                self._bursts[-1].append(tag)
                if tag.kind == _VIDEO:
                    self._bursts.append([])
        self._bursts[-1:] = []  # the sound behind the last picture

    def opening(self, path: str) -> bytes:
        """Up to the first frame. `path` of the URL: application and key."""
        application, _, key = path.strip("/").partition("/")
        said = ChunkWriter().write(2, Message(SET_CHUNK_SIZE, 0, 0, _CHUNK_SIZE.to_bytes(4, "big")))
        said += _command("connect", 1, {"app": application, "tcUrl": f"rtmp://127.0.0.1/{application}"})
        said += _command("createStream", 2, None) + _command("publish", 3, None, key, "live", stream_id=1)
        return _HANDSHAKE + said + b"".join(_message(tag, 0) for tag in self._configurations)

    @functools.lru_cache(maxsize=64)  # noqa: B019 - as long as the process; all publishers send the same bytes
    def burst(self, index: int) -> bytes:
        """What is sent at `index` steps."""
        loops, at = divmod(index, len(self._bursts))
        return b"".join(_message(tag, tag.stamp + loops * self._length_ms) for tag in self._bursts[at])


class _Connection(asyncio.Protocol):
    """One publisher. `late_s`: the latest message since it was looked at."""

    def __init__(self, clip: Clip, path: str) -> None:
        self.late_s = 0.0
        self._clip, self._path = clip, path
        self._loop = asyncio.get_running_loop()
        self._begun = self._loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        transport.write(self._clip.opening(self._path))  # type: ignore[attr-defined] # of a stream
        self._begun = self._loop.time()
        self._send(0)

    def connection_lost(self, exc: Exception | None) -> None:
        raise SystemExit(f"a publisher was cut off: {exc!r}")

    def _send(self, index: int) -> None:
        due = self._begun + index * self._clip.step_s
        self.late_s = max(self.late_s, self._loop.time() - due)
        self._transport.write(self._clip.burst(index))  # type: ignore[attr-defined] # of a stream
        self._loop.call_at(due + self._clip.step_s, self._send, index + 1)


class Replay:
    """As `Publishers`, one process for all."""

    def __init__(self, clip: Path, targets: list[str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="nearcast-replay-")
        self._report = Path(self._folder.name, "late")
        argv = [sys.executable, "-m", "tests.bench.ingest_replay", str(clip), str(self._report), *targets]
        self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(_STOP_S)
        self._folder.cleanup()

    def cpu(self) -> float:
        """CPU seconds so far."""
        return cpu_of(self._process.pid)

    def settle(self, seconds: float) -> None:
        """Returns when all of them have sent for so long."""
        time.sleep(_SPREAD_S + 1.0 + seconds)

    def speed(self, seconds: float) -> float:
        """Sleeps for `seconds`; media of the slowest publisher in that time against the clock.

        RuntimeError when it has ended.
        """
        before = self._late()
        time.sleep(seconds)
        if self._process.poll() is not None:
            raise RuntimeError(f"the publishers ended, exit code {self._process.returncode}")
        return 1.0 - max(0.0, self._late() - before) / seconds

    def _late(self) -> float:
        return float(self._report.read_text(encoding="ascii"))


def _command(*values: amf.AmfValue | int, stream_id: int = 0) -> bytes:
    return _written(3, Message(COMMAND_AMF0, stream_id, 0, amf.encode(values)))


def _message(tag: _Tag, stamp: int) -> bytes:
    return _written(4 if tag.kind == _AUDIO else 6, Message(tag.kind, 1, stamp, tag.body))


def _written(chunk_stream: int, message: Message) -> bytes:
    writer = ChunkWriter()
    writer.chunk_size = _CHUNK_SIZE
    return writer.write(chunk_stream, message)


def _tags(data: bytes) -> list[_Tag]:
    found, at = [], _HEADER
    while at + _TAG <= len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        stamp = int.from_bytes(data[at + 4 : at + 7], "big") | data[at + 7] << 24
        found.append(_Tag(data[at], stamp, data[at + _TAG : at + _TAG + size]))
        at += _TAG + size + 4
    return found


async def _publish(clip: Clip, report: Path, targets: list[str]) -> None:
    loop = asyncio.get_running_loop()
    connections = []
    for target in targets:
        parts = urlsplit(target)
        made = functools.partial(_Connection, clip, parts.path)
        connections.append((await loop.create_connection(made, parts.hostname, parts.port))[1])
        await asyncio.sleep(2 * random.random() * _SPREAD_S / len(targets))
    while True:
        report.write_text(str(max(one.late_s for one in connections)), encoding="ascii")
        for one in connections:
            one.late_s = 0.0
        await asyncio.sleep(_REPORT_S)


if __name__ == "__main__":
    uvloop.run(_publish(Clip(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3:]))
