"""Windows that reach back into the spool, their long playlists, and the requests for what is only on disk."""

import asyncio
import dataclasses
import gzip

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from origin_fakes import BROADCAST, START_US, Chunks, broadcast, put_broadcast, put_rendition, rendition

from appliance.contracts.media import BroadcastState, ChunkFlag, ChunkHeader
from appliance.contracts.moments import Moment, MomentKind
from appliance.contracts.spool import INDEX, SegmentFlag, SpooledSegment, volume_name
from edge.origin import playlists
from edge.origin.archive import Followed
from edge.origin.metrics import Tally
from edge.origin.part_store import PartStore, RenditionStore
from edge.origin.playlist_answers import Kind, PlaylistAnswers
from edge.origin.playlists import Face, media_playlist
from edge.origin.settled import SettledLines
from edge.origin.stored import Discontinuities, WindowRules
from edge.origin.window import RenditionWindow
from edge.protocols.fmp4 import Sample, fragment, key_frame_end, read_fragments
from edge.protocols.hls import media_parser
from edge.protocols.hls.media import delta, length_us, merge, render
from edge.protocols.hls.reload import WHOLE, Position

RULES = WindowRules(target_duration_s=2, window_s=12.0, min_segments=6, rewind_s=600.0, part_target_s=2.0)


def place(msn, *, flags=SegmentFlag.NONE, dsn=-1, init=0, key_size=7):
    return SpooledSegment(
        msn,
        init,
        4 * (msn + 1),
        2000,
        START_US + 2_000_000 * msn,
        dsn,
        flags,
        msn // 32,
        100 * (msn % 32),
        100,
        key_size,
    )


def places(count, first=0):
    return [place(msn) for msn in range(first, first + count)]


def window(**changes):
    return RenditionWindow(1000, dataclasses.replace(RULES, **changes), Discontinuities())


def feed(target, chunks, now=0.0):
    for header, data in chunks:
        target.accept(header, data, now)


def listed(target):
    return [segment.msn for segment in target.listed()]


def held(target):
    return [segment.msn for segment in target.in_memory()]


def test_what_leaves_memory_stays_listed_when_it_is_on_disk():
    target, chunks = window(), Chunks()
    for msn in range(20):
        feed(target, chunks.segment())
        target.locate([place(msn)], 0.0)
    assert listed(target) == list(range(20))
    assert held(target) == list(range(13, 20))
    assert target.bytes == sum(len(piece) for msn in held(target) for piece in target.segment(msn).body())
    assert target.segment(3).released
    assert target.part(4 * 3) is None, "parts of old segments are not listed"


def test_a_recorder_that_is_late_gets_half_a_minute_more():
    target, chunks = window(), Chunks()
    for _ in range(21):
        feed(target, chunks.segment())
    assert listed(target) == list(range(21)), "42 s"
    for _ in range(5):
        feed(target, chunks.segment())
    assert listed(target) == list(range(5, 26)), "what is nowhere cannot be listed"


def test_without_a_recorder_the_window_is_as_short_as_memory():
    target, chunks = window(rewind_s=0.0), Chunks()
    for _ in range(20):
        feed(target, chunks.segment())
    assert listed(target) == list(range(13, 20))


def test_the_list_ends_where_the_rewinding_ends():
    target, chunks = window(rewind_s=40.0), Chunks()
    for msn in range(50):
        feed(target, chunks.segment())
        target.locate([place(msn)], 0.0)
    assert len(listed(target)) == 20
    assert target.segment(29).released, "it is served for a while"
    target.expire(42.1)
    assert target.segment(10) is None


def test_a_new_process_lists_what_the_one_before_listed():
    old, chunks = window(), Chunks()
    log = [chunks.segment() for _ in range(30)]
    for msn, one in enumerate(log):
        feed(old, one)
        old.locate([place(msn)], 0.0)
    new = window()
    new.recall(places(29))
    for one in log[-12:]:  # as far back as the log goes
        feed(new, one)
    feed(old, more := chunks.next_part())
    feed(new, more)
    mine, theirs = (media_playlist(one, broadcast(), {}) for one in (new, old))
    assert mine == theirs
    assert new.next_serial == old.next_serial == 30 * 4 + 1
    assert [msn for msn in held(new) if new.segment(msn) is not None] == held(old)[:-1]


