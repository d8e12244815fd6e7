"""A real nats-server with JetStream on a free port, which tests may kill and start again."""

import asyncio
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from appliance.runtime.bus import Bus, Endpoint

_CONFIG = """\
listen: "127.0.0.1:{port}"
max_payload: 8MB
jetstream {{ store_dir: "{store}", sync_interval: always, max_mem: 64MB, max_file: 256MB }}
"""


class NatsServer:
    """One server with its own store."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._store, self._kept = folder / "store", folder / "kept"
        self._file = folder / "nats.conf"
        self._file.write_text(_CONFIG.format(port=self.port, store=self._store), encoding="utf-8")
        self._log = folder / "nats.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens."""
        return Endpoint(f"nats://127.0.0.1:{self.port}")

    async def start(self) -> None:
        """Starts it; returns when it greets."""
        binary = Path(sys.executable).parent / "nats-server"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([str(binary), "-c", str(self._file)], stdout=log, stderr=log)
        async with asyncio.timeout(10):
            while not await self._greets():
                await asyncio.sleep(0.02)

    async def _greets(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        greeting = await reader.readline()
        writer.close()
        return greeting.startswith(b"INFO")

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def keep(self) -> None:
        """What is written until now survives `kill_and_forget`."""
        await asyncio.sleep(0.3)  # written behind
        shutil.rmtree(self._kept, ignore_errors=True)
        shutil.copytree(self._store, self._kept)

    def kill_and_forget(self) -> None:
        """kill -9 of a server that had not written what came since `keep`."""
        self.kill()
        shutil.rmtree(self._store)
        shutil.copytree(self._kept, self._store)

    async def restart(self, pause_s: float = 0.3) -> None:
        """kill -9, some time without a server, start."""
        self.kill()
        await asyncio.sleep(pause_s)
        await self.start()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A running server."""
    made = NatsServer(tmp_path)
    await made.start()
    yield made
    made.kill()


Connect = Callable[[], Awaitable[Bus]]


@pytest.fixture
async def connect(server: NatsServer) -> AsyncIterator[Connect]:
    """Makes connections that are closed after the test."""
    made: list[Bus] = []

    async def one() -> Bus:
        bus = await Bus.connect(server.endpoint, name=f"test{len(made)}")
        made.append(bus)
        return bus

    yield one
    for bus in made:
        await bus.close()


@pytest.fixture
async def bus(connect: Connect) -> Bus:
    """A connection."""
    return await connect()
