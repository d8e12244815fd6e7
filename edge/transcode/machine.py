"""What this machine is and what of it this process may use."""

import os
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")


def usable_cores(own: Path = Path("/proc/self/cgroup"), groups: Path = _GROUPS) -> float:
    """Cores that this process may use: those it may run on, within the CPU limits of its control groups."""
    cores = float(len(os.sched_getaffinity(0)))
    return min([cores, *_limits(own, groups)])


def _limits(own: Path, groups: Path) -> list[float]:
    """The limit of each group around this process that has one: versions 2 and 1 of control groups."""
    found = []
    for line in _read(own).splitlines():
        _, _, place = line.partition(":")
        controllers, _, path = place.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = groups / "cpu" if controllers else groups
        folder = base / path.lstrip("/")
        for group in (folder, *folder.parents):
            if group == base.parent:
                break
            found += _limit(group)
    return found


def _limit(group: Path) -> list[float]:
    quota, _, period = _read(group / "cpu.max").strip().partition(" ")
    if not quota:
        quota, period = (_read(group / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    if quota.isdigit() and period.isdigit() and int(period) > 0:
        return [max(0.1, int(quota) / int(period))]
    return []


def cpu_model() -> str:
    """The processor's name, as the kernel tells it."""
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model", "Hardware"):
            return value.strip()
    return os.uname().machine


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
