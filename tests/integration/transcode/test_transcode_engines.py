"""A broadcast on a real log whose encoder process is killed: two rungs, frames counted by decoding both."""

import asyncio
import os
import signal

import av
import pytest

from appliance.contracts.errors import ConfigError
from appliance.contracts.media import ChunkFlag, ChunkHeader, Init, Rendition, VideoFormat
from appliance.runtime.settings import MediaSettings, TranscodeSettings
from edge.origin.stored import Discontinuities
from edge.protocols.fmp4 import Sample, VideoTrack, init_segment, read_init
from edge.transcode.chunks import SourceChunk
from edge.transcode.engines import catalogue
from edge.transcode.engines.base import RungFormat
from edge.transcode.engines.catalogue import ENGINES, X264_CHILD
from edge.transcode.engines.child import ChildEngine, Recipe
from edge.transcode.service import TranscodeService
from tests.integration.transcode.test_transcode_service import Site, live, site  # noqa: F401 - a fixture
from tests.unit.transcode.encoded_sources import FRAME, chunks_of, level_of, picture_source

GOP, SEGMENTS, KILLED = 15, 8, 4
SECONDS = SEGMENTS * GOP // 30
SETTINGS = TranscodeSettings(preset="superfast", engines=("x264-child", "x264"))
RUNGS = ("480p", "360p")


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> dict[int, ChildEngine]:
    """The encoder processes by the height of their rung."""
    made: dict[int, ChildEngine] = {}

    def make(form: RungFormat) -> ChildEngine:
        made[form.height] = ChildEngine(recipe, form)
        return made[form.height]

    recipe = X264_CHILD
    monkeypatch.setitem(catalogue.ENGINES, "x264-child", ENGINES["x264-child"]._replace(make=make))
    return made


@pytest.fixture
def other_sets(monkeypatch: pytest.MonkeyPatch, children: dict[int, ChildEngine]) -> None:
    """The child encodes Main profile, as hardware may: x264 cannot go on in the same segment."""
    recipe = Recipe(lambda form: [*X264_CHILD.encoder(form), "-profile:v", "main"], X264_CHILD.filters)

    def make(form: RungFormat) -> ChildEngine:
        children[form.height] = ChildEngine(recipe, form)
        return children[form.height]

    monkeypatch.setitem(catalogue.ENGINES, "x264-child", ENGINES["x264-child"]._replace(make=make))


