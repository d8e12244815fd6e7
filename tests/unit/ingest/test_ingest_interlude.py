"""What playlists list while a publisher is away: all renditions go on in gaps. Who comes back goes on behind."""

from itertools import pairwise

import pytest
from flv_source import Body
from ingest_fakes import KEY
from ingest_site import Site, until
from test_ingest_service import broadcast

from appliance.contracts.media import AUDIO, SOURCE, BroadcastState, ChunkFlag, ChunkHeader
from edge.ingest.interlude import Interlude
from edge.ingest.packager import PackagerConfig
from edge.ingest.rendition import ResumePoint

CONFIG = PackagerConfig()
GONE_US = 1_700_000_000_000_000
SCALES = {SOURCE: 90_000, AUDIO: 44_100}
AWAY = ChunkFlag.GAP | ChunkFlag.AWAY


def point(name: str, *, msn: int = 4, ends_s: float = 100.0, is_open: bool = False) -> ResumePoint:
    """The last chunk of a rendition, which ends so late; the whole broadcast's clock was right."""
    scale = SCALES[name]
    flags = ChunkFlag.NONE if is_open else ChunkFlag.LAST_OF_PART | ChunkFlag.LAST_OF_SEGMENT
    pdt_us = GONE_US + round((ends_s - 100.2) * 1e6)
    header = ChunkHeader(
        1, msn, 3, 0, 30, flags, round((ends_s - 0.2) * scale), round(0.2 * scale), pdt_us, 0, pdt_us, 2
    )
    return ResumePoint(header, 77, scale)


def told(interlude: Interlude, seconds: float, *, late_us: int = 4000) -> list[tuple[int, str, ChunkHeader]]:
    """(when, rendition, header) of what is told in so many seconds by somebody who is always a little late."""
    out = []
    while interlude.due_us + late_us <= GONE_US + seconds * 1e6:
        now_us = interlude.due_us + late_us
        out += [(now_us, one.rendition, one.header) for one in interlude.tell(now_us)]
    return out


def gaps(out: list[tuple[int, str, ChunkHeader]], name: str) -> list[tuple[int, ChunkHeader]]:
    return [(at, header) for at, one, header in out if one == name and header.flags & ChunkFlag.GAP]


