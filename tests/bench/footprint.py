"""Start-up time and idle memory of a whole node, beside what the empty servers alone take."""

import sys
import time
from pathlib import Path

from tests.e2e.e2e_node import Node

START_TARGET_S = 6.0
MEMORY_TARGET_MB = 450
IDLE_S = 20


def memory_mb(pids: list[int]) -> float:
    """Proportional set size: shared pages count once over all processes."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def main() -> int:
    """Prints the time of a warm start and the memory after a while."""
    node = Node()
    try:
        cold = node.start()
        node.stop()
        began = time.monotonic()
        node.start()
        warm = time.monotonic() - began
        time.sleep(IDLE_S)
        processes = node.processes()
        total = memory_mb(list(processes))
        engines = memory_mb([pid for pid, name in processes.items() if "python" not in name])
    finally:
        node.stop()
        node.remove()
    print(f"footprint: cold start {cold:.1f} s, warm start {warm:.1f} s (target {START_TARGET_S})")
    print(
        f"footprint: idle {total:.0f} MB (target {MEMORY_TARGET_MB}), {total / engines:.1f}x the bare servers in it"
    )
    return 0 if warm <= START_TARGET_S and total <= MEMORY_TARGET_MB else 1


if __name__ == "__main__":
    sys.exit(main())