def test_a_log_that_reaches_further_back_than_the_spool_begins_the_list():
    target, chunks = window(), Chunks(msn=20, chunks_per_part=2)
    target.recall(places(4, first=30))
    assert target.position == Position(33, WHOLE)
    feed(target, chunks.next_part()[:1])
    assert target.position is None, "nothing is listed: the first part is not finished"
    feed(target, chunks.segment())
    assert listed(target) == [20]


def test_what_the_recorder_does_not_have_is_a_gap_in_the_list():
    target = window()
    target.recall([*places(3), *places(3, first=5)])
    found = media_playlist(target, broadcast(), {})
    assert [(segment.uri, segment.gap) for segment in found.segments[3:5]] == [("s3.m4s", True), ("s4.m4s", True)]
    assert target.segment(3) is None


def test_what_the_spool_lost_is_no_longer_listed():
    target = window()
    target.recall(places(40))
    version = target.version
    assert target.forget_before(32, 0.0)
    assert target.version > version
    assert listed(target) == list(range(32, 40))
    assert not target.forget_before(32, 0.0)


def test_discontinuities_are_counted_from_the_spool():
    target = window()
    kept = places(10)
    kept[4] = place(4, flags=SegmentFlag.DISCONTINUITY, dsn=3, init=1)
    kept[3] = place(3, dsn=2)
    target.recall([*kept[:5], *(place(msn, init=1) for msn in range(5, 10))])
    found = media_playlist(target, broadcast(), {})
    assert found.discontinuity_sequence == 2
    assert [segment.discontinuity for segment in found.segments].index(True) == 4
    assert found.segments[4].map_uri == "i1.mp4"
    target.forget_before(5, 0.0)
    assert media_playlist(target, broadcast(), {}).discontinuity_sequence == 3


def test_memory_that_is_short_is_freed_without_shortening_the_list():
    store = RenditionStore("source", RULES, Discontinuities(), Tally())
    store.describe(rendition("source"), 0.0)
    target, chunks = store.window, Chunks(timescale=store.window.timescale)
    for msn in range(6):
        for header, data in chunks.segment():
            store.accept(header, data, 0.0)
        target.locate([place(msn)], 0.0)
    budget = PartStore(target.bytes - 1, Tally())
    budget.add(store)
    budget.enforce(0.0)
    assert listed(target) == list(range(6))
    assert held(target) == list(range(1, 6))


def answers(target, face, *, skip=False, packed=False):
    response = PlaylistAnswers(dict).get(target, broadcast(), Kind(face, skip, skip, packed))
    return b"".join(response.body)


@settings(max_examples=40)
@given(
    count=st.integers(1, 300), dropped=st.integers(0, 290), parts=st.integers(1, 4),
    changes=st.sets(st.integers(0, 299), max_size=4), gaps=st.sets(st.integers(0, 299), max_size=4),
)  # fmt: skip
def test_a_long_playlist_is_what_its_segments_say(count, dropped, parts, changes, gaps):
    target = window(rewind_s=6000.0)
    target.recall([
        place(msn, flags=SegmentFlag(msn in gaps), init=sum(one <= msn for one in changes))
        for msn in range(count)
    ])  # fmt: skip
    chunks = Chunks(msn=count)
    chunks.serial, chunks.dts = 4 * count, 2000 * count
    for _ in range(parts):
        feed(target, chunks.next_part())
    builder = PlaylistAnswers(dict)
    for first in (0, min(dropped, count - 1)):
        target.forget_before(first, 0.0)
        builder.forget()
        whole = media_playlist(target, broadcast(), {})
        text = b"".join(builder.get(target, broadcast(), Kind(Face.LIVE)).body)
        packed = b"".join(builder.get(target, broadcast(), Kind(Face.LIVE, gzip=True)).body)
        update = b"".join(builder.get(target, broadcast(), Kind(Face.LIVE, blocking=True, skip=True)).body)
        assert text == render(whole)
        assert gzip.decompress(packed) == text
        assert update == render(delta(whole))
        merged = merge(whole, media_parser.parse(update))
        assert length_us(merged) == length_us(whole)


def test_an_update_of_a_long_playlist_is_short():
    target = window(rewind_s=7200.0)
    target.recall(places(3600))
    assert len(answers(target, Face.LIVE)) > 200_000
    assert len(answers(target, Face.LIVE, packed=True)) < 40_000
    assert len(answers(target, Face.LIVE, skip=True)) < 2_000


