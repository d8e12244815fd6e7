"""Small file operations with the care that state needs."""

import os
import pwd
import secrets
from dataclasses import dataclass
from pathlib import Path

from appliance.contracts.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged user that engines run as; None of this applies when we are not root."""

    uid: int
    gid: int
    name: str


def write_private(path: Path, text: str, owner: Account | None = None) -> None:
    """Replaces a file atomically, readable by its owner only."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        if owner is not None:
            os.fchown(file.fileno(), owner.uid, owner.gid)
    temporary.replace(path)


def make_directory(path: Path, owner: Account | None = None, mode: int = 0o700) -> Path:
    """Makes a directory of ours; one that exists is left as it is."""
    if not path.exists():
        path.mkdir(parents=True, mode=mode)
        if owner is not None:
            _give(path, owner)
    return path


def _give(path: Path, owner: Account) -> None:
    try:
        os.chown(path, owner.uid, owner.gid)
    except OSError as error:
        raise ConfigError(
            f"cannot give {path} to the user {owner.name}: {error.strerror}; run as a user, not as root here"
        ) from error


def secret_file(path: Path) -> str:
    """A random password that is made once and kept."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(24))
    return path.read_text(encoding="utf-8").strip()


def can_enter(path: Path, account: Account) -> bool:
    """Whether the account may pass through every folder above `path`."""
    for folder in path.resolve().parents:
        status = folder.stat()
        mode = status.st_mode
        if status.st_uid == account.uid:
            allowed = mode & 0o100
        elif status.st_gid == account.gid:
            allowed = mode & 0o010
        else:
            allowed = mode & 0o001
        if not allowed:
            return False
    return True


def service_account() -> Account | None:
    """Whom engines run as: `nearcast` where it exists, else `nobody`; None when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("nearcast", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid, name)
    return None
