"""A transcoder by itself: `python -m tests.integration.transcode.soak_worker URL [TTL]`, until its input ends.

`TTL` is that of its leases, in seconds. It ends with UNSOUND when it says of itself that it has to be replaced.
"""

import asyncio
import dataclasses
import sys

from appliance.runtime.bus import Bus, Endpoint
from appliance.runtime.logs import configure
from appliance.runtime.settings import MediaSettings
from edge.transcode.service import TranscodeService
from tests.integration.transcode.transcode_site import SETTINGS

UNSOUND = 3


async def work(url: str, ttl_s: float = SETTINGS.lease_ttl_s) -> int:
    """Transcodes what the site at `url` has; the exit code."""
    configure(role="transcode")
    bus = await Bus.connect(Endpoint(url), name="soak")
    settings = dataclasses.replace(SETTINGS, preview_s=1.0, storyboard_s=10.0, lease_ttl_s=ttl_s)
    over: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    service = TranscodeService(
        settings, MediaSettings(), bus, 0, on_failure=lambda _error: over.done() or over.set_result(UNSOUND)
    )
    await service.start()
    asyncio.get_running_loop().add_reader(sys.stdin, lambda: over.done() or over.set_result(0))
    code = await over
    await service.stop()
    await bus.close()
    return code


if __name__ == "__main__":
    sys.exit(asyncio.run(work(sys.argv[1], *map(float, sys.argv[2:]))))
