"""A transcoder on a real log: what ingest wrote of a source that players cannot play becomes a ladder."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from appliance.contracts.media import (
    CHUNK_HEADER,
    AudioFormat,
    Broadcast,
    BroadcastState,
    ChunkHeader,
    Init,
    Rendition,
    VideoFormat,
)
from appliance.contracts.pictures import PREVIEW_FORMATS, PREVIEW_SIZES, StoredPicture
from appliance.contracts.subjects import (
    LEASE_BUCKET,
    LIVE_BUCKET,
    MEDIA_STREAM,
    PICTURES_BUCKET,
    broadcast_key,
    media,
    preview_key,
    rendition_key,
    sheet_key,
    storyboard_key,
)
from appliance.runtime.bus import Bus
from appliance.runtime.settings import MediaSettings, TranscodeSettings
from appliance.runtime.streams import BucketSpec, StreamSpec
from edge.media.storyboard import Cue, parse_vtt
from edge.protocols.fmp4 import AudioTrack, Sample, VideoTrack, init_segment, read_fragments
from edge.transcode.chunks import SourceChunk
from edge.transcode.service import TranscodeService
from tests.unit.transcode.encoded_sources import FRAME, chunks_of, picture_source, sound_source

BROADCAST = "b1"
GOP = 30
SETTINGS = TranscodeSettings(preset="ultrafast", lease_ttl_s=2.0)


class Site:
    """What ingest would have done."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.live = bus.bucket(LIVE_BUCKET)

    async def put(self, record: Broadcast | Rendition) -> None:
        key = broadcast_key(BROADCAST)
        if isinstance(record, Rendition):
            key = rendition_key(BROADCAST, record.name)
        await self.live.put(key, msgspec.json.encode(record))

    async def append(self, name: str, chunks: Sequence[SourceChunk]) -> None:
        for chunk in chunks:
            await self.bus.append(
                media(BROADCAST, name),
                chunk.data,
                message_id=chunk.header.message_id(BROADCAST, name),
                headers={CHUNK_HEADER: chunk.header.encode()},
            )

    async def read(self, name: str, until: int, timescale: int = 90_000) -> list[tuple[ChunkHeader, list[Sample]]]:
        """The rendition's chunks up to media time `until` seconds."""
        found: list[tuple[ChunkHeader, list[Sample]]] = []
        async with asyncio.timeout(15):
            async for message in self.bus.tail(MEDIA_STREAM, [media(BROADCAST, name)], 1):
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


@pytest.fixture
async def site(bus: Bus) -> Site:
    await bus.ensure_stream(StreamSpec(MEDIA_STREAM, ("media.>",), max_bytes=64 << 20))
    await bus.ensure_bucket(BucketSpec(LIVE_BUCKET))
    await bus.ensure_bucket(BucketSpec(LEASE_BUCKET, ttl_s=2.0, synced=False))
    await bus.ensure_bucket(BucketSpec(PICTURES_BUCKET, synced=False, max_bytes=16 << 20))
    return Site(bus)


def live(**changes: object) -> Broadcast:
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


def vp8_record() -> Rendition:
    video = VideoFormat(codec="vp08.00.30.08", width=320, height=180, frame_rate=(30, 1))
    track = VideoTrack(config=bytes([1, 0, 0, 0, 0, 30, 0x82, 2, 2, 2, 0, 0]), width=320, height=180, entry="vp08")
    inits = [Init(init=0, data=init_segment(track), video=video)]
    return Rendition(broadcast_id=BROADCAST, name="source", timescale=90_000, bandwidth=500_000, inits=inits)


async def test_vp8_and_opus_become_h264_and_aac_through_a_take_over(site: Site) -> None:
    """Segments at seconds 0 to 3; those at 1 and 3 begin without a key frame; a second worker takes over."""
    source = await asyncio.to_thread(picture_source, "libvpx", 4 * GOP, 2 * GOP)
    chunks = chunks_of(source.samples, source.form, segments=[0, GOP, 2 * GOP, 3 * GOP])
    sound = await asyncio.to_thread(sound_source, "libopus", 4.0, 48_000, ())
    starts = [next(i for i, s in enumerate(sound.samples) if s.dts >= at * 48_000) for at in range(4)]
    heard = chunks_of(sound.samples, sound.form, segments=starts, timescale=48_000, per_chunk=5)
    track = AudioTrack(
        config=b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0", timescale=48_000, channels=2, entry="Opus"
    )
    opus = Init(init=0, data=init_segment(track), audio=AudioFormat(codec="opus", sample_rate=48_000, channels=2))
    await site.put(vp8_record())
    await site.put(
        Rendition(broadcast_id=BROADCAST, name="audio", timescale=48_000, bandwidth=100_000, inits=[opus])
    )
    await site.put(live(has_audio=True, audio="aac"))
    first = TranscodeService(SETTINGS, MediaSettings(), site.bus, 0)
    await first.start()
    await site.append("source", [one for one in chunks if one.header.dts < 50 * FRAME])
    await site.append("audio", [one for one in heard if one.header.dts < 70_000])
    await site.read("180p", 1)
    await site.read("aac", 1, 48_000)
    await first.stop()
    second = TranscodeService(SETTINGS, MediaSettings(), site.bus, 1)
    await second.start()
    await site.append("source", [one for one in chunks if one.header.dts >= 50 * FRAME])
    await site.append("audio", [one for one in heard if one.header.dts >= 70_000])
    pictures = await site.read("180p", 4)
    sounds = await site.read("aac", 4, 48_000)
    await second.stop()
    shown = [sample for _, samples in pictures for sample in samples]
    assert [sample.dts for sample in shown] == [index * FRAME for index in range(4 * GOP)]
    assert {GOP * FRAME * msn for msn in range(4)} <= {sample.dts for sample in shown if sample.key}
    assert sorted({header.msn for header, _ in pictures}) == [0, 1, 2, 3]
    played = [sample.dts for _, samples in sounds for sample in samples]
    assert played == [played[0] + 1024 * index for index in range(len(played))]
    assert sorted({header.msn for header, _ in sounds}) == [0, 1, 2, 3]
    record = await site.rendition("aac")
    assert record.inits[0].audio == AudioFormat(codec="mp4a.40.2", sample_rate=48_000, channels=2)
    assert len(record.inits) == 1
    rung = (await site.rendition("180p")).inits
    assert [(init.video.width, init.video.height) for init in rung if init.video is not None] == [(320, 180)]


