"""A transcoder on a real log: what ingest wrote of a source that players cannot play becomes a ladder."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from appliance.contracts.media import AudioFormat, Init, Rendition, VideoFormat
from appliance.contracts.pictures import PREVIEW_FORMATS, PREVIEW_SIZES, StoredPicture
from appliance.contracts.subjects import (
    LEASE_BUCKET,
    MEDIA_STREAM,
    PICTURES_BUCKET,
    media,
    preview_key,
    sheet_key,
    storyboard_key,
)
from appliance.runtime.bus import Bus
from appliance.runtime.settings import MediaSettings
from edge.media.storyboard import Cue, parse_vtt
from edge.protocols.fmp4 import AudioTrack, VideoTrack, init_segment
from edge.transcode import video
from edge.transcode.engines.base import RungFormat
from edge.transcode.engines.lineup import Candidate, Lineup
from edge.transcode.service import TranscodeService
from tests.integration.transcode.transcode_site import BROADCAST, SETTINGS, Site, h264_record, live, make_site
from tests.unit.transcode.encoded_sources import FRAME, chunks_of, picture_source, sound_source

GOP = 30


@pytest.fixture
async def site(bus: Bus) -> Site:
    return await make_site(bus)


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
    await site.put(h264_record(source, 640, 480))
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


async def test_a_rung_is_told_and_made_no_larger_than_its_source(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what the source has when the rung begins; whoever takes over goes by what viewers were told."""
    made: list[int] = []

    class Watched(Lineup):
        def __init__(self, form: RungFormat, candidates: Sequence[Candidate]) -> None:
            made.append(form.bit_rate)
            super().__init__(form, candidates)

    monkeypatch.setattr(video, "Lineup", Watched)
    source = await asyncio.to_thread(picture_source, "libx264", 2 * GOP, GOP, (640, 480))
    chunks = chunks_of(source.samples, source.form, segments=[0, GOP])
    record = h264_record(source, 640, 480)
    await site.put(msgspec.structs.replace(record, bandwidth=500_000))
    await site.put(live(ladder=["source", "360p"]))
    for worker in range(2):
        service = TranscodeService(SETTINGS, MediaSettings(), site.bus, worker)
        await service.start()
        await site.append("source", [one for one in chunks if one.header.msn == worker])
        await site.read("360p", worker + 1)
        await service.stop()
        await site.put(msgspec.structs.replace(record, bandwidth=5_000_000))
    assert made == [360_000, 360_000]
    assert (await site.rendition("360p")).bandwidth == 450_000


async def test_contributed_renditions_are_not_made(site: Site) -> None:
    source = await asyncio.to_thread(picture_source, "libvpx", GOP, GOP)
    await site.put(vp8_record())
    await site.put(live(ladder=["180p"], contributed=["180p"]))
    settings = replace(SETTINGS, preview_s=0.0, storyboard_s=0.0)
    service = TranscodeService(settings, MediaSettings(), site.bus, 0)
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
    settings = replace(SETTINGS, preview_s=10.0, storyboard_s=1.0)
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


async def test_pictures_of_a_source_of_which_nothing_else_is_made(site: Site) -> None:
    source = await asyncio.to_thread(picture_source, "libx264", 3 * GOP, GOP)
    await site.put(h264_record(source, 320, 180))
    await site.put(live(ladder=["source"]))
    service = TranscodeService(replace(SETTINGS, preview_s=10.0, storyboard_s=1.0), MediaSettings(), site.bus, 0)
    await service.start()
    for chunk in chunks_of(source.samples, source.form, segments=[0, GOP, 2 * GOP]):
        await site.append("source", [chunk])
        await asyncio.sleep(0.02)
    cues = await _cues(site, 2)
    await service.stop()
    assert [cue.start_ms for cue in cues][:2] in ([0, 1000], [1000, 2000])
    picture = await site.bus.bucket(PICTURES_BUCKET).get(preview_key(BROADCAST, 320, "webp"))
    assert picture is not None
    assert await site.bus.last_sequence(MEDIA_STREAM) == 3 * GOP // 3, "no rendition is made"


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
