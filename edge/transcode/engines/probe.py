"""Which engines work on this machine: each is tried in a child process, with a time limit.

`python -m edge.transcode.engines.probe [NAME ...] [--json]` prints one line, or one JSON list, of what it found;
without names it tries all, and with NVENC also whether pictures can stay on its card. A crash, a hang or a refusal
of a driver becomes a reason in words.
"""

import argparse
import concurrent.futures
import contextlib
import signal
import subprocess
import sys
from collections.abc import Sequence

import msgspec

from appliance.contracts.errors import ConfigError
from appliance.runtime.logs import get_logger
from edge.transcode.engines.catalogue import ENGINES, no_zero_copy
from edge.transcode.engines.choice import ON_CARD, ZERO_COPY, SelfTest, choose, to_test, wanted

_LIMIT_S = 15.0
_END_S = 2.0
_HERE = "--here"  # the child's own argument: test in this process


class SelfTests:
    """What was found once counts for the life of the process; a failure in between is the line-up's business."""

    def __init__(self) -> None:
        self._known: dict[str, SelfTest] = {}

    def of(self, names: Sequence[str]) -> dict[str, SelfTest]:
        """The self-tests of these engines, those not known yet at the same time. Blocks up to 15 s and a little."""
        missing = [name for name in names if name not in self._known]
        if missing:
            with concurrent.futures.ThreadPoolExecutor(len(missing)) as pool:
                self._known |= zip(missing, pool.map(probe, missing), strict=True)
        return {name: self._known[name] for name in names}


def usable_engines(setting: Sequence[str], tests: SelfTests) -> tuple[str, ...]:
    """The engines of the setting that work here, in order. Blocks while they are tested. ConfigError."""
    names = wanted(setting)
    found = tests.of(to_test(names))
    chosen = choose(names, found)
    refused = {name: test.reason for name, test in found.items() if not test.usable}
    get_logger("engines").info("engines", chosen=chosen, refused=refused)
    return chosen


def passes_zero_copy(engines: Sequence[str], tests: SelfTests) -> bool:
    """Whether NVENC is among the engines and pictures can stay on its card. Blocks while that is tested."""
    if ON_CARD not in engines:
        return False
    test = tests.of([ZERO_COPY])[ZERO_COPY]
    get_logger("engines").info("zero_copy", usable=test.usable, reason=test.reason)
    return test.usable


def probe(name: str) -> SelfTest:
    """The self-test of one engine, or of zero copy, in a child, or why it fails for certain. Blocks."""
    obstacle = no_zero_copy() if name == ZERO_COPY else ENGINES[name].obstacle()
    if obstacle:
        return SelfTest(engine=name, usable=False, reason=obstacle)
    command = [sys.executable, "-m", "edge.transcode.engines.probe", _HERE, name]
    return run_test(name, ["setpriv", "--pdeathsig", "KILL", "--", *command], _LIMIT_S)


def run_test(name: str, command: list[str], limit_s: float) -> SelfTest:
    """What a child says of the engine that it tested. Blocks for `limit_s` and a little."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        said, complaint = child.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        _end(child)
        return SelfTest(engine=name, usable=False, reason=f"no answer within {limit_s:g} s")
    if child.returncode < 0:
        reason = f"the test was ended by {signal.Signals(-child.returncode).name}: the driver crashed"
        return SelfTest(engine=name, usable=False, reason=reason)
    try:
        return msgspec.json.decode(said, type=SelfTest)
    except msgspec.DecodeError:
        lines = complaint.decode("utf-8", "replace").strip().splitlines()
        reason = lines[-1] if lines else f"the test ended with code {child.returncode}"
        return SelfTest(engine=name, usable=False, reason=reason)


def _end(child: "subprocess.Popen[bytes]") -> None:
    child.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in a driver: it cannot be waited for
        child.communicate(timeout=_END_S)
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()


def line_of(test: SelfTest) -> str:
    """What a person reads."""
    if not test.usable:
        return f"{test.engine}: not usable, {test.reason}"
    return f"{test.engine}: usable, {test.frames_per_s:.0f} frames/s of 720p"


def _test_here(name: str) -> SelfTest:
    from edge.transcode.decoders.selftest import zero_copy_test  # noqa: PLC0415 - only the child tests
    from edge.transcode.engines.selftest import self_test  # noqa: PLC0415

    return zero_copy_test() if name == ZERO_COPY else self_test(name)


def _named(names: Sequence[str]) -> list[str]:
    """What is tested; zero copy behind NVENC. ConfigError."""
    engines = wanted(names) if names else tuple(ENGINES)
    return [test for name in engines for test in ((name, ZERO_COPY) if name == ON_CARD else (name,))]


def main(argv: list[str]) -> int:
    """0, or 2 for a name that there is not."""
    parser = argparse.ArgumentParser(prog="python -m edge.transcode.engines.probe")
    parser.add_argument("names", nargs="*", metavar="NAME", help="an engine of transcode.engines")
    parser.add_argument("--json", action="store_true", help="one JSON list on standard output")
    parser.add_argument(_HERE, dest="here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.here:
        sys.stdout.write(msgspec.json.encode(_test_here(arguments.names[0])).decode() + "\n")
        return 0
    try:
        tests = [probe(name) for name in _named(arguments.names)]
    except ConfigError as error:
        sys.stderr.write(f"{error.detail}\n")
        return 2
    text = msgspec.json.encode(tests).decode() if arguments.json else "\n".join(line_of(test) for test in tests)
    sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
