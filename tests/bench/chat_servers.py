"""The three servers of the chat bench: the least one can do in C, nginx with nchan, and our gateway."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration" / "chat"))
from chat_site import site as site  # noqa: E402 - the path is set above; for the bench itself

NCHAN = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
SIZE = 330  # bytes of a message on its way to a reader: what ours has with its names and ids
SERVER_CORE, LOAD_CORE = "0", "1"
_STAMP = "@" + "0" * 19
_UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_NGINX = """load_module {module};
user root;
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 15000; }}
http {{
  access_log off;
  nchan_shared_memory_size 256M;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    keepalive_requests 1000000;
    location = /read {{ nchan_subscriber websocket; nchan_channel_id room; nchan_subscriber_first_message newest; }}
    location = /write {{ nchan_publisher; nchan_channel_id room; nchan_message_buffer_length 50; }}
  }}
}}
"""


def free_port() -> int:
    """One that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def absent() -> str:
    """What is not installed, in words; empty when all is there."""
    found = [f"no {name}" for name in ("cc", "nginx", "taskset") if shutil.which(name) is None]
    return ", ".join(found + ([] if NCHAN.exists() else ["no libnginx-mod-nchan"]))


def compile_limit(folder: Path) -> Path:
    """The C program. CalledProcessError when it does not compile."""
    made = folder / "chat_limit"
    subprocess.run(["cc", "-O2", "-o", str(made), str(Path(__file__).with_name("chat_limit.c"))], check=True)
    return made


def frame(payload: bytes) -> bytes:
    """A client's frame, masked with zeros."""
    length = len(payload)
    head = bytes((0x81, 0x80 | length)) if length < 126 else b"\x81\xfe" + length.to_bytes(2, "big")
    return head + bytes(4) + payload


def on_core(core: str, *argv: str) -> list[str]:
    """The command on one core."""
    return ["taskset", "-c", core, *argv]


class Server(Protocol):
    """What the bench asks of each."""

    name: str
    port: int
    request: bytes
    opening: bytes
    message: bytes

    @property
    def pid(self) -> int: ...


class Limit:
    """The C program."""

    name = "C"
    request = _UPGRADE.format(path="/").encode()
    opening = request
    message = frame((_STAMP + "x" * SIZE)[:SIZE].encode())

    def __init__(self, program: Path, window_ms: int = 0) -> None:
        self.port = free_port()
        argv = [str(program), "server", str(self.port), str(window_ms)]
        self._process = subprocess.Popen(on_core(SERVER_CORE, *argv), stdout=subprocess.PIPE)
        _wait_ready(self._process)

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.wait()


class Nchan:
    """nginx with one worker."""

    name = "nchan"
    request = _UPGRADE.format(path="/read").encode()
    opening = b""
    message = f"POST /write HTTP/1.1\r\nHost: h\r\nContent-Length: {SIZE}\r\n\r\n".encode() + (
        (_STAMP + "x" * SIZE)[:SIZE].encode()
    )

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        file = folder / "nginx.conf"
        file.write_text(_NGINX.format(module=NCHAN, folder=folder, port=self.port))
        argv = ["nginx", "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(file)]
        self._process = subprocess.Popen(on_core(SERVER_CORE, *argv), stdin=subprocess.DEVNULL)
        until = time.monotonic() + 5
        while not (_listens(self.port) and self._workers()):
            if time.monotonic() > until or self._process.poll() is not None:
                raise RuntimeError((folder / "error.log").read_text())
            time.sleep(0.05)

    @property
    def pid(self) -> int:
        """Of the worker."""
        return self._workers()[0]

    def _workers(self) -> list[int]:
        master = self._process.pid
        return [int(one) for one in Path(f"/proc/{master}/task/{master}/children").read_text().split()]

    def stop(self) -> None:
        """Ends it."""
        self._process.terminate()
        self._process.wait(10)


class Gateway:
    """A gateway process, and the C program as the port in front of it."""

    name = "Nearcast"
    request = _UPGRADE.format(path="/chat/alice/subscribe").encode()
    opening = _UPGRADE.format(path="/chat/alice/subscribe?token=token-alice").encode()
    message = frame(b'{"type":"message","message":"%b"}' % (_STAMP + "x" * 14).encode())

    def __init__(self, folder: Path, nats: str, program: Path, window_s: float = 0.02) -> None:
        path = folder / "chat.sock"
        argv = [sys.executable, "-m", "tests.bench.chat_gateway", str(path), nats, str(window_s)]
        self._process = subprocess.Popen(on_core(SERVER_CORE, *argv), cwd=ROOT, stdout=subprocess.PIPE)
        _wait_ready(self._process)
        self.port = free_port()
        front = on_core(LOAD_CORE, str(program), "front", str(self.port), str(path))
        self._front = subprocess.Popen(front, stdout=subprocess.PIPE)
        _wait_ready(self._front)

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        """Ends it."""
        self._front.kill()
        self._front.wait()
        self._process.kill()
        self._process.wait()


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def memory_kb(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024


def _wait_ready(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdout is not None
    if process.stdout.readline() != b"ready\n":
        process.kill()
        raise RuntimeError("it did not start")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
