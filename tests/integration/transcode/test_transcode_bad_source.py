"""A worker on a source that no encoder should send: it lives on, and what ingest wrote of it stays as it was."""

import asyncio
import random
from collections.abc import Iterator

import msgspec

from appliance.contracts.media import Init, VideoFormat
from appliance.contracts.subjects import MEDIA_STREAM, media
from appliance.runtime.bus import Bus
from appliance.runtime.settings import MediaSettings
from edge.protocols.fmp4 import Sample, VideoTrack, init_segment
from edge.transcode.chunks import SourceChunk
from edge.transcode.service import TranscodeService
from tests.integration.transcode.transcode_site import BROADCAST, SETTINGS, Site, h264_record, live, make_site
from tests.unit.transcode.encoded_sources import FRAME, Encoded, chunks_of, picture_source
from tests.unit.transcode.test_transcode_bad_sources import damaged, dropped, truncated

GOP, SMALL, OTHER, LIE = 15, (64, 36), (96, 72), (640, 360)
RIGHT, CHANGED, LYING = 0, 1, 2  # initialisation segments


def gop(source: Encoded, msn: int) -> list[Sample]:
    return [sample.replace(dts=(msn * GOP + index) * FRAME) for index, sample in enumerate(source.samples)]


def stream(good: Encoded, other: Encoded) -> Iterator[SourceChunk]:
    """A segment each: one kind of harm after the other, and the last one whole."""
    chance = random.Random(11)
    harms = (damaged, truncated, dropped, damaged)
    kinds = [*harms, CHANGED, RIGHT, LYING, *harms, RIGHT]
    sequence = 1
    for msn, kind in enumerate(kinds):
        samples = gop(other if kind == CHANGED else good, msn)
        init = kind if isinstance(kind, int) else RIGHT
        if not isinstance(kind, int):
            share = chance.choice([0.01, 0.1, 0.5])
            harmed = [kind(chance, one) if chance.random() < share else [one] for one in samples]
            samples = [one for group in harmed for one in group] or samples[:1]
        for chunk in chunks_of(samples, good.form, segments=[0], sequence=sequence, first_msn=msn, init=init):
            sequence += 1
            yield chunk


def described(source: Encoded, number: int, size: tuple[int, int]) -> Init:
    video = VideoFormat(codec="avc1.42c01e", width=size[0], height=size[1], frame_rate=(30, 1))
    track = VideoTrack(config=source.form.extradata, width=size[0], height=size[1])
    return Init(init=number, data=init_segment(track), video=video)


async def test_a_worker_survives_whatever_comes(bus: Bus) -> None:
    site: Site = await make_site(bus)
    good, other, liar = await asyncio.to_thread(
        lambda: (
            picture_source("libx264", GOP, GOP, SMALL),
            picture_source("libx264", GOP, GOP, OTHER),
            picture_source("libx264", 2, 2, LIE),
        )
    )
    record = h264_record(good, *SMALL)
    inits = [*record.inits, described(other, CHANGED, OTHER), described(liar, LYING, LIE)]
    await site.put(msgspec.structs.replace(record, inits=inits))
    await site.put(live(ladder=["36p"]))
    service = TranscodeService(SETTINGS, MediaSettings(), bus, 0)
    await service.start()
    chunks = list(stream(good, other))
    await site.append("source", chunks[:1])
    await site.announced("36p")  # it begins with the first segment: with the newest one where it finds many
    await site.append("source", chunks[1:])
    last = chunks[-1].header.msn
    made = await site.read("36p", (last + 1) * GOP / 30)
    assert list(service._jobs) == [BROADCAST], "still at work, and not for the second time"
    await service.stop()
    frames = [sample.dts // FRAME for _, samples in made for sample in samples]
    assert frames == sorted(set(frames))
    assert frames[-GOP:] == list(range(last * GOP, (last + 1) * GOP)), "the last key frame put everything right"
    assert sorted({header.msn for header, _ in made}) == list(range(last + 1))
    tail = bus.tail(MEDIA_STREAM, [media(BROADCAST, "source")], 1)
    async with asyncio.timeout(5):
        assert [(await anext(tail)).data for _ in chunks] == [chunk.data for chunk in chunks]
    await tail.aclose()