def test_only_new_lines_of_a_long_playlist_are_rendered():
    rendered = []

    def line_of(window, segment, new_map):
        rendered.append(segment.msn)
        return playlists.settled_segment(window, segment, new_map)

    target, lines = window(rewind_s=7200.0), SettledLines(line_of)
    target.recall(places(300, first=10))
    for count, new in ((290, 290), (290, 0), (291, 301 - 256), (291, 0)):
        before = len(rendered)
        text = b"".join(piece.text for piece in lines.pieces(target, count))
        assert len(rendered) - before == new
        assert text.count(b"EXTINF") == count
    target.forget_before(64, 0.0)  # where a block begins, which names its map from now on
    text = b"".join(piece.text for piece in lines.pieces(target, 237))
    assert text.startswith(b'#EXT-X-MAP:URI="i0.mp4"')


def test_i_frames_are_the_beginnings_of_segments():
    target = window()
    target.recall([*places(2), place(2, key_size=0), place(3, flags=SegmentFlag.GAP)])
    found = media_parser.parse(answers(target, Face.I_FRAMES))
    assert found.i_frames_only
    assert found.part_target_us == 0
    assert [segment.uri for segment in found.segments] == ["k0.m4s", "k1.m4s", "k2.m4s", "k3.m4s"]
    assert [segment.gap for segment in found.segments] == [False, False, True, True]
    assert all(not segment.parts for segment in found.segments)
    assert found.target_duration_s == media_playlist(target, broadcast(), {}).target_duration_s


def test_the_classic_playlist_is_short_and_knows_nothing_of_parts():
    target, chunks = window(), Chunks()
    for msn in range(30):
        feed(target, chunks.segment())
        target.locate([place(msn)], 0.0)
    feed(target, chunks.next_part())
    text = answers(target, Face.CLASSIC).decode()
    assert not any(tag in text for tag in ("PART", "SERVER-CONTROL", "PRELOAD-HINT", "SKIP"))
    found = media_parser.parse(text.encode())
    assert found.media_sequence == found.media_sequence
    assert [segment.uri for segment in found.segments] == [f"s{msn}.m4s" for msn in held(target)[:-1]]
    assert found.segments[0].map_uri


def test_a_rung_without_key_frames_has_no_i_frames_to_offer():
    target = window()
    target.recall(places(4))
    sound = playlists.multivariant(broadcast(), [(rendition("audio"), target)])
    assert sound.i_frames == ()


def test_what_happened_is_in_every_playlist_that_begins_before_it():
    target = window()
    target.recall(places(20))
    head_ms = START_US // 1000
    moments = [
        Moment(moment_id=str(second), kind=MomentKind.MARKER, at_ms=head_ms + 1000 * second, text=f"at {second}")
        for second in (-1, 0, 30)
    ]
    builder = PlaylistAnswers(dict, lambda: moments)
    for face in (Face.LIVE, Face.I_FRAMES, Face.CLASSIC):
        text = b"".join(builder.get(target, broadcast(), Kind(face)).body)
        found = media_parser.parse(text).date_ranges
        assert [one.id for one in found] == (["30"] if face is Face.CLASSIC else ["0", "30"])
        assert (found[-1].class_name, found[-1].values) == ("nearcast.marker", (("X-TEXT", "at 30"),))
    update = b"".join(builder.get(target, broadcast(), Kind(Face.LIVE, blocking=True, skip=True)).body)
    assert [one.id for one in media_parser.parse(update).date_ranges] == ["0", "30"], "an update has all of them"
    kind = Kind(Face.LIVE, blocking=True, skip=True, skip_date_ranges=True)
    shorter = b"".join(builder.get(target, broadcast(), kind).body)
    assert [one.id for one in media_parser.parse(shorter).date_ranges] == ["30"]
    assert b"#EXT-X-VERSION:10\n" in shorter
    assert b',RECENTLY-REMOVED-DATERANGES="-1"\n' in shorter


async def test_of_an_index_that_became_shorter_only_new_lines_are_read(tmp_path, monkeypatch):
    folder = tmp_path / BROADCAST / "source"
    folder.mkdir(parents=True)
    followed, read, decode = Followed(tmp_path / BROADCAST), [], SpooledSegment.decode

    def noted(line):
        read.append(line)
        return decode(line)

    monkeypatch.setattr(SpooledSegment, "decode", noted)
    for first, end, new, lines in (
        (0, 300, 300, 302), (32, 310, 10, 12), (310, 320, 10, 12), (310, 320, 0, 2), (319, 320, 0, 2)
    ):  # fmt: skip
        fresh = folder / "fresh"
        fresh.write_text("".join(one.encode() for one in places(end - first, first)))
        fresh.replace(folder / INDEX)
        read.clear()
        found = (await followed.news())["source"]
        assert [one.msn for one in found.segments] == list(range(end - new, end))
        assert found.first_msn == first
        assert len(read) <= lines


