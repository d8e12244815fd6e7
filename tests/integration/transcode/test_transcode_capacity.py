"""Transcoders on a real log that have not enough for everything, rest on demand, and hand over."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import msgspec
import pytest

from appliance.contracts.media import ChunkFlag
from appliance.contracts.subjects import LEASE_BUCKET
from appliance.contracts.transcode import RungMode, WorkerRecord
from appliance.runtime.appender import Appender
from appliance.runtime.bus import Bus
from appliance.runtime.demand import DemandTeller
from appliance.runtime.settings import MediaSettings, TranscodeSettings
from edge.media.capacity import ladder_cost, reference_speeds
from edge.media.ladder import plan_ladder
from edge.transcode import account
from edge.transcode.chunks import SourceChunk
from edge.transcode.job import Job
from edge.transcode.service import TranscodeService
from edge.transcode.video import JobConfig
from tests.integration.transcode.transcode_site import (
    BROADCAST,
    SETTINGS,
    Chunks,
    Site,
    h264_record,
    live,
    make_site,
)
from tests.unit.transcode.encoded_sources import FRAME, Encoded, chunks_of, picture_source

GOP, SEGMENTS = 15, 8
SEGMENT = GOP * FRAME
SIZE = 640, 480
Start = Callable[..., Awaitable[TranscodeService]]


@pytest.fixture
async def site(bus: Bus) -> Site:
    return await make_site(bus)


@pytest.fixture
async def start(bus: Bus) -> AsyncIterator[Start]:
    """Starts workers that are stopped after the test."""
    made: list[TranscodeService] = []

    async def one(settings: TranscodeSettings = SETTINGS) -> TranscodeService:
        made.append(TranscodeService(settings, MediaSettings(), bus, len(made)))
        await made[-1].start()
        return made[-1]

    yield one
    for service in made:
        await service.stop()


@pytest.fixture
async def source() -> Encoded:
    return await asyncio.to_thread(picture_source, "libx264", SEGMENTS * GOP, GOP, SIZE)


def cut(source: Encoded) -> list[SourceChunk]:
    """Half a second each."""
    return chunks_of(source.samples, source.form, segments=range(0, SEGMENTS * GOP, GOP))


def part_of(chunks: list[SourceChunk], *msns: int) -> list[SourceChunk]:
    return [chunk for chunk in chunks if chunk.header.msn in msns]


def gaps(found: Chunks) -> list[int]:
    return sorted({header.msn for header, _ in found if header.flags & ChunkFlag.GAP})


def frames(found: Chunks) -> list[int]:
    return [sample.dts // FRAME for _, samples in found for sample in samples]


def keys(found: Chunks) -> list[int]:
    return [sample.dts // FRAME for _, samples in found for sample in samples if sample.key]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.02)


async def test_a_rung_is_paused_and_resumed(site: Site, source: Encoded) -> None:
    chunks = cut(source)
    await site.put(h264_record(source, *SIZE))
    appender = Appender(site.bus)
    await appender.start()
    changes: list[int] = []
    job = Job(JobConfig("ultrafast", 2.0), site.bus, site.live, appender, live(ladder=["source", "360p"]),
              lambda: changes.append(1))  # fmt: skip
    job.view.set_rendition(h264_record(source, *SIZE))
    work = asyncio.ensure_future(job.run())
    await site.append("source", part_of(chunks, 0, 1))
    await site.read("360p", 0.9)
    job.control.wanted = {"360p": RungMode.PAUSED}
    await site.append("source", part_of(chunks, 2, 3, 4))
    paused = await site.read("360p", 2.3)
    assert [header.part for header, _ in paused if header.msn == 4] == [0], "each part is told when it is over"
    job.control.wanted = {}
    await site.append("source", part_of(chunks, 5, 6, 7))
    found = await site.read("360p", 3.9)
    await job.hand_over(0.0)
    await work
    await appender.close()
    assert gaps(found) == [2, 3, 4]
    assert frames(found) == [number for number in range(SEGMENTS * GOP) if not 2 * GOP <= number < 5 * GOP]
    assert sorted({header.msn for header, _ in found}) == list(range(SEGMENTS))
    starts = {header.msn: header.dts for header, _ in reversed(found)}
    assert starts == {msn: msn * SEGMENT for msn in range(SEGMENTS)}, "numbers mean the same as in the source"
    assert len(changes) == 3


async def test_demand_wakes_a_rung_that_rests(
    site: Site, source: Encoded, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "IDLE_S", 0.0)
    chunks = cut(source)
    await site.put(h264_record(source, *SIZE))
    await site.put(live(ladder=["source", "360p"]))
    await start(replace(SETTINGS, on_demand="idle"))
    await site.append("source", part_of(chunks, 0, 1, 2))
    assert gaps(await site.read("360p", 1.3)) == [0, 1, 2]
    assert await site.rungs() == {"360p": ("paused", "idle")}
    teller = DemandTeller(site.bus, "o1", lambda: {BROADCAST: {"360p": 1}})
    teller.start()
    await asyncio.sleep(0.6)
    assert await site.rungs() == {"360p": ("paused", "idle")}, "until its next segment"
    await site.append("source", part_of(chunks, 3, 4, 5, 6, 7))
    found = await site.read("360p", 3.9)

    async def is_told() -> bool:
        return await site.rungs() == {"360p": ("running", "")}

    await until(is_told)
    await teller.close()
    assert gaps(found) == [0, 1, 2]
    assert frames(found) == list(range(3 * GOP, SEGMENTS * GOP))
    assert keys(found) == list(range(3 * GOP, SEGMENTS * GOP, GOP))


async def test_workers_of_a_machine_share_its_budget(site: Site, source: Encoded, start: Start) -> None:
    record = h264_record(source, *SIZE)
    form = record.inits[0].video
    assert form is not None
    cost = ladder_cost(reference_speeds("ultrafast"), form, plan_ladder(*SIZE, (30, 1))).total
    tight = replace(SETTINGS, cores=1.7 * cost)
    for _ in range(2):
        await start(tight)
    await until(lambda: are_announced(site, 2))
    for name in ("b1", "b2"):
        await site.put(h264_record(source, *SIZE, name))
        await site.put(live(broadcast_id=name, ladder=["source", "360p"]))
        await site.append("source", part_of(cut(source), 0, 1), name)

        async def is_taken(name: str = name) -> bool:
            return bool(await site.rungs(name))

        await until(is_taken)
    workers = await announced(site)
    taken = {tuple(worker.jobs) for worker in workers}
    assert taken == {("b1",), ("b2",)}, "one each"
    assert await site.rungs("b1") == {"360p": ("running", "")}
    assert await site.rungs("b2") == {"360p": ("paused", "unwatched")}
    assert sum(worker.load for worker in workers) <= tight.cores
    made = frames(await site.read("360p", 0.9, broadcast="b1"))
    assert made == list(range(len(made)))


async def announced(site: Site) -> list[WorkerRecord]:
    entries = await site.bus.bucket(LEASE_BUCKET).items()
    return [msgspec.json.decode(value, type=WorkerRecord) for key, value in entries if key.startswith("worker.")]


async def are_announced(site: Site, count: int) -> bool:
    """Whether so many workers have told of themselves."""
    return len(await announced(site)) == count


async def test_a_drained_worker_hands_over_where_segments_meet(site: Site, source: Encoded, start: Start) -> None:
    chunks = cut(source)
    first = await start()
    await site.put(h264_record(source, *SIZE))
    await site.put(live(ladder=["source", "360p"]))
    await site.append("source", part_of(chunks, 0, 1))
    await site.read("360p", 0.5)
    await start()
    await until(lambda: are_announced(site, 2))
    await site.append("source", part_of(chunks, 2)[:4])
    await site.read("360p", 1.3)
    draining = asyncio.ensure_future(first.drain())
    await asyncio.sleep(0.1)
    assert not draining.done(), "in the middle of a segment"
    await site.append("source", [*part_of(chunks, 2)[4:], *part_of(chunks, 3, 4, 5, 6, 7)])
    found = await site.read("360p", 3.9)
    await draining
    assert frames(found) == list(range(SEGMENTS * GOP))
    assert keys(found) == list(range(0, SEGMENTS * GOP, GOP)), "none in the middle of a segment"
    assert [header.serial for header, _ in found] == sorted(header.serial for header, _ in found)
    loads = {tuple(worker.jobs): worker.draining for worker in await announced(site)}
    assert loads == {(): True, (BROADCAST,): False}


async def test_the_first_part_of_a_broadcast(site: Site, source: Encoded, start: Start) -> None:
    """Prints how long it takes from the source's first part."""
    await start()
    await site.put(h264_record(source, *SIZE))
    await site.put(live(ladder=["source", "360p"]))
    began = time.monotonic()
    await site.append("source", part_of(cut(source), 0))
    await site.read("360p", 0.2)
    print(f"first transcoded part {time.monotonic() - began:.3f} s after the source's")
