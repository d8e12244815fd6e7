"""Two origin processes of one site over a real server: one count of viewers, and batches in the outbox."""

import asyncio
from typing import Any

import aiohttp
import msgspec
import pytest

from appliance.contracts.directory import ChannelRecord
from appliance.contracts.media import Broadcast, BroadcastState
from appliance.contracts.quality import QUALITY, QualityBatch
from appliance.contracts.subjects import (
    DIRECTORY_BUCKET,
    FIGURES_BUCKET,
    LEASE_BUCKET,
    LIVE_BUCKET,
    PICTURES_BUCKET,
    broadcast_key,
    channel_key,
    event,
    outbox,
    outbox_filters,
)
from appliance.runtime.bus import Bus
from appliance.runtime.ids import new_id
from appliance.runtime.streams import BucketSpec, StreamSpec
from edge.origin.config import OriginConfig
from edge.origin.service import OriginService

EDGE = "lyon"


class Site:
    """Origins of a site where one channel is live."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.stream_id = new_id()
        self.origins: list[OriginService] = []
        self.client = aiohttp.ClientSession()

    async def prepare(self) -> None:
        await self.bus.ensure_stream(StreamSpec(outbox(EDGE), tuple(outbox_filters(EDGE))))
        for name in (LIVE_BUCKET, FIGURES_BUCKET, DIRECTORY_BUCKET, PICTURES_BUCKET):
            await self.bus.ensure_bucket(BucketSpec(name))
        await self.bus.ensure_bucket(BucketSpec(LEASE_BUCKET, ttl_s=2.0, synced=False))
        channel = ChannelRecord(channel_id="c", channel="alice", user_id="u")
        await self.bus.bucket(DIRECTORY_BUCKET).put(channel_key("c"), msgspec.json.encode(channel))
        live = Broadcast(
            broadcast_id=self.stream_id, channel_id="c", channel="alice", user_id="u", edge_id=EDGE,
            state=BroadcastState.LIVE,
        )  # fmt: skip
        await self.bus.bucket(LIVE_BUCKET).put(broadcast_key(self.stream_id), msgspec.json.encode(live))

    async def origin(self) -> OriginService:
        config = OriginConfig(edge_id=EDGE, port=0, reuse_port=False, drain_s=0.1)
        made = OriginService(config, local=self.bus, fed=self.bus, handoffs={})
        await made.start()
        self.origins.append(made)
        return made

    async def report(self, origin: OriginService, session: str, **changes: Any) -> int:
        body = {
            "v": 1, "session": session.ljust(22, "x"), "stream_id": self.stream_id, "channel": "alice", "seq": 0,
            "player": "native", "state": "playing", "interval_ms": 10_000, **changes,
        }  # fmt: skip
        async with self.client.post(f"http://127.0.0.1:{origin.server.port}/beacon", json=body) as response:
            return response.status

    async def viewers(self, origin: OriginService) -> int:
        url = f"http://127.0.0.1:{origin.server.port}/live/alice/status.json"
        async with self.client.get(url) as response:
            return int((await response.json())["viewers"])

    async def all_count(self, expected: int) -> None:
        async with asyncio.timeout(5):
            while [await self.viewers(one) for one in self.origins] != [expected] * len(self.origins):
                await asyncio.sleep(0.05)


@pytest.fixture
async def site(bus: Bus) -> Any:
    made = Site(bus)
    await made.prepare()
    yield made
    await made.client.close()
    for origin in made.origins:
        await origin.stop()


async def test_a_viewer_of_two_processes_counts_once_and_all_is_told(site: Site) -> None:
    one, two = await site.origin(), await site.origin()
    for origin, session in ((one, "a"), (two, "a"), (two, "b"), (one, "c")):
        assert await site.report(origin, session, startup_ms=700) == 204
    await site.all_count(3)
    assert await site.report(one, "c", seq=1, leaving=True) == 204
    await site.all_count(2)
    for origin in site.origins:
        await origin.stop()
    batches = []
    async for message in site.bus.tail(outbox(EDGE), [event(EDGE, QUALITY)]):
        assert b"axxx" not in message.data, "an id in clear"
        batches.append(msgspec.json.decode(message.data, type=QualityBatch))
        if not message.pending:
            break
    assert sum(cell.beacons for batch in batches for cell in batch.cells) == 5
    sessions = [one.session for batch in batches for one in batch.sessions]
    assert (len(sessions), len(set(sessions))) == (4, 3), "a was seen by both"
    assert next(one.viewers for batch in batches for one in batch.viewers) == 2
    site.origins.clear()
