"""The Autobahn fuzzing client against the gateway's WebSocket connection: every case."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import autobahn

_MOST_S = 3000
pytestmark = [pytest.mark.slow, pytest.mark.timeout(_MOST_S + 900)]

_FINE = {"OK", "NON-STRICT", "INFORMATIONAL"}


@contextlib.contextmanager
def echo_server() -> Iterator[str]:
    """A process that gives back every message; its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.conformance.echo_server"],
        cwd=autobahn.ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield f"ws://127.0.0.1:{int(process.stdout.readline())}"
        assert process.poll() is None, "the server ended"
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


@pytest.mark.parametrize(
    ("cases", "least"),
    [
        pytest.param([f"{group}.*" for group in (1, 2, 3, 4, 5, 6, 7, 10)], 230, id="frames"),
        pytest.param(["9.*"], 50, id="large"),
        pytest.param(["12.*"], 90, id="compressed"),
        pytest.param(["13.*"], 120, id="negotiated"),
    ],
)
def test_every_case(tmp_path: Path, cases: list[str], least: int) -> None:
    autobahn.prepare()
    with echo_server() as url:
        verdicts = autobahn.fuzz(tmp_path, url, cases, _MOST_S)
    print(*autobahn.table(verdicts), sep="\n")
    assert len(verdicts) >= least
    assert {case: verdict for case, verdict in verdicts.items() if verdict not in _FINE} == {}
