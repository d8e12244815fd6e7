"""A site with a real log, and what ingest would write there."""

import asyncio
from collections.abc import Sequence

import msgspec

from appliance.contracts.media import (
    CHUNK_HEADER,
    Broadcast,
    BroadcastState,
    ChunkHeader,
    Init,
    Rendition,
    VideoFormat,
)
from appliance.contracts.subjects import (
    LEASE_BUCKET,
    LIVE_BUCKET,
    MEDIA_STREAM,
    PICTURES_BUCKET,
    broadcast_key,
    media,
    rendition_key,
    rungs_key,
)
from appliance.contracts.transcode import RungsRecord
from appliance.runtime.bus import Bus
from appliance.runtime.settings import TranscodeSettings
from appliance.runtime.streams import BucketSpec, StreamSpec
from edge.protocols.fmp4 import Sample, VideoTrack, init_segment, read_fragments
from edge.transcode.chunks import SourceChunk
from tests.unit.transcode.encoded_sources import Encoded

BROADCAST = "b1"
SETTINGS = TranscodeSettings(preset="ultrafast", lease_ttl_s=2.0)
Chunks = list[tuple[ChunkHeader, list[Sample]]]


class Site:
    """What ingest would have done, and what is in the log."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.live = bus.bucket(LIVE_BUCKET)

    async def put(self, record: Broadcast | Rendition) -> None:
        key = broadcast_key(record.broadcast_id)
        if isinstance(record, Rendition):
            key = rendition_key(record.broadcast_id, record.name)
        await self.live.put(key, msgspec.json.encode(record))

    async def append(self, name: str, chunks: Sequence[SourceChunk], broadcast: str = BROADCAST) -> None:
        for chunk in chunks:
            await self.bus.append(
                media(broadcast, name),
                chunk.data,
                message_id=chunk.header.message_id(broadcast, name),
                headers={CHUNK_HEADER: chunk.header.encode()},
            )

    async def read(self, name: str, until: float, timescale: int = 90_000, broadcast: str = BROADCAST) -> Chunks:
        """The rendition's chunks up to media time `until` seconds."""
        found: Chunks = []
        async with asyncio.timeout(15):
            async for message in self.bus.tail(MEDIA_STREAM, [media(broadcast, name)], 1):
                header = ChunkHeader.decode(message.headers[CHUNK_HEADER])
                pieces = read_fragments(message.data) if message.data else []
                found.append((header, [sample for piece in pieces for sample in piece.samples]))
                if header.dts + header.duration >= until * timescale:
                    return found
        raise AssertionError("the log ended")

    async def rendition(self, name: str) -> Rendition:
        entry = await self.live.get(rendition_key(BROADCAST, name))
        assert entry is not None
        return msgspec.json.decode(entry.value, type=Rendition)

    async def announced(self, name: str) -> None:
        """Waits for the record of a rendition: whoever makes it knows where it begins."""
        async with asyncio.timeout(15):
            while await self.live.get(rendition_key(BROADCAST, name)) is None:
                await asyncio.sleep(0.02)

    async def rungs(self, broadcast: str = BROADCAST) -> dict[str, tuple[str, str]]:
        """How each rung runs, and why not."""
        entry = await self.live.get(rungs_key(broadcast))
        if entry is None:
            return {}
        record = msgspec.json.decode(entry.value, type=RungsRecord)
        return {rung.name: (rung.mode.value, rung.reason) for rung in record.rungs}


async def make_site(bus: Bus) -> Site:
    """Streams and buckets as a node makes them."""
    await bus.ensure_stream(StreamSpec(MEDIA_STREAM, ("media.>",), max_bytes=64 << 20))
    await bus.ensure_bucket(BucketSpec(LIVE_BUCKET))
    await bus.ensure_bucket(BucketSpec(LEASE_BUCKET, ttl_s=2.0, synced=False))
    await bus.ensure_bucket(BucketSpec(PICTURES_BUCKET, synced=False, max_bytes=16 << 20))
    return Site(bus)


def live(**changes: object) -> Broadcast:
    """A broadcast that is on the air."""
    record = Broadcast(
        broadcast_id=BROADCAST,
        channel_id="c1",
        channel="alice",
        user_id="u1",
        edge_id="e1",
        state=BroadcastState.LIVE,
        epoch=1,
        ladder=["180p"],
        has_video=True,
    )
    return msgspec.structs.replace(record, **changes)


def h264_record(source: Encoded, width: int, height: int, broadcast: str = BROADCAST) -> Rendition:
    """The source's record, as ingest announces it."""
    video = VideoFormat(codec="avc1.42c01e", width=width, height=height, frame_rate=(30, 1))
    data = init_segment(VideoTrack(config=source.form.extradata, width=width, height=height))
    inits = [Init(init=0, data=data, video=video)]
    return Rendition(broadcast_id=broadcast, name="source", timescale=90_000, bandwidth=1, inits=inits)