# -- over HTTP


def spool(folder, count, name="source", first=0):
    """A spool with segments of a hundred bytes."""
    target = folder / BROADCAST / name
    target.mkdir(parents=True)
    kept = places(count, first)
    (target / INDEX).write_text("".join(one.encode() for one in kept))
    for volume in {one.volume for one in kept}:
        (target / volume_name(volume)).write_bytes(
            b"".join(bytes([one.msn]) * one.size for one in kept if one.volume == volume)
        )
    return target


async def playlist_of(client, name="source", file="index.m3u8"):
    answer = await client.get(f"/media/{BROADCAST}/{name}/{file}")
    assert answer.status == 200
    return media_parser.parse(answer.body)


@pytest.fixture
async def rewinding(make_origin, tmp_path):
    """A live channel of which ten segments are only on disk."""
    origin = await make_origin(spool=tmp_path, rewind_s=600.0)
    for name in ("source", "audio"):
        spool(tmp_path, 10, name)
    origin.go_live()
    for chunks in (origin.video, origin.audio):
        chunks.msn, chunks.serial, chunks.dts = 10, 40, 20_000
    origin.add_segments(2)
    origin.add_part()
    return origin


async def test_viewers_rewind_to_what_is_on_disk(rewinding):
    client = await rewinding.client()
    found = await playlist_of(client)
    assert [segment.uri for segment in found.segments[:12]] == [f"s{msn}.m4s" for msn in range(12)]
    answer = await client.get(f"/media/{BROADCAST}/source/s4.m4s")
    assert (answer.status, answer.body) == (200, b"\x04" * 100)
    assert answer.headers["content-type"] == "video/mp4"
    assert "immutable" in answer.headers["cache-control"]


async def test_ranges_of_what_is_on_disk(rewinding):
    client = await rewinding.client()
    url = f"/media/{BROADCAST}/source/s4.m4s"
    for _ in range(2):  # from the disk, then from memory
        answer = await client.get(url, Range="bytes=10-19")
        assert (answer.status, answer.body) == (206, b"\x04" * 10)
        assert answer.headers["content-range"] == "bytes 10-19/100"
        assert (await client.get(url, Range="bytes=100-")).status == 416


async def test_a_segment_that_cannot_be_read_is_not_found_and_counted(rewinding, tmp_path):
    client = await rewinding.client()
    await playlist_of(client)
    (tmp_path / BROADCAST / "source" / volume_name(0)).unlink()
    assert (await client.get(f"/media/{BROADCAST}/source/s4.m4s")).status == 404
    assert rewinding.tally.events["spool_unreadable"] == 1


async def test_equal_requests_wait_for_one_reading(rewinding):
    clients = [await rewinding.client() for _ in range(5)]
    await playlist_of(clients[0])
    url = f"/media/{BROADCAST}/source/s5.m4s"
    found = await asyncio.gather(*(client.get(url) for client in clients))
    assert [answer.body for answer in found] == [b"\x05" * 100] * 5


async def test_an_ended_broadcast_can_be_rewound_by_a_process_that_did_not_follow_it(make_origin, tmp_path):
    origin = await make_origin(spool=tmp_path, rewind_s=600.0)
    spool(tmp_path, 10)
    put_broadcast(origin.catalogue, broadcast(state=BroadcastState.ENDED))
    put_rendition(origin.catalogue, rendition("source"))
    found = await playlist_of(await origin.client())
    assert found.ended
    assert len(found.segments) == 10


async def test_without_a_spool_an_ended_broadcast_is_over(make_origin, tmp_path):
    origin = await make_origin(spool=tmp_path, rewind_s=600.0)
    put_broadcast(origin.catalogue, broadcast(state=BroadcastState.ENDED))
    put_rendition(origin.catalogue, rendition("source"))
    assert (await (await origin.client()).get(f"/media/{BROADCAST}/source/index.m3u8")).status == 410


