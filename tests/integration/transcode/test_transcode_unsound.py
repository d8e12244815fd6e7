"""A worker that gets no more memory: it fails one job, finds that it is itself at fault, and makes place."""

import asyncio
import resource
import sys
from pathlib import Path

import pytest

from appliance.contracts.subjects import LEASE_BUCKET
from appliance.runtime.bus import Bus
from edge.transcode.engines.soundness import UnsoundError, prove_sound
from tests.integration.runtime.conftest import NatsServer
from tests.integration.transcode.transcode_site import BROADCAST, SETTINGS, h264_record, live, make_site
from tests.unit.transcode.encoded_sources import chunks_of, picture_source

GOP = 15
LIMIT_S = 30.0
HEADROOM = 20 << 20  # bytes: threads can start, encoders cannot


def refuse_memory(pid: int) -> None:
    """The process keeps what it has; most of what it asks for from now on is refused."""
    has = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.prlimit(pid, resource.RLIMIT_AS, (has + HEADROOM, has + HEADROOM))


async def test_a_worker_without_memory_ends_itself(bus: Bus, server: NatsServer) -> None:
    site = await make_site(bus)
    source = await asyncio.to_thread(picture_source, "libx264", GOP, GOP, (1920, 1080))
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.transcode.soak_worker", server.endpoint.url,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(LIMIT_S):
            while not await bus.bucket(LEASE_BUCKET).items():
                await asyncio.sleep(0.02)
            refuse_memory(worker.pid)
            await site.put(h264_record(source, 1920, 1080, BROADCAST))
            await site.put(live(ladder=["720p", "480p", "360p"]))
            await site.append("source", chunks_of(source.samples, source.form, segments=[0]))
            assert await worker.wait() != 0
    finally:
        if worker.returncode is None:
            worker.kill()
            await worker.wait()


def test_a_sound_process_can_encode() -> None:
    prove_sound(SETTINGS.preset)


def test_a_process_whose_encoder_does_not_open_is_unsound() -> None:
    with pytest.raises(UnsoundError, match="can no longer encode"):
        prove_sound("no such preset")
