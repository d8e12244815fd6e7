"""A transcoder by itself: `python -m tests.integration.transcode.soak_worker URL [TTL]`, until its input ends.

`TTL` is that of its leases, in seconds.
"""

import asyncio
import dataclasses
import sys

from appliance.runtime.bus import Bus, Endpoint
from appliance.runtime.settings import MediaSettings
from edge.transcode.service import TranscodeService
from tests.integration.transcode.transcode_site import SETTINGS


async def work(url: str, ttl_s: float = SETTINGS.lease_ttl_s) -> None:
    """Transcodes what the site at `url` has."""
    bus = await Bus.connect(Endpoint(url), name="soak")
    settings = dataclasses.replace(SETTINGS, preview_s=1.0, storyboard_s=10.0, lease_ttl_s=ttl_s)
    service = TranscodeService(settings, MediaSettings(), bus, 0)
    await service.start()
    await asyncio.to_thread(sys.stdin.read)
    await service.stop()
    await bus.close()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], *map(float, sys.argv[2:])))
