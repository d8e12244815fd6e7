"""Windows and the byte budget over synthetic chunks."""

import dataclasses

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from origin_fakes import Chunks, broadcast, rendition

from appliance.contracts.media import ChunkFlag, ChunkHeader
from edge.origin.metrics import Tally
from edge.origin.part_store import PartStore, RenditionStore
from edge.origin.playlists import media_playlist
from edge.origin.stored import Discontinuities, WindowRules
from edge.origin.window import RenditionWindow
from edge.protocols.hls import media, media_parser
from edge.protocols.hls.reload import WHOLE, Position
from edge.protocols.hls.tags import MICRO

RULES = WindowRules(target_duration_s=2, part_target_s=0.35, window_s=12.0, min_segments=6)


def window(**changes):
    return RenditionWindow(1000, dataclasses.replace(RULES, **changes), Discontinuities())


def feed(target, chunks, now=0.0):
    return [target.accept(header, data, now) for header, data in chunks]


def counted(chunks, dsn):
    return [(msgspec.structs.replace(header, dsn=dsn), data) for header, data in chunks]


def playlist(target, **others):
    return media_playlist(target, broadcast(), others)


def test_parts_are_listed_when_their_last_chunk_is_there():
    target, chunks = window(), Chunks(part_ms=500, chunks_per_part=5)
    assert feed(target, chunks.next_part()) == [False] * 4 + [True]
    assert target.position == Position(0, 0)
    assert b"".join(target.part(0).chunks) == b"<0.0.0><0.0.1><0.0.2><0.0.3><0.0.4>"
    assert target.next_serial == 1


def test_an_open_part_is_hinted_and_not_served():
    target, chunks = window(), Chunks(chunks_per_part=5)
    feed(target, chunks.next_part())
    feed(target, chunks.next_part()[:3])
    assert target.part(1) is None
    assert playlist(target).hint_uri == "p1.m4s"


@pytest.mark.parametrize("closing", [False, True])
def test_late_extinf(closing):
    target, chunks = window(), Chunks(closing=closing)
    feed(target, chunks.segment())
    assert target.segment(0).body() == (b"<0.0.0>", b"<0.1.0>", b"<0.2.0>", b"<0.3.0>")
    found = playlist(target)
    assert found.segments[0].duration_us is None
    assert target.position == Position(0, 3)
    feed(target, chunks.next_part())
    found = playlist(target)
    assert [segment.duration_us for segment in found.segments] == [2 * MICRO, None]
    assert found.hint_uri == "p5.m4s"  # an empty closing chunk is no part


def test_an_empty_chunk_closes_the_open_part_too():
    target, chunks = window(), Chunks(chunks_per_part=2)
    feed(target, chunks.next_part())
    first, _ = chunks.next_part()
    feed(target, [first])
    last = ChunkHeader(0, 0, 1, 1, 1, ChunkFlag.LAST_OF_SEGMENT, 750, 0, 0, 0)
    assert target.accept(last, b"", 0.0)
    assert target.segments[-1].complete
    assert target.position == Position(0, 1)


def test_gap_segments_are_listed_at_once():
    target, chunks = window(), Chunks()
    feed(target, chunks.segment())
    assert feed(target, chunks.gap()) == [True]
    found = playlist(target)
    assert [(segment.gap, segment.duration_us) for segment in found.segments] == [
        (False, 2 * MICRO),
        (True, 2 * MICRO),
    ]
    assert target.position == Position(1, WHOLE)
    assert found.hint_uri == "p4.m4s"
    assert target.segment(1) is None
    feed(target, chunks.next_part())
    assert target.position == Position(2, 0)
    assert playlist(target).segments[2].parts[0].uri == "p4.m4s"


def test_discontinuity_new_map_and_sequence():
    target, chunks = window(), Chunks()
    for _ in range(2):
        feed(target, chunks.segment())
    chunks.init = 1
    for _ in range(9):
        feed(target, chunks.segment(flags=ChunkFlag.DISCONTINUITY if chunks.msn == 2 else 0))
    found = playlist(target)
    assert found.discontinuity_sequence == 1
    assert found.segments[0].map_uri == "i1.mp4"
    assert not any(segment.discontinuity for segment in found.segments)


def test_discontinuity_inside_the_window_is_shared_by_renditions():
    shared = Discontinuities()
    one, two = (RenditionWindow(1000, RULES, shared) for _ in range(2))
    first, second = Chunks(), Chunks(msn=1)
    feed(one, first.segment())
    first.init = 1
    feed(one, first.segment(flags=ChunkFlag.DISCONTINUITY))
    feed(two, second.segment() + second.segment())
    assert [segment.map_uri for segment in playlist(one).segments] == ["i0.mp4", "i1.mp4"]
    assert playlist(one).segments[1].discontinuity
    assert playlist(two).segments[0].discontinuity
    assert playlist(two).discontinuity_sequence == 0


