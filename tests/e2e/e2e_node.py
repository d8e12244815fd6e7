"""A whole node in its own data directory, driven by its command line as a person would."""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.supervisor.status import RoleStatus, read_status

ROOT = Path(__file__).resolve().parents[2]
PORTS = 13
_COMMAND_S = 100.0
_LOG_LINES = 60


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel with the secrets of its streamer."""

    name: str
    channel_id: str
    user_id: str
    key: str
    token: str
    publish_url: str


class Node:
    """`up` on construction by `start`, `stop` in order; every process of it can be found and killed."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        self.data = Path(tempfile.mkdtemp(prefix="nearcast-e2e-"))
        self.port_base = free_port_base()
        self._environment = environment or {}
        self._count = 0
        self._killed: dict[str, int] = {}

    def start(self) -> float:
        """Starts it and returns how long that took, in seconds."""
        began = time.monotonic()
        self.command("up", "--detach", "--port-base", str(self.port_base))
        return time.monotonic() - began

    def stop(self) -> None:
        """Stops it in order."""
        self.command("stop")

    def remove(self) -> list[str]:
        """Stops it, ends and names what is left of it, and deletes its data."""
        with contextlib.suppress(AssertionError):
            self.stop()
        left = self.processes()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.data, ignore_errors=True)
        return list(left.values())

    def command(self, *argv: str, code: int = 0) -> str:
        """Standard output of a command of the command line. AssertionError when it exits otherwise than `code`."""
        done = subprocess.run(
            [sys.executable, "-m", "appliance", *argv, "--data", str(self.data)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **self._environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_S,
            check=False,
        )
        assert done.returncode == code, f"{argv} exits {done.returncode}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def status(self) -> dict[str, Any]:
        """The document of `status --json`, whatever state it tells of."""
        done = subprocess.run(
            [sys.executable, "-m", "appliance", "status", "--json", "--data", str(self.data)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=_COMMAND_S,
            check=False,
        )
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def endpoint(self, name: str) -> str:
        """One of the node's URLs."""
        url: str = self.status()["endpoints"][name]
        return url

    def channel(self, prefix: str = "channel") -> Channel:
        """A new channel."""
        self._count += 1
        name = f"{prefix}{self._count}"
        made = json.loads(self.command("channel", "create", name, "--json"))
        key = made["stream_key"]
        return Channel(name, made["channel_id"], made["user_id"], key, made["token"], f"{made['rtmp_url']}/{key}")

    def hls(self, channel: Channel | str) -> str:
        """URL of a channel's multivariant playlist."""
        name = channel if isinstance(channel, str) else channel.name
        return f"http://127.0.0.1:{self.port_base}/live/{name}/index.m3u8"

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.port_base}"

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port_base + 7}/v1"

    @property
    def rtmp_port(self) -> int:
        return self.port_base + 2

    def roles(self) -> dict[str, RoleStatus]:
        """Every role by name, read from the file behind `status`: its command takes longer to start."""
        status = read_status(self.data)
        assert status is not None, "no status"
        return {role.name: role for role in status.roles}

    def kill(self, role: str) -> float:
        """kill -9 of a role's process; the monotonic time at which it happened."""
        found = self.roles()[role]
        assert found.pid is not None, f"{role} does not run"
        self._killed[role] = found.restarts
        os.kill(found.pid, signal.SIGKILL)
        return time.monotonic()

    def wait_ready(self, deadline_s: float, restarted: str = "") -> float:
        """Waits until the state is `ready` (and `restarted` runs again after its kill); the seconds it took."""
        began = time.monotonic()
        while True:
            status = read_status(self.data)
            restarts = self.roles()[restarted].restarts if restarted else 0
            took = time.monotonic() - began
            if status is not None and status.state == "ready" and restarts >= self._killed.get(restarted, -1) + 1:
                return took
            assert took < deadline_s, f"after {deadline_s} s: {status}"
            time.sleep(0.05)

    def broadcast(self, channel: Channel) -> dict[str, Any] | None:
        """The channel's running broadcast in the status document."""
        for entry in self.status()["broadcasts"]:
            if entry["channel"] == channel.name:
                found: dict[str, Any] = entry
                return found
        return None

    def processes(self) -> dict[int, str]:
        """Every process that names this node's data directory in its arguments, by pid."""
        found = {}
        for directory in Path("/proc").iterdir():
            if directory.name.isdigit() and int(directory.name) != os.getpid():
                with contextlib.suppress(OSError):
                    line = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if str(self.data) in line:
                        found[int(directory.name)] = line
        return found

    def logs(self) -> str:
        """The last lines of every role's log."""
        texts = []
        for file in sorted((self.data / "logs").glob("*.log")):
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
            texts.append("\n".join([f"--- {file.stem}", *lines]))
        return "\n".join(texts)


def free_port_base() -> int:
    """The first of a row of free ports below the range from which systems give ports away."""
    for _ in range(200):
        base = random.randrange(12_000, 32_000, PORTS)
        if all(_is_free(base + offset) for offset in range(PORTS)):
            return base
    raise AssertionError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
