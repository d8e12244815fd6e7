"""Who holds a TCP port, read from /proc."""

from pathlib import Path

_LISTEN = "0A"


def holder_of(port: int) -> str:
    """Name and pid of the process that listens on `port`; empty when it can't be seen."""
    inodes = _listening(port)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and _holds(folder, inodes):
            name = (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
            return f"{name} (pid {folder.name})"
    return ""


def _listening(port: int) -> set[str]:
    found = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (Path("/proc/net") / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rsplit(":", 1)[1], 16) == port:
                found.add(f"socket:[{fields[9]}]")
    return found


def _holds(folder: Path, inodes: set[str]) -> bool:
    try:
        return any(str(entry.readlink()) in inodes for entry in (folder / "fd").iterdir())
    except OSError:
        return False