def test_discontinuities_that_left_the_log_are_counted():
    """An origin that starts late says the same sequence as one that was there."""
    target, chunks = window(), Chunks(msn=100)
    for _ in range(3):
        feed(target, counted(chunks.segment(), 7))
    assert playlist(target).discontinuity_sequence == 7
    feed(target, counted(chunks.segment(flags=ChunkFlag.DISCONTINUITY), 8))
    assert playlist(target).discontinuity_sequence == 7
    for _ in range(9):
        feed(target, counted(chunks.segment(), 8))
    assert playlist(target).discontinuity_sequence == 8


def test_announced_discontinuities_are_the_same_in_every_rendition():
    """Said before the segment begins, by a rendition that reaches it last; counted once, whoever repeats it."""
    shared = Discontinuities()
    one, two = (RenditionWindow(1000, RULES, shared) for _ in range(2))
    first, second = Chunks(msn=5), Chunks(msn=5)
    feed(one, counted(first.segment(), 3))
    shared.announce(6)
    shared.announce(6)
    feed(one, counted(first.segment() + first.segment(), 3))
    second.init = 1
    feed(two, second.segment() + second.segment(flags=ChunkFlag.DISCONTINUITY) + second.segment())
    for target in (one, two):
        assert [segment.discontinuity for segment in playlist(target).segments][:2] == [False, True]
        assert playlist(target).discontinuity_sequence == 3
    for _ in range(9):
        feed(one, counted(first.segment(), 3))
    assert playlist(one).discontinuity_sequence == 4


def test_an_announced_discontinuity_outlives_the_log():
    shared = Discontinuities()
    shared.announce(40)
    target, chunks = RenditionWindow(1000, RULES, shared), Chunks(msn=100)
    for _ in range(3):
        feed(target, counted(chunks.segment(), 7))
    assert playlist(target).discontinuity_sequence == 8


def test_gap_parts_keep_the_times_and_make_the_segment_a_gap():
    target, chunks = window(), Chunks(part_ms=500)
    feed(target, chunks.segment())
    feed(target, chunks.next_part())
    msn, serial = chunks.msn, target.next_serial
    gap = ChunkFlag.GAP | ChunkFlag.LAST_OF_PART
    for part in (1, 2, 3):
        flags = gap | ChunkFlag.LAST_OF_SEGMENT if part == 3 else gap
        header = ChunkHeader(0, msn, part, 0, serial + part - 1, flags, 0, 500, 0, 0)
        assert target.accept(header, b"", 0.0)
    found = playlist(target).segments[-1]
    assert [part.gap for part in found.parts] == [False, True, True, True]
    assert not found.gap, "its line comes with the next segment"
    assert target.part(serial) is None
    assert playlist(target).hint_uri == f"p{serial + 3}.m4s"
    assert target.position == Position(msn, 3)
    target.accept(ChunkHeader(0, msn + 1, 0, 0, serial + 3, ChunkFlag.LAST_OF_PART, 0, 500, 0, 0), b"x", 0.0)
    whole = playlist(target).segments[-2]
    assert (whole.gap, whole.duration_us, whole.uri) == (True, 4 * 500_000, f"s{msn}.m4s")
    assert target.segment(msn) is None
    assert target.segment(msn - 1) is not None


def test_repeated_chunks_are_ignored():
    target, chunks = window(), Chunks()
    said = chunks.segment()
    feed(target, said)
    before, size = media.render(playlist(target)), target.bytes
    feed(target, said)
    assert (media.render(playlist(target)), target.bytes) == (before, size)
    assert target.repeated == 4


def test_begins_with_the_first_whole_segment():
    target, chunks = window(), Chunks(msn=7)
    feed(target, chunks.segment()[2:])
    assert target.position is None
    feed(target, chunks.segment())
    assert playlist(target).media_sequence == 8


def test_window_length_and_retention():
    target, chunks = window(), Chunks()
    for index in range(12):
        feed(target, chunks.segment(), now=2.0 * index)
    found = playlist(target)
    assert found.media_sequence > 0
    assert 12 * MICRO <= media.length_us(found) <= 16 * MICRO
    gone = found.media_sequence - 1
    assert target.segment(gone) is not None  # retired, still served
    assert target.part(gone * 4) is not None
    target.expire(100.0)
    assert target.segment(gone) is None
    assert target.part(gone * 4) is None
    assert len([one for one in found.segments if one.parts]) <= 4  # 3 x TD of parts


def test_six_segments_whatever_the_window_says():
    target, chunks = window(window_s=1.0), Chunks()
    for _ in range(12):
        feed(target, chunks.segment())
    assert len([one for one in playlist(target).segments if one.duration_us]) >= 6


def test_missing_numbers_become_gaps():
    target, chunks = window(), Chunks()
    feed(target, chunks.segment())
    chunks.segment()
    chunks.segment()
    feed(target, chunks.segment())
    found = playlist(target)
    assert [segment.gap for segment in found.segments] == [False, True, True, False]
    assert target.filled == 2


