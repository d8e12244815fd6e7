"""Compiled, the hot modules of ingest do what their sources say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge import compiled
from tests.support.compiled import BUILD_S, built

pytestmark = pytest.mark.timeout(2 * BUILD_S)

_WITH_MODULES = """
import sys, pytest
from tests.support.compiled import Plugin
sys.exit(pytest.main(sys.argv[1:], plugins=[Plugin()]))
"""
_INGEST = (
    "absence", "codecs", "eager_readers", "figures", "irregular", "moments", "multitrack", "muxed", "overlap",
    "packager", "reading", "rest", "service", "standby",
)  # fmt: skip
_MEDIA = ("audio_cutter", "health", "segmenter", "segmenter_holes", "stamps", "timeline", "video_clock")
_PROTOCOLS = (
    "codecs", "flv", "flv_enhanced", "fmp4", "fmp4_codecs", "fuzz_inputs", "record", "rtmp", "rtmp_quirks",
)  # fmt: skip
_TESTS = [
    *(f"tests/unit/ingest/test_ingest_{name}.py" for name in _INGEST),
    "tests/unit/ingest/whip",
    *(f"tests/unit/media/test_{name}.py" for name in _MEDIA),
    *(f"tests/unit/protocols/test_{name}.py" for name in _PROTOCOLS),
    "tests/unit/protocols/webrtc",
    "tests/unit/appliance/test_wire.py",
    "tests/integration/runtime/test_runtime_appender.py",
]


def child(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """A Python process that is told of compiled modules."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {compiled.VARIABLE: str(folder), "PYTHONPATH": str(compiled.ROOT)}
    return subprocess.run(
        [sys.executable, *argv],
        cwd=compiled.ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BUILD_S,
        check=False,
    )


def test_compiled_modules_pass_the_tests_of_their_sources() -> None:
    done = child(built(), "-c", _WITH_MODULES, "-q", "-p", "no:cacheprovider", *_TESTS)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_wild_streams_come_out_the_same(tmp_path: Path) -> None:
    """Whatever an encoder sends: wrong types, sizes, stamps and codecs, cut at any place."""
    streams = ("-m", "tests.support.wild_streams", "0", "200")
    one, other = child(built(), *streams), child(tmp_path, *streams)
    assert (one.stderr, other.stderr) == ("compiled\n", "interpreted\n")
    wrong = [
        pair for pair in zip(one.stdout.splitlines(), other.stdout.splitlines(), strict=True) if len({*pair}) > 1
    ]
    assert not wrong
    found = [line.split(" ") for line in one.stdout.splitlines()]
    assert not [raised for *_, raised in found if raised]
    assert sum(int(appends) for _, _, appends, _ in found) > 1000


def test_modules_made_of_other_sources_are_not_used(tmp_path: Path) -> None:
    done = child(tmp_path, "-c", "from edge import compiled; print(compiled.use())")
    assert done.stdout == "False\n", done.stderr


def test_what_is_imported_already_is_not_mixed_with_compiled_modules() -> None:
    done = child(built(), "-c", "import edge.media.segmenter; from edge import compiled; compiled.use()")
    assert "imported already: edge.media.segmenter" in done.stderr
