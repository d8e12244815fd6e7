"""`capture`: keeps what a channel's encoder sends in a file, for whoever has to find out what is wrong with it."""

import asyncio
import json
import sys
from pathlib import Path

import msgspec

from appliance.commands.place import live_status, running_settings, say
from appliance.contracts import subjects
from appliance.contracts.errors import NotFoundError, UnavailableError
from appliance.contracts.session import CaptureAnswer, CaptureRequest
from appliance.runtime.bus import Bus, Endpoint

_BUS_S = 2.0


def capture(data: Path, wanted: CaptureRequest, as_json: bool) -> int:
    """Starts a capture and waits until it is complete; the process's exit code. UnavailableError, NotFoundError."""
    if live_status(data) is None:
        raise UnavailableError(f"no node runs on {data}")
    answer = asyncio.run(_ask(data, wanted))
    if not answer.file:
        say(answer.detail)
        return 1
    if as_json:
        sys.stdout.write(json.dumps({"file": answer.file}) + "\n")
    else:
        say(f"{answer.file}\n(when each tag came: the same name with .times; stream keys are in neither)")
    return 0


async def _ask(data: Path, wanted: CaptureRequest) -> CaptureAnswer:
    settings = running_settings(data)
    bus = await Bus.connect(Endpoint(settings.bus.local_url), name="capture", deadline_s=_BUS_S)
    subject = subjects.ingest_capture(settings.node.edge_id)
    try:
        reply = await bus.request(subject, msgspec.json.encode(wanted), timeout_s=_BUS_S)
    except UnavailableError:
        raise NotFoundError(f"nobody publishes to {wanted.channel} now") from None
    finally:
        await bus.close()
    answer = msgspec.json.decode(reply, type=CaptureAnswer)
    if answer.file:
        await asyncio.sleep(wanted.seconds + 1.0)
    return answer