def test_a_long_hole_starts_anew():
    target, chunks = window(), Chunks()
    feed(target, chunks.segment())
    chunks.msn += 500
    feed(target, chunks.segment())
    assert playlist(target).media_sequence == 501
    assert target.part(0) is None


def test_end_finishes_what_was_begun():
    target, chunks = window(), Chunks(chunks_per_part=2)
    feed(target, chunks.segment())
    feed(target, chunks.next_part())
    feed(target, chunks.next_part()[:1])
    target.end()
    found = playlist(target)
    assert found.ended
    assert [segment.duration_us for segment in found.segments] == [2 * MICRO, MICRO // 2]
    assert media_parser.parse(media.render(found)) == found


def store(tally, name="source", record=True):
    made = RenditionStore(name, RULES, Discontinuities(), tally)
    if record:
        made.describe(rendition(name), 0.0)
    return made


def test_chunks_wait_for_their_record_and_init():
    tally = Tally()
    one, chunks = store(tally, record=False), Chunks()
    for header, data in chunks.segment():
        assert not one.accept(header, data, 0.0)
    assert one.describe(rendition("source"), 0.0)
    chunks.init = 1
    for header, data in chunks.segment():
        assert not one.accept(header, data, 0.0)
    assert one.describe(rendition("source", inits=2), 0.0)
    assert one.window.position == Position(1, 3)


def test_a_record_announces_discontinuities():
    shared = Discontinuities()
    target = RenditionStore("720p", RULES, shared, Tally())
    record = rendition("720p")
    init = msgspec.structs.replace(record.inits[0], init=1, from_msn=9)
    target.describe(msgspec.structs.replace(record, inits=[*record.inits, init]), 0.0)
    assert 9 in shared
    assert (shared.before(9), shared.before(10)) == (0, 1)


def test_pending_chunks_are_bounded():
    tally = Tally()
    one = store(tally, record=False)
    for index in range(600):
        one.accept(ChunkHeader(0, index, 0, 0, index, ChunkFlag(3), 0, 1, 0, 0), b"x", 0.0)
    assert tally.events["pending_dropped"] == 600 - 512


def test_budget_evicts_the_oldest_and_counts():
    tally = Tally()
    budget = PartStore(200, tally)
    old, young = store(tally, "source"), store(tally, "audio")
    budget.add(old)
    budget.add(young)
    first, second = Chunks(), Chunks()
    second.dts = 4000
    for _ in range(5):
        for target, chunks in ((old, first), (young, second)):
            for header, data in chunks.segment():
                target.accept(header, data, 0.0)
                budget.enforce(0.0)
    assert budget.held_bytes <= 200
    assert tally.events["evicted_segment"] > 0
    assert len(old.window.segments) >= 1
    assert old.window.segments[0].pdt_us >= young.window.segments[0].pdt_us - 4_000_000
    budget.remove([old, young])
    assert budget.held_bytes == 0


def test_a_gap_said_twice_is_one_segment():
    target = window()
    for chunk in range(2):
        target.accept(ChunkHeader(0, 1, 0, chunk, 0, ChunkFlag.GAP, 0, 90_000, 0, 0), b"", 0.0)
    assert [segment.msn for segment in target.segments] == [1]


def test_a_window_that_starts_anew_has_no_position_until_a_part_is_finished():
    target = window()
    target.accept(ChunkHeader(0, 1, 0, 0, 0, ChunkFlag.GAP, 0, 0, 0, 0), b"", 0.0)
    target.accept(ChunkHeader(0, 3, 0, 0, 0, ChunkFlag(0), 0, 0, 2_490_001, 0), b"xyz", 1.0)
    assert target.position is None


headers = st.builds(
    ChunkHeader,
    st.just(0),
    st.integers(0, 30),
    st.integers(0, 4),
    st.integers(0, 2),
    st.integers(0, 200),
    st.integers(0, 31).map(ChunkFlag),
    st.integers(0, 10**6),
    st.integers(0, 3000),
    st.integers(0, 10**15),
    st.integers(0, 3),
)


@given(st.lists(st.tuples(headers, st.sampled_from([b"", b"xyz"])), max_size=60))
def test_any_sequence_of_chunks_keeps_the_rules(said):
    target = window()
    edge, first = Position(-1, 0), 0
    for index, (header, data) in enumerate(said):
        target.accept(header, data, float(index))
        found = playlist(target)
        assert media_parser.parse(media.render(found)) == found
        position = target.position
        if position is not None:
            assert position >= edge
            assert found.media_sequence >= first
            edge, first = position, found.media_sequence
        held = sum(segment.size for segment in target.segments)
        assert target.bytes >= held
        msns = [segment.msn for segment in target.segments]
        assert msns == list(range(msns[0], msns[0] + len(msns))) if msns else True
