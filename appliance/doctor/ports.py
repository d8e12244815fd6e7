"""Who holds a port of TCP or UDP, read from /proc."""

from pathlib import Path

_OPEN = {"tcp": "0A", "udp": "07"}  # the state of one that listens, or is bound and not connected


def holder_of(port: int, protocol: str = "tcp") -> str:
    """Name and pid of the process that listens on `port`; empty when it can't be seen."""
    inodes = _listening(port, protocol)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and _holds(folder, inodes):
            name = (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
            return f"{name} (pid {folder.name})"
    return ""


def _listening(port: int, protocol: str) -> set[str]:
    found = set()
    for table in (protocol, f"{protocol}6"):
        try:
            lines = (Path("/proc/net") / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _OPEN[protocol] and int(fields[1].rsplit(":", 1)[1], 16) == port:
                found.add(f"socket:[{fields[9]}]")
    return found


def _holds(folder: Path, inodes: set[str]) -> bool:
    try:
        return any(str(entry.readlink()) in inodes for entry in (folder / "fd").iterdir())
    except OSError:
        return False
