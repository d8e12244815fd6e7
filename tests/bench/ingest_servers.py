"""The two servers of the ingest bench: a node of ours that does not transcode, and nginx with its RTMP module."""

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Protocol

from appliance.contracts import subjects
from appliance.runtime.bus import Bus, Endpoint
from tests.bench.footprint import memory_mb
from tests.bench.ingest_publishers import cpu_of
from tests.bench.ingest_viewers import Lateness, part_lateness
from tests.e2e.e2e_node import Node, free_port_base

MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
WATCHED = 4  # streams whose parts are timed: reader and viewers must not be the load
_PROCESSES = ("ingest", "nats-edge")
_OVER_S = 10.0
_CONFIGURATION = """load_module {module};
user root;
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 2048; }}
rtmp {{
  access_log off;
  server {{
    listen 127.0.0.1:{port};
    application live {{
      live on;
      hls on;
      hls_path {folder}/hls;
      hls_fragment 2s;
      hls_playlist_length 60s;
    }}
  }}
}}
"""


def absent() -> str:
    """What is not installed, in words; empty when all is there."""
    found = [name for name in ("nginx", "ffmpeg") if shutil.which(name) is None]
    return ", ".join(found + ([] if MODULE.exists() else [str(MODULE)]))


class Server(Protocol):
    """What the bench asks of both. Streams have numbers from 0."""

    name: str
    count: int

    def start(self, count: int) -> None: ...
    def stop(self) -> None: ...
    def target(self, index: int) -> str:
        """The URL to publish to."""

    def playable(self, index: int) -> bool: ...
    def forget(self, index: int) -> None:
        """Waits until a stream that is no longer published is over."""

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far, by process."""

    def memory_mb(self) -> float: ...


class Nginx:
    """One nginx process."""

    name = "nginx"

    def __init__(self, folder: Path) -> None:
        self.count = 0
        self._folder = folder
        self._port = free_port_base()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, count: int) -> None:
        """Returns when it listens."""
        self.count = count
        (self._folder / "hls").mkdir(parents=True)
        file = self._folder / "nginx.conf"
        file.write_text(_CONFIGURATION.format(module=MODULE, folder=self._folder, port=self._port))
        argv = ["nginx", "-p", str(self._folder), "-e", str(self._folder / "error.log"), "-c", str(file)]
        self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        until = time.monotonic() + 5
        while not _listens(self._port):
            if time.monotonic() > until or self._process.poll() is not None:
                raise RuntimeError((self._folder / "error.log").read_text())
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def target(self, index: int) -> str:
        return f"rtmp://127.0.0.1:{self._port}/live/stream{index}"

    def playable(self, index: int) -> bool:
        """Whether the playlist lists a fragment."""
        try:
            return "#EXTINF" in self._playlist(index).read_text()
        except FileNotFoundError:
            return False

    def forget(self, index: int) -> None:
        time.sleep(0.1)
        self._playlist(index).unlink(missing_ok=True)

    def _playlist(self, index: int) -> Path:
        return self._folder / "hls" / f"stream{index}.m3u8"

    def cpu(self) -> dict[str, float]:
        assert self._process is not None
        return {self.name: cpu_of(self._process.pid)}

    def memory_mb(self) -> float:
        assert self._process is not None
        return memory_mb([self._process.pid])


class Ours:
    """A node that transcodes nothing; its ingest process and the edge's NATS server count."""

    name = "ours"

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        """`environment`: further settings."""
        self.count = 0
        self._node = Node(
            {
                "NEARCAST__TRANSCODE__ENABLED": "false",
                "NEARCAST__INGEST__STOP_GRACE_S": "0.5",
                "NEARCAST__INGEST__CONNECTIONS_PER_ADDRESS": "1000",
                "NEARCAST__INGEST__TAKEOVERS_PER_MINUTE": "1000",
                **(environment or {}),
            }
        )
        self._channels: list[tuple[str, str, str]] = []  # name, id, stream key

    def start(self, count: int) -> None:
        """Returns when it is ready and has `count` channels."""
        self._node.start()
        self.count = count
        token = (self._node.data / "keys" / "operator.token").read_text().strip()
        for index in range(count):
            made = _post(f"{self._node.api}/channels", {"name": f"stream{index}"}, token)
            self._channels.append((made["channel"], made["channel_id"], made["stream_key"]))

    def stop(self) -> None:
        """Ends it and deletes its data."""
        self._node.remove()

    def target(self, index: int) -> str:
        return f"rtmp://127.0.0.1:{self._node.rtmp_port}/live/{self._channels[index][2]}"

    def playlist(self, index: int) -> str:
        """URL of the multivariant playlist."""
        return self._node.hls(self._channels[index][0])

    def playable(self, index: int) -> bool:
        """Whether the multivariant playlist answers."""
        return _status(self.playlist(index)) == 200

    def pids(self) -> dict[str, int]:
        """Every process of the node that runs, by its role."""
        return {name: role.pid for name, role in self._node.roles().items() if role.pid is not None}

    def forget(self, index: int) -> None:
        until = time.monotonic() + _OVER_S
        while self.playable(index) and time.monotonic() < until:
            time.sleep(0.05)

    def cpu(self) -> dict[str, float]:
        return {name: cpu_of(pid) for name, pid in self._pids().items()}

    def memory_mb(self) -> float:
        return memory_mb(list(self._pids().values()))

    def _pids(self) -> dict[str, int]:
        roles = self._node.roles()
        found = {name: role.pid for name, role in roles.items() if name in _PROCESSES and role.pid is not None}
        assert len(found) == len(_PROCESSES), f"{_PROCESSES} are not among {sorted(roles)}"
        return found

    async def late_parts(self, streams: int, seconds: float) -> Lateness:
        """Of a few of the streams."""
        bus = await Bus.connect(Endpoint(self._local_url()), name="bench")
        try:
            found = await self._broadcasts(bus, min(streams, WATCHED))
            return await part_lateness(bus, found, seconds)
        finally:
            await bus.close()

    def _local_url(self) -> str:
        from appliance.commands.place import running_settings

        return running_settings(self._node.data).bus.local_url

    async def _broadcasts(self, bus: Bus, most: int) -> dict[str, str]:
        """The multivariant playlists of the first ones by broadcast."""
        names = {name for name, _, _ in self._channels[:most]}
        found = {}
        for key, value in await bus.bucket(subjects.LIVE_BUCKET).items():
            if key.startswith("broadcast."):
                entry = json.loads(value)
                if entry["channel"] in names and entry["state"] == "live":
                    found[entry["channel"]] = entry["broadcast_id"]
        assert len(found) == most, f"{sorted(found)} of {most} streams are live"
        return {broadcast_id: self._node.hls(name) for name, broadcast_id in found.items()}


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def _post(url: str, body: dict[str, str], token: str) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        made: dict[str, str] = json.load(answer)
        return made
