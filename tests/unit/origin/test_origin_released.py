"""What a window keeps of segments whose bytes are in the spool: a few numbers each, and nothing of it wrong."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from origin_fakes import START_US, broadcast

from appliance.contracts.errors import BadInputError
from appliance.contracts.media import ChunkFlag, ChunkHeader
from appliance.contracts.spool import SegmentFlag, SpooledSegment
from edge.origin.playlist_answers import Kind, PlaylistAnswers
from edge.origin.playlists import Face
from edge.origin.released import ReleasedSegments, RetiredSegments
from edge.origin.stored import Discontinuities, Place, StoredSegment, WindowRules
from edge.origin.window import RenditionWindow

_KEPT_AT_MOST = 180  # bytes of an old segment, its lines in the playlist included: 145 to 160, as lines compress
_WHOLE = ChunkFlag.INDEPENDENT | ChunkFlag.LAST_OF_PART | ChunkFlag.LAST_OF_SEGMENT

large, sizes = st.integers(0, (1 << 63) - 1), st.integers(0, (1 << 31) - 1)
segments = st.builds(
    StoredSegment,
    msn=st.just(0),
    init=large,
    pdt_us=st.integers(-(1 << 63), (1 << 63) - 1),
    discontinuity=st.booleans(),
    gap=st.booleans(),
    ticks=large,
    complete=st.just(True),
    holed=st.booleans(),
    released=st.just(True),
    place=st.none()
    | st.builds(
        Place,
        sizes,
        large,
        sizes,
        sizes,
    ),
)


@given(st.lists(st.tuples(st.sampled_from(["append", "pop", "popleft", "replace"]), segments, st.integers(1, 9))))
def test_a_queue_of_released_segments_gives_back_what_it_got(steps):
    packed, plain, msn = ReleasedSegments(), [], -1
    for what, segment, further in steps:
        if what == "append":
            segment.msn = msn = msn + further
            packed.append(segment)
            plain.append(segment)
        elif plain and what == "replace":
            index = further % len(plain)
            segment.msn = plain[index].msn
            packed.replace(segment)
            plain[index] = segment
        elif plain:
            assert getattr(packed, what)() == plain.pop(-1 if what == "pop" else 0)
    assert [packed[index] for index in range(len(packed))] == plain
    by_msn = {segment.msn: segment for segment in plain}
    assert all(packed.find(number) == by_msn.get(number) for number in range(-1, msn + 2))


def accept(window, msn):
    """A segment of one part, as the log says it."""
    now, pdt_us = 2.0 * msn, START_US + 2_000_000 * msn
    header = ChunkHeader(0, msn, 0, 0, msn, _WHOLE, 180_000 * msn, 180_000, pdt_us, 0, pdt_us, 0)
    window.accept(ChunkHeader.decode(header.encode()), bytes(500), now)


def line(msn):
    """Where it lies, as an index says it."""
    pdt_us = START_US + 2_000_000 * msn
    return SpooledSegment(msn, 0, msn + 1, 180_000, pdt_us, 0, SegmentFlag(0), msn // 32, 500 * msn, 500, 400)


def feed(window, start, end):
    """Segments of one part, and where they lie, as a log and an index say it."""
    for msn in range(start, end):
        accept(window, msn)
        window.locate([SpooledSegment.decode(line(msn).encode())], 2.0 * msn)
        window.expire(2.0 * msn)


def test_what_is_listed_no_more_leaves_memory_when_a_late_recorder_has_it():
    rules = WindowRules(target_duration_s=2, window_s=12.0, min_segments=6, rewind_s=600.0, part_target_s=2.0)
    window = RenditionWindow(90_000, rules, Discontinuities())
    for msn in range(26):
        accept(window, msn)
    retired = range(window.segments[0].msn)
    assert retired
    assert all(not window.segment(msn).released for msn in retired)
    window.locate([line(msn) for msn in range(26)], 52.0)
    assert window.bytes == 500 * len(window.segments.held)
    assert [window.segment(msn).place.offset for msn in retired if window.segment(msn).released] == [
        500 * msn for msn in retired
    ]
    window.expire(2_000.0)
    assert all(window.segment(msn) is None for msn in retired), "not served for longer than it would have been"


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 9)), max_size=40))
def test_retired_segments_go_in_order_wherever_they_lie(acts):
    retired, until, now = RetiredSegments(), {}, 0.0
    for msn, (adds, released, number) in enumerate(acts):
        if adds:
            segment = StoredSegment(msn, 0, 0, False, complete=True, released=released, place=Place(0, 0, 9, 0))
            retired.add(segment, now + number)
            until[msn] = max([now + number, *until.values()])
        elif released:
            retired.release(number)
        else:
            now += number
            retired.expire(now)
            until = {one: time for one, time in until.items() if time > now}
        assert len(retired._held) + len(retired._released) == len(until)
        assert all(retired.find_released(one.msn) is None for _, one in retired._held)


def test_an_old_segment_is_kept_in_few_bytes():
    rules = WindowRules(target_duration_s=2, window_s=12.0, min_segments=6, rewind_s=2000.0, part_target_s=2.0)
    window, answers = RenditionWindow(90_000, rules, Discontinuities()), PlaylistAnswers(dict)
    ends, kept = (100, 1000, 1900, 3500), []
    tracemalloc.start()
    try:
        for start, end in zip((0, *ends), ends, strict=False):
            feed(window, start, end)
            for packed in (False, True):
                answers.get(window, broadcast(), Kind(Face.LIVE, gzip=packed))
            answers.forget()
            kept.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert len(window.segments) == 1000
    assert kept[1] - kept[0] < 900 * _KEPT_AT_MOST, "listed"
    assert kept[2] - kept[1] < 900 * _KEPT_AT_MOST, "and served for as long again"
    assert kept[3] - kept[2] < 1600 * 20, "and then forgotten"


def test_a_number_that_no_spool_has_is_no_line_of_its_index():
    line = SpooledSegment(1, 0, 4, 2000, START_US, 0, SegmentFlag(0), 0, 100, 100, 7).encode().split()
    for index in range(len(line)):
        with pytest.raises(BadInputError):
            SpooledSegment.decode(" ".join([*line[:index], str(1 << 64), *line[index + 1 :]]))
