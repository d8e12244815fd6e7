"""`doctor`: every check of the box, with advice."""

import dataclasses
import json
import sys

from appliance.commands.place import live_status, say
from appliance.doctor.checks import ALL, ports
from appliance.runtime.settings import Settings


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