async def begun(site: Site) -> tuple[TranscodeService, list[SourceChunk]]:  # noqa: F811 - the fixture
    """A service with the first segments and a part of segment `KILLED` done; what the source still has."""
    source = await asyncio.to_thread(picture_source, "libx264", SEGMENTS * GOP, GOP, (640, 480))
    chunks = chunks_of(source.samples, source.form, segments=[msn * GOP for msn in range(SEGMENTS)])
    video = VideoFormat(codec="avc1.42c01e", width=640, height=480, frame_rate=(30, 1))
    data = init_segment(VideoTrack(config=source.form.extradata, width=640, height=480))
    inits = [Init(init=0, data=data, video=video)]
    await site.put(Rendition(broadcast_id="b1", name="source", timescale=90_000, bandwidth=1, inits=inits))
    await site.put(live(ladder=list(RUNGS)))
    service = TranscodeService(SETTINGS, MediaSettings(), site.bus, 0)
    await service.start()
    await site.append("source", [one for one in chunks if one.header.msn == 0])
    for name in RUNGS:
        await site.read(name, 0)  # later the transcoder would begin at the newest segment
    middle = (KILLED * GOP + 12) * FRAME
    await site.append("source", [one for one in chunks if one.header.msn > 0 and one.header.dts < middle])
    for name in RUNGS:
        await site.read(name, KILLED * GOP // 30)
    return service, [one for one in chunks if one.header.dts >= middle]


def numbers(chunks: list[tuple[ChunkHeader, list[Sample]]]) -> list[int]:
    return [sample.dts // FRAME for _, samples in chunks for sample in samples]


def decoded(chunks: list[tuple[ChunkHeader, list[Sample]]], record: Rendition) -> int:
    """How many pictures come out, each segment with its own initialisation segment, all of the right grey."""
    count = 0
    for init in record.inits:
        decoder = av.CodecContext.create("h264", "r")
        decoder.extradata, decoder.thread_count = read_init(init.data).config, 1
        samples = [sample for header, held in chunks if header.init == init.init for sample in held]
        shown = [one for s in samples for one in decoder.decode(av.Packet(bytes(s.data)))]
        shown += decoder.decode(None) if samples else []
        for sample, picture in zip(samples, shown, strict=True):
            plane = picture.planes[0]
            assert abs(bytes(plane)[plane.line_size * 100 + 100] - level_of(sample.dts // FRAME)) <= 6
        count += len(shown)
    return count


@pytest.mark.usefixtures("children")
async def test_no_frame_is_missing_when_the_next_engine_fits(
    site: Site,  # noqa: F811 - the fixture
    children: dict[int, ChildEngine],
) -> None:
    service, rest = await begun(site)
    os.kill(children[480].pid, signal.SIGKILL)
    await site.append("source", rest)
    for name in RUNGS:
        chunks = await site.read(name, SECONDS)
        record = await site.rendition(name)
        assert numbers(chunks) == list(range(SEGMENTS * GOP))
        assert decoded(chunks, record) == SEGMENTS * GOP
        assert len(record.inits) == 1
    await service.stop()


@pytest.mark.usefixtures("other_sets")
async def test_the_rest_of_the_segment_is_a_gap_when_it_does_not(
    site: Site,  # noqa: F811 - the fixture
    children: dict[int, ChildEngine],
) -> None:
    service, rest = await begun(site)
    os.kill(children[480].pid, signal.SIGKILL)
    await site.append("source", [one for one in rest if one.header.msn == KILLED])
    async with asyncio.timeout(15):
        while len((await site.rendition("480p")).inits) < 2:
            await asyncio.sleep(0.02)
    await site.append("source", [one for one in rest if one.header.msn > KILLED])
    lower = await site.read("360p", SECONDS)
    chunks = await site.read("480p", SECONDS)
    record = await site.rendition("480p")
    await service.stop()
    assert numbers(lower) == list(range(SEGMENTS * GOP))
    assert decoded(lower, await site.rendition("360p")) == SEGMENTS * GOP, "its encoder lives"
    start = record.inits[-1].from_msn
    assert [init.from_msn for init in record.inits] == [0, start]
    assert start in (KILLED + 1, KILLED + 2), "a segment that the source had not begun"
    missing = [number for number in range(SEGMENTS * GOP) if number not in numbers(chunks)]
    assert missing
    assert missing == list(range(missing[0], start * GOP)), "one hole, up to the announced segment"
    assert missing[0] >= KILLED * GOP
    assert decoded(chunks, record) == SEGMENTS * GOP - len(missing)
    gaps = [header for header, _ in chunks if header.flags & ChunkFlag.GAP]
    assert sum(header.duration for header in gaps) == len(missing) * FRAME
    assert [header.init for header, _ in chunks] == [0 if header.msn < start else 1 for header, _ in chunks]
    shared = Discontinuities()
    for header, _ in chunks:
        if header.flags & ChunkFlag.DISCONTINUITY:
            shared.announce(header.msn)
    assert [msn for msn in range(SEGMENTS) if msn in shared] == [start]


async def test_an_engine_that_there_is_not_is_refused_at_start(site: Site) -> None:  # noqa: F811 - the fixture
    service = TranscodeService(TranscodeSettings(engines=("x265",)), MediaSettings(), site.bus, 0)
    with pytest.raises(ConfigError, match="x264"):
        await service.start()
