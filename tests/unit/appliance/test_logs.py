"""Log lines on a disk that is full."""

import os
import subprocess
import sys

_LOGS = """
from appliance.runtime.logs import configure, get_logger
configure(role="one", form="json")
get_logger("part").warning("nobody_reads_it", text="x" * 100_000)
print("goes on")
"""


def test_who_cannot_write_a_line_goes_on() -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [sys.executable, "-u", "-c", _LOGS], env=os.environ, stdout=subprocess.PIPE, stderr=full, check=False
        )
    assert (done.returncode, done.stdout) == (0, b"goes on\n")
