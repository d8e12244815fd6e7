"""A worker that stood still: others go on at once, and when it wakes it writes nothing."""

import asyncio
import dataclasses
import os
import signal
import sys
import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from appliance.contracts.errors import LeaseLostError
from appliance.contracts.media import CHUNK_HEADER, ChunkFlag, ChunkHeader
from appliance.contracts.subjects import (
    LEASE_BUCKET,
    MEDIA_STREAM,
    media,
    rendition_key,
    rungs_key,
)
from appliance.runtime.appender import Appender
from appliance.runtime.bus import Bus
from appliance.runtime.lease import DOUBT_S, Holder, Lease, this_holder
from appliance.runtime.settings import MediaSettings
from appliance.runtime.streams import BucketSpec
from edge.transcode.chunks import Output
from edge.transcode.resume import SOURCE_SEQUENCE, RungPosition
from edge.transcode.service import TranscodeService
from edge.transcode.writer import RenditionWriter
from tests.integration.runtime.conftest import NatsServer
from tests.integration.transcode.transcode_site import BROADCAST, SETTINGS, Site, h264_record, live, make_site
from tests.unit.transcode.encoded_sources import FRAME, chunks_of, picture_source

GOP, SIZE = 30, (320, 180)
TTL_S = 30.0  # no lease runs out here
PATIENT = dataclasses.replace(SETTINGS, lease_ttl_s=TTL_S, preview_s=0.0, storyboard_s=0.0)


@pytest.fixture
async def site(bus: Bus) -> Site:
    made = await make_site(bus)
    await bus.ensure_bucket(BucketSpec(LEASE_BUCKET, ttl_s=TTL_S, synced=False))
    return made


@pytest.fixture
async def worker(server: NatsServer) -> AsyncIterator[asyncio.subprocess.Process]:
    """A transcoder in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.transcode.soak_worker", server.endpoint.url, str(TTL_S),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    yield process
    if process.returncode is None:
        process.kill()
        await process.wait()


async def holder(site: Site) -> int:
    """The process that has the lease, 0 for none."""
    entry = await site.bus.bucket(LEASE_BUCKET).get(BROADCAST)
    return msgspec.json.decode(entry.value, type=Holder).pid if entry is not None else 0


async def held_by(site: Site, pid: int) -> None:
    async with asyncio.timeout(10):
        while await holder(site) != pid:
            await asyncio.sleep(0.02)


async def marks(site: Site) -> list[str]:
    """Who made each chunk of the rung."""
    found, sequence = [], 1
    while (message := await site.bus.next_message(MEDIA_STREAM, media(BROADCAST, "180p"), sequence)) is not None:
        found.append(message.headers["Nats-Msg-Id"].rpartition(".")[2])
        sequence = message.seq + 1
    return found


async def test_a_frozen_worker_is_followed_at_once_and_writes_nothing_when_it_wakes(
    site: Site, worker: asyncio.subprocess.Process
) -> None:
    source = await asyncio.to_thread(picture_source, "libx264", 4 * GOP, GOP, SIZE)
    chunks = chunks_of(source.samples, source.form, segments=range(0, 4 * GOP, GOP))
    await site.put(h264_record(source, *SIZE))
    await site.put(live())
    await held_by(site, worker.pid)
    await site.append("source", [one for one in chunks if one.header.dts < 45 * FRAME])
    await site.read("180p", 1.0)
    service = TranscodeService(PATIENT, MediaSettings(), site.bus, 1)
    await service.start()
    worker.send_signal(signal.SIGSTOP)
    await held_by(site, os.getpid())
    # what the frozen one would do first: it has to be kept from it before the successor has written anything
    await site.append("source", [one for one in chunks if 45 * FRAME <= one.header.dts < 75 * FRAME])
    worker.send_signal(signal.SIGCONT)
    await site.append("source", [one for one in chunks if one.header.dts >= 75 * FRAME])
    made = await site.read("180p", 4.0)
    record, rungs = await site.rendition("180p"), await site.live.get(rungs_key(BROADCAST))
    assert worker.stdin is not None
    worker.stdin.close()
    assert await worker.wait() == 0
    assert await holder(site) == os.getpid()
    await service.stop()
    assert [one.dts for _, samples in made for one in samples] == [index * FRAME for index in range(4 * GOP)]
    found = await marks(site)
    assert len(set(found)) == 2
    assert found.index(found[-1]) == found.count(found[0]), "the first worker wrote nothing behind the second"
    assert len(record.inits) == 1
    assert rungs is not None
    assert f"-{os.getpid()}" in rungs.value.decode()


def stand_still() -> None:
    """As a process that is stopped."""
    time.sleep(1.2 * DOUBT_S)


def output(part: int, data: bytes = b"media") -> Output:
    header = ChunkHeader(0, 0, part, 0, part, ChunkFlag.LAST_OF_PART, part * 30_000, 30_000, 0, 0)
    return Output("180p", header, 1, data)


@pytest.mark.parametrize("ahead", [1, 2])
async def test_parts_of_a_successor_are_not_taken_for_ones_own(site: Site, ahead: int) -> None:
    """Both make the same parts: the first worker's may be refused, never acknowledged as if they were stored."""
    errors: list[BaseException] = []
    appender = Appender(site.bus)
    await appender.start()
    first, second = (RenditionWriter(appender, site.live, BROADCAST, errors.append) for _ in range(2))
    other = Appender(site.bus)
    await other.start()
    second._appender = other
    first.fence({"180p": RungPosition(None, 0, 0)})
    first.emit(output(0))
    await first.settled()
    newest = await site.bus.last_message(MEDIA_STREAM, media(BROADCAST, "180p"))
    assert newest is not None
    header = ChunkHeader.decode(newest.headers[CHUNK_HEADER])
    second.fence({"180p": RungPosition(header, newest.seq, 1)})
    for part in range(1, 1 + ahead):
        second.emit(output(part))
    await second.settled()
    for part in (1, 2, 3):
        first.emit(output(part))
    await first.settled()
    assert [type(error) for error in errors] == [LeaseLostError] * 3
    assert await site.bus.last_sequence(MEDIA_STREAM) == newest.seq + ahead
    for one in (appender, other):
        await one.close()


