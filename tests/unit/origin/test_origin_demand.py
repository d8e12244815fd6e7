"""Rungs that are paused, and the demand that wakes them."""

import msgspec
import pytest
from origin_fakes import BROADCAST, Chunks, put_rendition, rendition

from appliance.contracts.media import ChunkFlag
from appliance.contracts.subjects import rungs_key
from appliance.contracts.transcode import RungMode, RungsRecord, RungState
from edge.origin.demand import LATELY_S, RenditionDemand
from edge.protocols.fmp4 import Sample, fragment, read_fragments
from edge.protocols.hls import media_parser, multivariant

RUNG = f"/media/{BROADCAST}/720p"


def put_rungs(origin, reason="load", **modes):
    rungs = [RungState(name=name.lstrip("_"), mode=RungMode(mode), reason=reason) for name, mode in modes.items()]
    record = RungsRecord(broadcast_id=BROADCAST, worker="w", changed_at_ms=1, rungs=rungs)
    origin.catalogue.live_changed(rungs_key(BROADCAST), msgspec.json.encode(record))


@pytest.fixture
async def with_rung(make_origin):
    """A source, its sound and a rung with a segment, a gap and a part."""
    origin = await make_origin()
    origin.go_live(ladder=["source", "720p"])
    put_rendition(origin.catalogue, rendition("720p"))
    rung = Chunks()
    origin.add_segments(2)
    origin.add("720p", [*rung.segment(), *rung.gap()])
    origin.rung = rung
    return origin


async def offered(client):
    answer = await client.get("/live/alice/index.m3u8")
    assert answer.status == 200
    return [variant.uri.split("/")[-2] for variant in multivariant.parse(answer.body).variants]


async def names(client):
    return set(await offered(client))


async def test_newcomers_are_not_offered_a_paused_rung(with_rung):
    client = await with_rung.client()
    assert await names(client) == {"source", "720p"}
    put_rungs(with_rung, _720p="paused")
    assert await names(client) == {"source"}
    put_rungs(with_rung, _720p="halved")
    assert await names(client) == {"source", "720p"}


async def test_a_rung_that_rests_is_offered_but_not_first(with_rung):
    """Whoever asks for it wakes it; who begins with it would begin with a gap."""
    put_rendition(with_rung.catalogue, rendition("720p", bandwidth=1_900_000))
    client = await with_rung.client()
    assert await offered(client) == ["720p", "source"]
    put_rungs(with_rung, "idle", _720p="paused")
    assert await offered(client) == ["source", "720p"]


async def test_whoever_comes_wakes_the_smallest_rung(with_rung):
    await offered(await with_rung.client())
    assert with_rung.catalogue.watchers() == {BROADCAST: {"720p": 1}}


async def test_a_pause_that_was_known_before_the_first_viewer(with_rung):
    put_rungs(with_rung, _720p="paused")
    assert await names(await with_rung.client()) == {"source"}
    with_rung.catalogue.live_changed(rungs_key(BROADCAST), None)
    assert await names(await with_rung.client()) == {"source", "720p"}


async def test_nobody_is_left_without_a_picture(make_origin):
    """Players cannot be given the source, and every rung is paused."""
    origin = await make_origin()
    origin.go_live(ladder=["720p"])
    put_rendition(origin.catalogue, rendition("720p"))
    put_rungs(origin, _720p="paused")
    origin.add("audio", origin.audio.segment())
    assert await names(await origin.client()) == {"720p"}


async def test_a_paused_rung_goes_on_as_gaps_and_its_viewers_are_demand(with_rung):
    client = await with_rung.client()
    put_rungs(with_rung, _720p="paused")
    found = media_parser.parse((await client.get(f"{RUNG}/index.m3u8")).body)
    assert [segment.gap for segment in found.segments] == [False, True]
    assert with_rung.catalogue.watchers() == {BROADCAST: {"720p": 1}}
    with_rung.add("720p", with_rung.rung.gap())
    answer = media_parser.parse((await client.get(f"{RUNG}/index.m3u8")).body)
    assert [segment.gap for segment in answer.segments] == [False, True, True]
    put_rungs(with_rung, _720p="running")
    client.send(f"{RUNG}/index.m3u8?_HLS_msn=3&_HLS_part=0")
    with_rung.add("720p", with_rung.rung.next_part())
    answer = media_parser.parse((await client.receive()).body)
    assert [part.uri for part in answer.segments[-1].parts] == ["p4.m4s"], "a gap uses up no part"


