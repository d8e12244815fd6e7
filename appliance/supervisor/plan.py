"""The plan of an embedded node: engines first, then the roles, all from one settings file."""

import contextlib
import dataclasses
import datetime as dt
import hashlib
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from appliance.contracts.errors import ConfigError
from appliance.engines.certificate import self_signed
from appliance.engines.child import Child, confined
from appliance.engines.files import make_directory, service_account, write_private
from appliance.engines.nats import NatsEngine
from appliance.engines.postgres import PostgresEngine
from appliance.engines.valkey import ValkeyEngine
from appliance.runtime.settings import Settings, TlsSettings, to_toml
from appliance.supervisor.bootstrap import prepare_edge, prepare_hub

_LONGEST_SOCKET = 90  # a unix socket's path holds 107 bytes, and names are added
_MEMORY = Path("/dev/shm")  # noqa: S108 - the folder in it is ours
_MEMORY_ROOM = 32 << 20
ROOT = Path(__file__).resolve().parents[2]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What to run and with which settings."""

    settings: Settings
    settings_file: Path
    engines: list[Child]
    roles: list[Child]


def prepare(settings: Settings) -> Plan:
    """Makes what the engines need, writes the roles' settings file and returns the processes to run."""
    data = settings.data_dir
    account = service_account()
    for folder, mode in (("run", 0o711), ("logs", 0o755), ("keys", 0o700)):
        make_directory(data / folder, mode=mode)
    for counts in metrics_directory(data).glob("*.db"):  # of the processes of another run
        counts.unlink(missing_ok=True)
    sockets = socket_directory(data)
    nats = NatsEngine(settings, make_directory(data / "nats", account), account)
    postgres = PostgresEngine(data / "postgres", sockets / "postgres", account)
    valkey = ValkeyEngine(sockets / "valkey", account)
    facts = nats.prepare()
    postgres.prepare()
    valkey.prepare()
    full = dataclasses.replace(
        settings,
        node=dataclasses.replace(settings.node, socket_dir=str(sockets)),
        bus=dataclasses.replace(settings.bus, **dataclasses.asdict(facts)),
        coordinator=dataclasses.replace(settings.coordinator, dsn=postgres.dsn),
        counters=dataclasses.replace(settings.counters, url=valkey.url),
        tls=_tls(settings, data),
    )
    file = data / "run" / "node.toml"
    write_private(file, to_toml(full))
    hub, edge = nats.children()
    hub = dataclasses.replace(hub, restore=lambda: prepare_hub(full))
    edge = dataclasses.replace(edge, restore=lambda: prepare_edge(full))
    engines = [hub, edge, postgres.child(), valkey.child()]
    return Plan(full, file, engines, _roles(full, file))


def _tls(settings: Settings, data: Path) -> TlsSettings:
    """The certificate to show. ConfigError when only half of one is given, or none can be made."""
    tls = settings.tls
    if bool(tls.certificate) != bool(tls.key):
        raise ConfigError("tls.certificate and tls.key belong together: give both or none")
    if not tls.enabled or tls.certificate:
        return tls
    names = [settings.public_host.strip("[]"), settings.node.host]
    try:
        made = self_signed(data / "tls", names, dt.datetime.now(dt.UTC))
    except OSError as error:
        raise ConfigError(f"no certificate can be kept in {data / 'tls'}: {error}") from error
    return dataclasses.replace(tls, certificate=str(made.certificate), key=str(made.key))


def socket_directory(data: Path) -> Path:
    """Where unix sockets lie: below the data directory unless its path is too long for a socket."""
    near = data / "run"
    if len(os.fsencode(near)) <= _LONGEST_SOCKET - 24:
        return near
    return make_directory(Path(tempfile.gettempdir()) / f"nearcast-{os.getuid()}-{_digest(data)}", mode=0o711)


def _digest(data: Path) -> str:
    return hashlib.sha256(os.fsencode(data)).hexdigest()[:12]


def metrics_directory(data: Path) -> Path:
    """Where processes keep their counts, mapped into memory: who adds one while the disk is full would be killed.

    So it is in memory, and only where there is none below the data directory.
    """
    near = _MEMORY / f"nearcast-{os.geteuid()}-{_digest(data)}"
    with contextlib.suppress(OSError):
        if shutil.disk_usage(_MEMORY).free >= _MEMORY_ROOM:
            near.mkdir(mode=0o700, exist_ok=True)
            if near.lstat().st_uid == os.geteuid() and not near.is_symlink():
                return near
    return make_directory(data / "run" / "metrics", mode=0o700)


def _roles(settings: Settings, file: Path) -> list[Child]:
    children = [_role("edge", "agent", file)]
    children += [
        dataclasses.replace(_role("edge", "ingest", file, n), listen=_encoder_ports(settings), alone=True)
        for n in range(settings.ingest.workers)
    ]
    if settings.transcode.enabled:
        children += [_role("edge", "transcode", file, n) for n in range(settings.transcode.workers)]
    if settings.recorder.enabled:
        children.append(_role("edge", "recorder", file))
    children += [
        dataclasses.replace(_role("edge", "origin", file, n), listen=_viewer_ports(settings))
        for n in range(settings.origin.workers)
    ]
    if settings.whep.enabled:
        children.append(_role("edge", "whep", file))
    children += [
        dataclasses.replace(_role("edge", "chat", file, n), listen=_irc_ports(settings))
        for n in range(settings.chat.workers)
    ]
    if settings.coordinator.enabled:
        children.append(_role("coordinator", "coordinator", file))
    return children


def _viewer_ports(settings: Settings) -> tuple[tuple[str, str, int], ...]:
    """What is held for each origin process: they share the ports."""
    host, ports = settings.node.host, settings.ports
    secure = (("https", host, ports.https),) if settings.tls.enabled else ()
    return (("http", host, ports.http), *secure)


def _encoder_ports(settings: Settings) -> tuple[tuple[str, str, int], ...]:
    """What is held for each ingest process; its port of WebRTC is its own."""
    host, ports = settings.node.host, settings.ports
    secure = (("rtmps", host, ports.rtmps),) if settings.tls.enabled else ()
    return (("rtmp", host, ports.rtmp), *secure)


def _irc_ports(settings: Settings) -> tuple[tuple[str, str, int], ...]:
    """What is held for each chat process."""
    host, ports = settings.node.host, settings.ports
    secure = (("ircs", host, ports.ircs),) if settings.tls.enabled else ()
    return (("irc", host, ports.irc), *secure)


def control_socket(settings: Settings) -> Path:
    """Where the supervisor hears wishes."""
    return Path(settings.node.socket_dir) / "control.sock"


def _role(package: str, role: str, file: Path, number: int = 0) -> Child:
    name = f"{role}-{number + 1}" if number else role
    argv = [sys.executable, "-m", package, role, "--settings", str(file), "--worker", str(number)]
    return python_child(name, argv, file.parent.parent, stage=1)


def python_child(name: str, argv: list[str], data: Path, *, stage: int, essential: bool = True) -> Child:
    """A child that is one of our own programs."""
    environment = {
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "PROMETHEUS_MULTIPROC_DIR": str(metrics_directory(data)),
        "MALLOC_ARENA_MAX": "2",
    }
    return Child(
        name,
        confined(argv, None, [], signal.SIGTERM),
        stage=stage,
        environment=environment,
        directory=data,
        stop_s=25.0 if stage == 1 else 10.0,
        essential=essential,
    )