async def test_what_is_made_while_the_lease_is_in_doubt_waits_for_the_proof(site: Site) -> None:
    errors: list[BaseException] = []
    appender = Appender(site.bus)
    await appender.start()
    lease = await Lease.try_take(site.bus.bucket(LEASE_BUCKET), BROADCAST, this_holder("one"))
    assert lease is not None
    keeping = asyncio.ensure_future(lease.keep(TTL_S))
    writer = RenditionWriter(appender, site.live, BROADCAST, errors.append, lease)
    writer.fence({"180p": RungPosition(None, 0, 0)})
    await asyncio.sleep(0.02)
    stand_still()
    for part in range(3):
        writer.emit(output(part))
    await writer.settled()
    assert await site.bus.last_sequence(MEDIA_STREAM) == 3
    other = await Lease.try_take(
        site.bus.bucket(LEASE_BUCKET), BROADCAST, this_holder("two"), is_gone=lambda _: True
    )
    assert other is not None
    stand_still()
    writer.emit(output(3))
    await asyncio.gather(keeping, return_exceptions=True)
    await asyncio.sleep(0.05)
    assert [type(error) for error in errors] == [LeaseLostError]
    assert await site.bus.last_sequence(MEDIA_STREAM) == 3
    with pytest.raises(LeaseLostError):
        await writer.announce("180p", 90_000, 1, b"other")
    assert await site.live.get(rendition_key(BROADCAST, "180p")) is None
    await appender.close()


async def test_a_part_that_came_from_the_worker_before_after_all_is_gone_on_from(site: Site) -> None:
    """It was written between the look at the log and the first part of this worker."""
    source = await asyncio.to_thread(picture_source, "libx264", 4 * GOP, GOP, SIZE)
    chunks = chunks_of(source.samples, source.form, segments=range(0, 4 * GOP, GOP))
    await site.put(h264_record(source, *SIZE))
    await site.put(live())
    service = TranscodeService(PATIENT, MediaSettings(), site.bus, 0)
    await service.start()
    await site.append("source", [one for one in chunks if one.header.dts < 45 * FRAME])
    await site.read("180p", 40 / 30)  # all parts that are complete
    newest = await site.bus.last_message(MEDIA_STREAM, media(BROADCAST, "180p"))
    assert newest is not None
    last = ChunkHeader.decode(newest.headers[CHUNK_HEADER])
    flags = ChunkFlag.LAST_OF_PART | ChunkFlag.GAP
    part = msgspec.structs.replace(
        last, part=last.part + 1, serial=last.serial + 1, flags=flags, dts=last.dts + last.duration
    )
    headers = {CHUNK_HEADER: part.encode(), SOURCE_SEQUENCE: newest.headers[SOURCE_SEQUENCE]}
    await site.bus.append(media(BROADCAST, "180p"), b"", message_id="before", headers=headers)
    await site.append("source", [one for one in chunks if one.header.dts >= 45 * FRAME])
    made = await site.read("180p", 4.0)
    assert await holder(site) == os.getpid()
    await service.stop()
    found = [one.dts // FRAME for _, samples in made for one in samples]
    lost = range(part.dts // FRAME, (part.dts + part.duration) // FRAME)
    assert found == [number for number in range(4 * GOP) if number not in lost]
