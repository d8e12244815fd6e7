"""The recorder between a real log and a real disk: nothing is kept twice, nothing is lost by its death."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from appliance.contracts.media import CHUNK_HEADER, Broadcast, BroadcastState, ChunkFlag, ChunkHeader
from appliance.contracts.spool import INDEX, SegmentFlag, read_index, volume_name
from appliance.contracts.subjects import LIVE_BUCKET, MEDIA_STREAM, broadcast_key, media
from appliance.runtime.bus import Bus
from appliance.runtime.settings import RecorderSettings
from appliance.runtime.streams import BucketSpec, StreamSpec
from edge.recorder.service import RecorderService

BROADCAST = "b1"


class Site:
    def __init__(self, bus: Bus, folder: Path) -> None:
        self.bus = bus
        self.folder = folder
        self.made: list[RecorderService] = []

    async def start(self) -> RecorderService:
        service = RecorderService(
            RecorderSettings(), local=self.bus, folder=self.folder, on_failure=lambda error: None, every_s=0.1
        )
        self.made.append(service)
        await service.start()
        return service

    async def put(self, state: BroadcastState) -> None:
        record = Broadcast(
            broadcast_id=BROADCAST, channel_id="c", channel="c", user_id="u", edge_id="e", state=state
        )
        await self.bus.bucket(LIVE_BUCKET).put(broadcast_key(BROADCAST), msgspec.json.encode(record))

    async def append(self, msn: int, *, parts: int = 2, last: bool = True, name: str = "source") -> None:
        for part in range(parts):
            ends = ChunkFlag.LAST_OF_SEGMENT if last and part == parts - 1 else ChunkFlag.NONE
            header = ChunkHeader(
                0, msn, part, 0, 2 * msn + part, ChunkFlag.LAST_OF_PART | ends, 0, 1000, msn * 2_000_000, 0
            )
            await self.bus.append(
                media(BROADCAST, name),
                self.body(msn, part),
                message_id=header.message_id(BROADCAST, name),
                headers={CHUNK_HEADER: header.encode()},
            )

    def body(self, msn: int, part: int) -> bytes:
        return f"<{msn}.{part}>".encode()

    def kept(self, name: str = "source") -> dict[int, bytes]:
        folder = self.folder / BROADCAST / name
        if not (folder / INDEX).exists():
            return {}
        segments, _ = read_index((folder / INDEX).read_bytes())
        return {
            one.msn: (folder / volume_name(one.volume)).read_bytes()[one.offset : one.offset + one.size]
            for one in segments
        }

    async def until(self, msns: list[int], name: str = "source") -> None:
        async with asyncio.timeout(8):
            while list(self.kept(name)) != msns:
                await asyncio.sleep(0.05)
        whole = {msn: self.body(msn, 0) + self.body(msn, 1) for msn in msns}
        assert {msn: data for msn, data in self.kept(name).items() if msn in whole} == whole


@pytest.fixture
async def site(bus: Bus, tmp_path: Path):
    await bus.ensure_stream(StreamSpec(MEDIA_STREAM, ("media.>",), synced=False))
    await bus.ensure_bucket(BucketSpec(LIVE_BUCKET))
    made = Site(bus, tmp_path / "spool")
    await made.put(BroadcastState.LIVE)
    yield made
    for service in made.made:
        await service.stop()


async def test_segments_reach_the_disk_once(site: Site) -> None:
    service = await site.start()
    for msn in (0, 1):
        await site.append(msn)
        await site.append(msn, name="audio")
    await site.until([0, 1])
    await site.until([0, 1], "audio")
    await service.stop()
    await site.append(2)
    await site.append(3, parts=1, last=False)
    await site.start()  # reads the log from its beginning
    await site.until([0, 1, 2])
    await site.put(BroadcastState.ENDED)
    async with asyncio.timeout(10):
        while list(site.kept()) != [0, 1, 2, 3]:
            await asyncio.sleep(0.05)
    assert site.kept()[3] == site.body(3, 0), "the segment that nobody finished"


async def test_a_broadcast_that_is_forgotten_leaves_nothing(site: Site) -> None:
    await site.append(0)
    await site.start()
    await site.until([0])
    await site.bus.bucket(LIVE_BUCKET).delete(broadcast_key(BROADCAST))
    async with asyncio.timeout(10):
        while (site.folder / BROADCAST).exists():
            await asyncio.sleep(0.05)


async def test_a_disk_that_fails_loses_nothing(site: Site) -> None:
    site.folder.mkdir()
    (site.folder / BROADCAST).mkdir()
    await site.start()
    (site.folder / BROADCAST / "source").write_text("not a folder")
    await site.append(0)
    await asyncio.sleep(0.3)
    (site.folder / BROADCAST / "source").unlink()
    await site.append(1)
    await site.until([0, 1])


async def test_what_is_no_chunk_is_passed_over(site: Site) -> None:
    await site.start()
    await site.bus.append(media(BROADCAST, "source"), b"x", message_id="x", headers={CHUNK_HEADER: "no"})
    await site.append(0)
    await site.until([0])
    (segment,) = read_index((site.folder / BROADCAST / "source" / INDEX).read_bytes())[0]
    assert segment.flags == SegmentFlag.NONE
