"""Where a node's data lies, which settings it has, and whether it runs."""

import dataclasses
import fcntl
import os
import sys
from pathlib import Path

from appliance.contracts.errors import ConfigError, ConflictError, UnavailableError
from appliance.engines.files import make_directory
from appliance.runtime.settings import Settings, load
from appliance.supervisor.status import NodeStatus, read_status


def say(text: str) -> None:
    """A line for the person at the terminal."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def data_directory(given: str | None) -> Path:
    """The data directory: as given, or the default of this user. ConfigError when there is none."""
    try:
        if given:
            return Path(given).expanduser().absolute()
        if os.geteuid() == 0:
            return Path("/var/lib/nearcast")
        return Path.home() / ".local" / "share" / "nearcast"
    except RuntimeError:
        raise ConfigError("this user has no home directory: say where with --data DIR") from None


def node_settings(data: Path, file: str | None = None) -> Settings:
    """Settings of the node in `data`: the file given, or nearcast.toml there, plus the environment."""
    chosen = Path(file) if file else data / "nearcast.toml"
    if file and not chosen.exists():
        raise ConfigError(f"{chosen}: no such file")
    settings = load(chosen if chosen.exists() else None, os.environ)
    return dataclasses.replace(settings, node=dataclasses.replace(settings.node, data_dir=str(data)))


def running_settings(data: Path) -> Settings:
    """Settings that the running node was started with."""
    return load(data / "run" / "node.toml", {})


class NodeLock:
    """Held by the one `up` of a data directory."""

    def __init__(self, data: Path) -> None:
        make_directory(data, mode=0o755)
        make_directory(data / "run", mode=0o711)
        self._descriptor = os.open(data / "run" / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise ConflictError(f"a node already runs on {data}") from None


def live_status(data: Path) -> NodeStatus | None:
    """The status document, if the node that wrote it still runs. UnavailableError: not for this user."""
    path = data / "run" / "lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except PermissionError as error:
        raise UnavailableError(f"{path}: {error.strerror}; only who runs the node may ask") from error
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return read_status(data)
    finally:
        os.close(descriptor)
    return None
