"""The two servers of the delivery bench: one origin process of ours over a log in memory, and nginx with files."""

import asyncio
import datetime as dt
import multiprocessing
import multiprocessing.connection
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, Protocol

from appliance.engines.certificate import CertificateFiles, self_signed
from tests.e2e.e2e_node import free_port_base

PART_BYTES = 100_000
_SEGMENTS = 12  # complete ones, whose playlist has about 2 KB
_TOOLS = {"nginx": "nginx-light", "wrk": "wrk", "h2load": "nghttp2-client", "taskset": "util-linux"}
_CONFIGURATION = """user root;
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000000;
  open_file_cache max=100;
  types {{ application/vnd.apple.mpegurl m3u8; video/mp4 m4s; }}
  add_header Cache-Control "public, max-age=12, immutable";
  add_header Access-Control-Allow-Origin "*";
  ssl_certificate {certificate};
  ssl_certificate_key {key};
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_buffer_size 16k;
  server {{
    listen 127.0.0.1:{port};
    listen 127.0.0.1:{secure} ssl http2;
    root {folder}/files;
  }}
}}
"""


def absent() -> str:
    """The Debian packages that are not installed, as apt-get takes them; empty when all are."""
    return " ".join(package for tool, package in _TOOLS.items() if shutil.which(tool) is None)


class Server(Protocol):
    """What the bench asks of both."""

    name: str
    pid: int
    port: int
    secure: int
    playlist: str
    part: str

    def stop(self) -> None: ...


def certificate(folder: Path) -> CertificateFiles:
    """Both show the same one."""
    return self_signed(folder, ["127.0.0.1"], dt.datetime.now(dt.UTC))


class Ours:
    """An origin in a process of its own, with a live channel; everything but the log is the real thing."""

    name = "ours"

    def __init__(self, files: CertificateFiles) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, files))
        self._process.start()
        self.pid = self._process.pid or 0
        self.port, self.secure, source, serial = self._pipe.recv()
        self.source = f"{source}/index.m3u8"
        self.playlist = f"{self.source}?_HLS_msn={_SEGMENTS}&_HLS_part=0"  # as a player asks, and it is there
        self.part = f"{source}/p{serial}.m4s"

    def body(self, path: str) -> bytes:
        """What it answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            body: bytes = answer.read()
            return body

    def held(self) -> int:
        """Requests it holds."""
        self._pipe.send("held")
        count: int = self._pipe.recv()
        return count

    def stop(self) -> None:
        """Ends it."""
        self._pipe.send("stop")
        self._process.join(10)


def _serve(pipe: multiprocessing.connection.Connection, files: CertificateFiles) -> None:
    import uvloop

    uvloop.run(_origin(pipe, files))
    os._exit(0)


async def _origin(pipe: multiprocessing.connection.Connection, files: CertificateFiles) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "origin"))
    from origin_fakes import BROADCAST, start_origin

    from appliance.runtime.tls import ServerTls

    origin: Any = await start_origin(tls=ServerTls(*files), connections=100_000, waiters=100_000)
    origin.go_live()
    origin.add_segments(_SEGMENTS)
    header, _ = origin.video.next_part()[0]
    origin.log.add("source", header, b"x" * PART_BYTES)
    pipe.send((origin.server.port, origin.server.secure_port, f"/media/{BROADCAST}/source", header.serial))
    over = asyncio.Event()

    def on_command() -> None:
        if pipe.recv() == "held":
            pipe.send(len(origin.server.held))
        else:
            over.set()

    asyncio.get_running_loop().add_reader(pipe.fileno(), on_command)
    await over.wait()
    await origin.close()


class Nginx:
    """One nginx process that serves the same bytes from memory-backed files."""

    name = "nginx"

    def __init__(self, folder: Path, files: CertificateFiles, playlist: bytes, part: bytes) -> None:
        (folder / "files").mkdir(parents=True)
        (folder / "files" / "index.m3u8").write_bytes(playlist)
        (folder / "files" / "part.m4s").write_bytes(part)
        self.playlist, self.part = f"/index.m3u8?_HLS_msn={_SEGMENTS}&_HLS_part=0", "/part.m4s"
        self.port = free_port_base()
        self.secure = self.port + 1
        file = folder / "nginx.conf"
        file.write_text(
            _CONFIGURATION.format(
                folder=folder, port=self.port, secure=self.secure, certificate=files.certificate, key=files.key
            )
        )
        argv = ["nginx", "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(file)]
        self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
        self.pid = self._process.pid
        until = time.monotonic() + 5
        while not self._listens():
            if time.monotonic() > until or self._process.poll() is not None:
                raise RuntimeError((folder / "error.log").read_text())
            time.sleep(0.05)

    def _listens(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/index.m3u8", timeout=1):
                return True
        except OSError:
            return False

    def stop(self) -> None:
        """Ends it."""
        self._process.terminate()
        self._process.wait(10)
