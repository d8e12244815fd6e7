"""`doctor`: every check of the box, with advice; `doctor encoders`: which video encoders work, and how fast."""

import dataclasses
import json
import subprocess
import sys

import msgspec

from appliance.commands.place import live_status, say
from appliance.contracts.errors import ConfigError, UnavailableError
from appliance.doctor.checks import ALL, ports
from appliance.runtime.settings import Settings

_PROBE = "edge.transcode.engines.probe"  # a program of the edge, never imported here
_PROBE_S = 180.0
_UNKNOWN = 2  # its exit code for a name that there is not


def doctor(settings: Settings, as_json: bool) -> int:
    """1 when something is wrong. The ports of a node that runs here are its own."""
    runs = live_status(settings.data_dir) is not None
    findings = [finding for check in ALL if not (runs and check is ports) for finding in check(settings)]
    if as_json:
        document = [{**dataclasses.asdict(finding), "ok": finding.ok} for finding in findings]
        sys.stdout.write(json.dumps(document) + "\n")
    for finding in findings if not as_json else []:
        say(f"{'ok  ' if finding.ok else 'WRONG'} {finding.check}: {finding.seen}")
        if not finding.ok:
            say(f"      {finding.advice}")
    return 0 if all(finding.ok for finding in findings) else 1


class EncoderTest(msgspec.Struct, frozen=True):
    """What the probe says of one encoder engine. `frames_per_s` of 720p."""

    engine: str
    usable: bool
    reason: str = ""
    frames_per_s: float = 0.0


def encoders(engines: list[str] | None, as_json: bool) -> int:
    """1 when none that was asked for works. ConfigError for a name that there is not, UnavailableError."""
    tests = _tested(engines or [])
    if as_json:
        sys.stdout.write(msgspec.json.encode(tests).decode() + "\n")
    for test in tests if not as_json else []:
        speed = f"usable, {test.frames_per_s:.0f} frames/s of 720p"
        say(f"{'ok  ' if test.usable else 'no  '} {test.engine}: {speed if test.usable else test.reason}")
    return 0 if any(test.usable for test in tests) else 1


def _tested(engines: list[str]) -> list[EncoderTest]:
    command = [sys.executable, "-m", _PROBE, "--json", *engines]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PROBE_S)
    except subprocess.TimeoutExpired as error:
        raise UnavailableError("the encoders cannot be tried: no answer") from error
    last = done.stderr.strip().splitlines()[-1:]
    if done.returncode:
        raise (ConfigError if done.returncode == _UNKNOWN else UnavailableError)(*last)
    return msgspec.json.decode(done.stdout, type=list[EncoderTest])