def without_media(chunks):
    """The same as gaps."""
    flags = {header: (header.flags | ChunkFlag.GAP) & ~ChunkFlag.INDEPENDENT for header, _ in chunks}
    return [(msgspec.structs.replace(header, flags=flags[header]), b"") for header, _ in chunks]


async def test_players_that_do_not_know_gaps_see_the_last_key_frame_meanwhile(make_origin):
    origin = await make_origin()
    origin.go_live()
    source = Chunks()
    first = source.segment()
    key = fragment(1, 1, 100, [Sample(100, 20, 5, True, b"picture"), Sample(120, 20, 0, False, b"another")])
    origin.add("source", [(first[0][0], key), *first[1:], *source.gap(), *source.gap(1500), *source.next_part()])
    client = await origin.client()
    shown = []
    for msn in (1, 2):
        answer = await client.get(f"/media/{BROADCAST}/source/s{msn}.m4s")
        assert (answer.status, answer.headers["content-type"]) == (200, "video/mp4")
        [found] = read_fragments(answer.body)
        [sample] = found.samples
        shown.append((found.base_dts, sample.duration, sample.key, bytes(sample.data)))
    assert shown == [(2100, 2000, True, b"picture"), (4100, 1500, True, b"picture")]
    assert (await client.get(f"/media/{BROADCAST}/source/s3.m4s")).status == 404, "not finished"


async def test_a_gap_without_a_key_frame_before_it_is_empty(with_rung):
    answer = await (await with_rung.client()).get(f"{RUNG}/s1.m4s")
    assert (answer.status, answer.body) == (200, b"")


async def test_parts_of_a_paused_rung_are_gaps_and_nobody_waits_for_more_of_them(make_origin):
    origin = await make_origin()
    origin.go_live(ladder=["source", "720p"])
    put_rendition(origin.catalogue, rendition("720p"))
    rung = Chunks()
    origin.add_segments(1)
    origin.add("720p", rung.segment())
    client, other = await origin.client(), await origin.client()
    client.send(f"{RUNG}/index.m3u8?_HLS_msn=1&_HLS_part=0")
    put_rungs(origin, _720p="paused")
    origin.add("720p", without_media(rung.next_part()))
    first = await client.receive()
    assert first.status == 200
    found = media_parser.parse(first.body).segments[-1]
    assert [(part.uri, part.gap, part.independent) for part in found.parts] == [("p4.m4s", True, False)]
    assert (await client.get(f"{RUNG}/p4.m4s")).status == 404
    assert (await client.get(f"{RUNG}/index.m3u8?_HLS_msn=1&_HLS_part=1")).status == 400
    pictures = await origin.client()
    pictures.send(f"{RUNG}/iframes.m3u8?_HLS_msn=1")
    put_rungs(origin, "idle", _720p="paused")
    client.send(f"{RUNG}/index.m3u8?_HLS_msn=1&_HLS_part=1")
    other.send(f"{RUNG}/index.m3u8?_HLS_msn=1&_HLS_part=2")
    origin.add("720p", without_media(rung.next_part()))
    assert media_parser.parse((await client.receive()).body).segments[-1].parts[-1].gap, "it wakes in a moment"
    put_rungs(origin, _720p="paused")
    assert (await other.receive()).status == 400, "who waits is told"
    origin.add("720p", without_media([*rung.next_part(), *rung.next_part(last=True)]) + rung.next_part())
    whole, open_ = media_parser.parse((await client.get(f"{RUNG}/index.m3u8")).body).segments[-2:]
    assert (whole.gap, len(whole.parts), open_.gap, open_.parts[0].independent) == (True, 4, False, True)
    assert (await pictures.receive()).status == 200, "nobody plays these: there is no hurry to change over"
    client.send(f"{RUNG}/index.m3u8?_HLS_msn=2&_HLS_part=1")
    origin.add("720p", rung.next_part())
    assert (await client.receive()).status == 200, "it has media again, whatever the record says"


def test_demand_is_forgotten_and_counts_viewers():
    demand = RenditionDemand()
    demand.asked("720p", 100.0)
    for port in (1, 2, 3):
        demand.asked("source", 101.0)
        demand.note("source", ("10.0.0.1", "player"), port, 7, 101.0)
    assert demand.watchers(102.0, {}) == {"720p": 1, "source": 3}
    assert demand.watchers(100.0 + LATELY_S, {"source": 2}) == {"source": 5}
    assert demand.watchers(101.0 + LATELY_S, {"source": 2}) == {}


async def test_requests_for_sound_are_no_demand_for_a_rung(with_rung):
    client = await with_rung.client()
    await client.get(f"/media/{BROADCAST}/audio/index.m3u8")
    assert with_rung.catalogue.watchers() == {}