async def test_a_ladder_that_changes_while_it_runs(site: Site) -> None:
    """The source can no longer be given to players: a rung of its own size joins, the others go on."""
    source = await asyncio.to_thread(picture_source, "libx264", 4 * GOP, GOP, (640, 480))
    chunks = chunks_of(source.samples, source.form, segments=[0, GOP, 2 * GOP, 3 * GOP])
    video = VideoFormat(codec="avc1.42c01e", width=640, height=480, frame_rate=(30, 1))
    data = init_segment(VideoTrack(config=source.form.extradata, width=640, height=480))
    inits = [Init(init=0, data=data, video=video)]
    await site.put(Rendition(broadcast_id=BROADCAST, name="source", timescale=90_000, bandwidth=1, inits=inits))
    await site.put(live(ladder=["source", "360p"]))
    service = TranscodeService(SETTINGS, MediaSettings(), site.bus, 0)
    await service.start()
    await site.append("source", [one for one in chunks if one.header.msn < 2])
    await site.read("360p", 1)
    await site.put(live(ladder=["480p", "360p"]))
    await asyncio.sleep(0.3)
    await site.append("source", [one for one in chunks if one.header.msn >= 2])
    both = [await site.read(name, 4) for name in ("360p", "480p")]
    await service.stop()
    assert [s.dts for _, samples in both[0] for s in samples] == [index * FRAME for index in range(4 * GOP)]
    joined = [s.dts for _, samples in both[1] for s in samples]
    assert joined == list(range(joined[0], 4 * GOP * FRAME, FRAME))
    assert joined[0] in (0, GOP * FRAME, 2 * GOP * FRAME)


async def test_contributed_renditions_are_not_made(site: Site) -> None:
    source = await asyncio.to_thread(picture_source, "libvpx", GOP, GOP)
    await site.put(vp8_record())
    await site.put(live(ladder=["180p"], contributed=["180p"]))
    service = TranscodeService(SETTINGS, MediaSettings(), site.bus, 0)
    await service.start()
    await site.append("source", chunks_of(source.samples, source.form, segments=[0]))
    await asyncio.sleep(0.6)
    assert await site.bus.bucket(LEASE_BUCKET).get(BROADCAST) is None, "nothing to make, no lease"
    await service.stop()
    assert await site.bus.last_message(MEDIA_STREAM, media(BROADCAST, "180p")) is None


async def test_pictures_lie_in_the_bucket_and_a_successor_goes_on_with_the_storyboard(site: Site) -> None:
    source = await asyncio.to_thread(picture_source, "libvpx", 4 * GOP, GOP)
    chunks = chunks_of(source.samples, source.form, segments=[0, GOP, 2 * GOP, 3 * GOP])
    await site.put(vp8_record())
    await site.put(live())
    settings = TranscodeSettings(preset="ultrafast", preview_s=10.0, storyboard_s=1.0)
    for worker, half in enumerate((chunks[:20], chunks[20:])):
        service = TranscodeService(settings, MediaSettings(), site.bus, worker)
        await service.start()
        await site.append("source", half[:10])
        await _cues(site, 2 * worker + 1)
        await site.append("source", half[10:])
        cues = await _cues(site, 2 * worker + 2)
        await service.stop()
    assert [(cue.start_ms, cue.uri[:12]) for cue in cues] == [
        (0, "sheet-0.jpg?"),
        (1000, "sheet-0.jpg?"),
        (2000, "sheet-1.jpg?"),
        (3000, "sheet-1.jpg?"),
    ]
    pictures = site.bus.bucket(PICTURES_BUCKET)
    names = {preview_key(BROADCAST, size, form) for size in PREVIEW_SIZES for form in PREVIEW_FORMATS}
    names |= {storyboard_key(BROADCAST), sheet_key(BROADCAST, 0), sheet_key(BROADCAST, 1)}
    assert {key for key, _ in await pictures.items()} == names
    entry = await pictures.get(preview_key(BROADCAST, 640, "jpg"))
    assert entry is not None
    picture = msgspec.msgpack.decode(entry.value, type=StoredPicture)
    assert picture.data[:2] == b"\xff\xd8"


async def _cues(site: Site, count: int) -> list[Cue]:
    """The storyboard once it has so many tiles."""
    async with asyncio.timeout(10):
        while True:
            entry = await site.bus.bucket(PICTURES_BUCKET).get(storyboard_key(BROADCAST))
            if entry is not None:
                text = msgspec.msgpack.decode(entry.value, type=StoredPicture).data.decode()
                if len(found := parse_vtt(text)) >= count:
                    return found
            await asyncio.sleep(0.02)