async def test_classic_and_audio_presentations(rewinding):
    client = await rewinding.client()
    classic = (await client.get("/live/alice/classic.m3u8")).body.decode()
    assert f"/media/{BROADCAST}/source/classic.m3u8" in classic
    assert f"/media/{BROADCAST}/source/iframes.m3u8" in classic
    sound = (await client.get("/live/alice/audio.m3u8")).body.decode()
    assert "source" not in sound
    assert f"/media/{BROADCAST}/audio/index.m3u8" in sound
    assert "RESOLUTION" not in sound
    found = await playlist_of(client, file="classic.m3u8")
    assert found.server_control is None
    assert (await client.get(f"/media/{BROADCAST}/audio/iframes.m3u8")).status == 404
    assert (await client.get(f"/media/{BROADCAST}/source/audio.m3u8")).status == 404
    assert (await client.get("/live/alice/iframes.m3u8")).status == 404


async def test_a_broadcast_without_sound_has_no_audio_presentation(make_origin):
    origin = await make_origin()
    put_broadcast(origin.catalogue, broadcast(has_audio=False))
    put_rendition(origin.catalogue, rendition("source"))
    origin.add("source", origin.video.segment() + origin.video.next_part())
    assert (await (await origin.client()).get("/live/alice/audio.m3u8")).status == 404


async def test_i_frames_of_memory_and_disk_are_fragments_of_one_sample(make_origin, tmp_path):
    origin = await make_origin(spool=tmp_path, rewind_s=600.0)
    chunk = fragment(1, 1, 0, [Sample(0, 20, 5, True, b"picture"), Sample(20, 20, 0, False, b"another")])
    kept = spool(tmp_path, 1)
    end = key_frame_end(chunk)
    (kept / volume_name(0)).write_bytes(chunk)
    (kept / INDEX).write_text(msgspec.structs.replace(place(0), size=len(chunk), key_size=end).encode())
    origin.go_live()
    for msn in (1, 2):
        last = ChunkFlag.INDEPENDENT | ChunkFlag.LAST_OF_PART | ChunkFlag.LAST_OF_SEGMENT
        pdt_us = START_US + msn * 2_000_000
        origin.log.add("source", ChunkHeader(0, msn, 0, 0, 4 + msn, last, 2000 * msn, 2000, pdt_us, 0), chunk)
    client = await origin.client()
    assert [segment.gap for segment in (await playlist_of(client, file="iframes.m3u8")).segments] == [False] * 3
    for msn in (0, 1):
        answer = await client.get(f"/media/{BROADCAST}/source/k{msn}.m4s")
        assert answer.status == 200
        (found,) = read_fragments(answer.body)
        assert [(bytes(one.data), one.duration, one.cts, one.key) for one in found.samples] == [
            (b"picture", 2000, 5, True)
        ]
    assert (await client.get(f"/media/{BROADCAST}/source/k7.m4s")).status == 404


async def test_i_frame_playlists_are_held_until_the_segment_is_there(rewinding):
    client = await rewinding.client()
    assert (await playlist_of(client, file="iframes.m3u8")).segments[-1].uri == "k11.m4s"
    coming = asyncio.create_task(client.get(f"/media/{BROADCAST}/source/iframes.m3u8?_HLS_msn=12"))
    await asyncio.sleep(0.05)
    assert not coming.done()
    while rewinding.video.msn < 13:
        rewinding.add("source", rewinding.video.next_part(last=rewinding.video.part == 3))
    found = media_parser.parse((await coming).body)
    assert found.segments[-1].uri == "k12.m4s"


@pytest.mark.parametrize("captions", [True, False])
def test_captions_are_offered_once_they_came(captions: bool) -> None:
    target = window()
    target.recall(places(4))
    record = msgspec.structs.replace(broadcast(), has_video=True, has_captions=captions)
    offered = playlists.multivariant(record, [(rendition("source"), target)])
    assert offered.variants
    assert offered.captions is captions


def test_the_measured_frame_rate_is_told_where_pictures_do_not_tell_theirs() -> None:
    target = window()
    target.recall(places(4))
    source = rendition("source")
    (init,) = source.inits
    silent = msgspec.structs.replace(init, video=msgspec.structs.replace(init.video, frame_rate=(0, 1)))
    record = msgspec.structs.replace(source, inits=[silent], frame_rate=(30, 1))
    rung = msgspec.structs.replace(record, name="360p", frame_rate=(0, 1))
    both = broadcast(ladder=["source", "360p"])
    offered = playlists.multivariant(both, [(record, target), (rung, target)])
    assert [one.frame_rate_milli for one in offered.variants] == [30_000, 30_000]
    unknown = playlists.multivariant(both, [(rung, target)])
    assert [one.frame_rate_milli for one in unknown.variants] == [0]