@pytest.mark.parametrize("audio_s", [100.0, 99.4, 100.3])
def test_parts_come_when_they_are_due_and_never_early(audio_s: float) -> None:
    points = {SOURCE: point(SOURCE), AUDIO: point(AUDIO, ends_s=audio_s)}
    out = told(Interlude(CONFIG, points, {}, GONE_US), 20)
    for name, scale in SCALES.items():
        parts = gaps(out, name)
        assert len(parts) > 50
        assert parts[0][0] <= GONE_US + 460_000
        apart = [two - one for (one, _), (two, _) in pairwise(parts)]
        assert max(apart) <= 354_000
        assert min(apart) > 300_000 or audio_s < 100
        for at, header in parts:
            assert header.flags & AWAY == AWAY
            assert 0.002 * scale < header.duration <= 0.35 * scale
            assert header.pdt_us + header.duration * 1_000_000 // scale <= at, "what may yet come is not missing"
        assert parts[0][1].dts == points[name].end_dts
        for (_, one), (_, two) in pairwise(parts):
            assert two.dts == one.dts + one.duration
            assert abs(two.pdt_us - one.pdt_us - one.duration * 1_000_000 // scale) <= 1
            assert two.serial == one.serial + 1
        assert parts[0][1].serial == 31


def test_segments_are_as_long_as_usual_and_the_same_in_all_renditions() -> None:
    points = {SOURCE: point(SOURCE), AUDIO: point(AUDIO, ends_s=100.1)}
    out = told(Interlude(CONFIG, points, {}, GONE_US), 20)
    lengths: dict[str, dict[int, int]] = {}
    for name, scale in SCALES.items():
        found = lengths.setdefault(name, {})
        for _, header in gaps(out, name):
            found[header.msn] = found.get(header.msn, 0) + header.duration
        assert all(length <= 2.2 * scale for length in found.values())
        assert min(found) == 5
    assert list(lengths[SOURCE]) == list(lengths[AUDIO])
    assert 9 <= len(lengths[SOURCE]) <= 12


def test_a_rendition_that_had_not_begun_the_last_segment_has_it_too() -> None:
    points = {SOURCE: point(SOURCE, msn=5), AUDIO: point(AUDIO, ends_s=99.9)}
    out = told(Interlude(CONFIG, points, {}, GONE_US), 3)
    sound = gaps(out, AUDIO)
    assert [header.msn for _, header in sound][:2] == [5, 6]
    assert sound[0][1].is_gap_segment
    assert sound[0][1].duration > 0
    assert sound[1][1].dts == sound[0][1].dts + sound[0][1].duration


def test_a_segment_that_was_left_open_is_closed_first() -> None:
    out = told(Interlude(CONFIG, {SOURCE: point(SOURCE, is_open=True)}, {}, GONE_US), 1)
    first = out[0][2]
    assert (first.msn, first.part, first.duration) == (4, 3, 0)
    assert first.flags & ChunkFlag.LAST_OF_SEGMENT


def test_nothing_is_told_where_renditions_end_far_apart() -> None:
    """A track that nobody sends any more has ended long before."""
    points = {SOURCE: point(SOURCE), AUDIO: point(AUDIO, ends_s=90)}
    assert not Interlude(CONFIG, points, {}, GONE_US).is_possible
    assert not Interlude(CONFIG, {}, {}, GONE_US).is_possible


def test_the_rest_is_told_up_to_what_comes() -> None:
    interlude = Interlude(CONFIG, {SOURCE: point(SOURCE)}, {}, GONE_US)
    assert not interlude.finish(GONE_US + 50_000, GONE_US + 50_000), "who is back at once goes on at once"
    parts = gaps(told(interlude, 1), SOURCE)
    rest = interlude.finish(GONE_US + 1_300_000, GONE_US + 1_300_000)
    end = rest[-1].header
    assert end.pdt_us + end.duration * 100 // 9 == pytest.approx(GONE_US + 1_300_000, abs=20)
    assert rest[0].header.dts == parts[-1][1].dts + parts[-1][1].duration
    assert not interlude.finish(GONE_US + 1_340_000, GONE_US + 1_340_000)


def test_a_process_that_stood_still_tells_all_of_it() -> None:
    interlude = Interlude(CONFIG, {SOURCE: point(SOURCE)}, {}, GONE_US)
    told(interlude, 1)
    out = interlude.tell(GONE_US + 9_000_000)
    lengths: dict[int, int] = {}
    for append in out:
        lengths[append.header.msn] = lengths.get(append.header.msn, 0) + append.header.duration
    assert max(lengths.values()) <= 2.2 * 90_000
    assert interlude.due_us > GONE_US + 9_000_000


# --- in the service


def away(site: Site, name: str = SOURCE) -> list[ChunkHeader]:
    (record,) = site.log.broadcasts()
    return [one for one, _ in site.log.chunks(record.broadcast_id, name) if one.flags & ChunkFlag.AWAY]


def assert_goes_on(site: Site) -> None:
    """Nothing overlaps and no segment is left out, in all renditions."""
    (record,) = site.log.broadcasts()
    for name in (SOURCE, AUDIO):
        headers = [header for header, _ in site.log.chunks(record.broadcast_id, name)]
        for one, two in pairwise(headers):
            closed = bool(one.flags & ChunkFlag.LAST_OF_SEGMENT)
            assert (two.msn == one.msn + 1) if closed else (two.msn == one.msn)
            assert two.dts >= one.dts + one.duration


async def gone(site: Site, bodies: list[Body], **options: object) -> None:
    """A publisher whose line is cut."""
    service = await site.ingest(**options)
    client = await site.client(service)
    client.send(bodies)
    await until(lambda: site.state() is BroadcastState.LIVE)
    client.writer.transport.abort()
    await until(lambda: site.state() is BroadcastState.INTERRUPTED)


async def test_a_publisher_who_is_gone_is_told_at_once_and_goes_on_behind(site: Site) -> None:
    await gone(site, broadcast(1))
    await until(lambda: len(away(site)) >= 3)
    assert len(away(site, AUDIO)) >= 3
    service = site.running()
    client = await site.client(service)
    client.send(broadcast(1))
    await until(lambda: site.state() is BroadcastState.LIVE)
    told = len(away(site))
    await until(lambda: site.log.chunks(site.log.broadcasts()[0].broadcast_id, SOURCE)[-1][0].epoch == 2)
    assert_goes_on(site)
    assert not any(one.epoch == 2 for one in away(site))
    assert len(away(site)) == told


async def test_it_ends_with_the_broadcast(site: Site) -> None:
    await gone(site, broadcast(1), grace_s=1.5)
    await until(lambda: site.state() is BroadcastState.ENDED)
    assert 1 <= len(away(site)) <= 3, "what comes ahead of the clock is not missing"


async def test_an_encoder_that_says_that_it_stops_leaves_no_gap_behind(site: Site) -> None:
    service = await site.ingest(stop_grace_s=0.5)
    client = await site.client(service)
    client.send(broadcast(1))
    await until(lambda: site.state() is BroadcastState.LIVE)
    client.writer.write(client.encoder.command("FCUnpublish", 6, None, KEY))
    client.writer.write(client.encoder.command("deleteStream", 7, None, 1))
    await until(lambda: site.state() is BroadcastState.ENDED)
    assert not away(site)


async def test_another_process_has_it_end_before_it_goes_on(site: Site) -> None:
    await gone(site, broadcast(1))
    await until(lambda: len(away(site)) >= 2)
    second = await site.ingest()
    client = await site.client(second)
    client.send(broadcast(1))
    await until(lambda: site.state() is BroadcastState.LIVE)
    await until(lambda: site.log.chunks(site.log.broadcasts()[0].broadcast_id, SOURCE)[-1][0].epoch == 2)
    assert_goes_on(site)
    assert not client.reader.at_eof()
