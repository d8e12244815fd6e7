"""`inspect`: watches a presentation on any server and says which requirements of (LL-)HLS it violates."""

import subprocess
import sys

_PROGRAM = "edge.inspect"  # a program of the edge, never imported here


def inspect(argv: list[str]) -> int:
    """Its exit code: 0 clean, 1 a MUST or PLAYER requirement is violated, 2 wrong usage, 3 not reachable."""
    try:
        return subprocess.call([sys.executable, "-m", _PROGRAM, *argv])
    except KeyboardInterrupt:
        return 1
