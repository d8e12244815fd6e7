"""What a publisher that waits knows of the pictures in the log."""

import asyncio

from flv_source import broadcast
from ingest_fakes import FakeBus, FakeLog
from ingest_site import until

from appliance.contracts import subjects
from appliance.contracts.media import CHUNK_HEADER, SOURCE, ChunkFlag
from edge.ingest.log_watch import LogWatch
from edge.ingest.packager import Packager, PackagerConfig
from edge.ingest.rendition import Append
from edge.protocols.fmp4 import read_fragments

T0 = 1_700_000_000_000_000


def source(seconds: float) -> list[Append]:
    """The source of a broadcast whose pictures stop after 4 s, while its sound goes on."""
    packager, out = Packager(PackagerConfig()), list[Append]()
    for body in broadcast(seconds):
        now_us = T0 + 1000 * body.stamp
        if not (body.is_video and body.stamp >= 4000):
            take = packager.video if body.is_video else packager.audio
            out += take(body.stamp, body.body, now_us=now_us)
    return [append for append in out if append.rendition == SOURCE]


def digests(appends: list[Append]) -> list[int]:
    return [
        hash(bytes(sample.data))
        for append in appends
        for part in read_fragments(append.data)
        for sample in part.samples
    ]


async def test_behind_missing_pictures_the_log_does_not_end_with_the_last_one() -> None:
    log = FakeLog()
    watch = LogWatch(FakeBus(log), "b")
    watch.start()
    await asyncio.sleep(0.02)  # it follows what comes from now on

    def put(append: Append) -> None:
        log.add(subjects.media("b", SOURCE), append.data, {CHUNK_HEADER: append.header.encode()}, None)

    appends = source(20)
    seen = [append for append in appends if not append.header.flags & ChunkFlag.GAP]
    assert appends[-1].header.flags & ChunkFlag.GAP
    for append in seen:
        put(append)
    await until(lambda: watch.sequence == len(log.messages))
    assert watch.digests == digests(seen)
    put(appends[-1])
    await until(lambda: watch.sequence == len(log.messages))
    assert watch.digests == []
    put(seen[0])
    await until(lambda: watch.sequence == len(log.messages))
    assert watch.digests == digests(seen[:1])
    await watch.close()


async def interval_at_first(appends: list[Append]) -> int:
    """Between the pictures of who sent `appends` and nothing since, in microseconds."""
    log = FakeLog()
    for append in appends:
        log.add(subjects.media("b", SOURCE), append.data, {CHUNK_HEADER: append.header.encode()}, None)
    watch = LogWatch(FakeBus(log), "b")
    watch.start()
    await asyncio.sleep(0.02)
    await watch.close()
    return watch.pictures.interval_us


async def test_how_often_pictures_come_is_known_before_any_came() -> None:
    pictures = [append for append in source(4) if append.header.duration]
    assert await interval_at_first(pictures) <= 400_000
    packager, slow = Packager(PackagerConfig()), list[Append]()
    for body in broadcast(20):
        if not body.is_video or not body.stamp % 2000 or body.body[1] == 0:
            take = packager.video if body.is_video else packager.audio
            slow += take(body.stamp, body.body, now_us=T0 + 1000 * body.stamp)
    shown = [one for one in slow if one.rendition == SOURCE and one.header.duration]
    known = next(at for at, one in enumerate(shown) if one.header.duration > 90_000)  # that they are slides
    for count in (0, *range(known + 1, len(shown))):
        assert await interval_at_first(shown[:count]) >= 1_000_000
