"""Chunks put together to segments for the spool."""

from hypothesis import given
from hypothesis import strategies as st
from recorder_chunks import chunk, finished, gap, picture, segment

from appliance.contracts.media import ChunkFlag
from appliance.contracts.spool import SegmentFlag
from edge.recorder.assembler import SegmentAssembler


def accept(assembler, chunks):
    return [one for header, data in chunks for one in assembler.accept(header, data)]


def test_a_segment_is_its_chunks_in_order():
    (found,) = finished(7)
    assert b"".join(found.pieces) == b"<7.0.0><7.1.0>"
    assert (found.msn, found.ticks, found.size, found.next_serial) == (7, 2000, 14, 16)
    assert found.flags == SegmentFlag.NONE


def test_what_the_log_repeats_is_ignored():
    chunks = segment(1) + segment(1) + segment(2) + segment(1)
    assert [one.msn for one in accept(SegmentAssembler(), chunks)] == [1, 2]


def test_nothing_is_wanted_up_to_what_is_kept():
    assert [one.msn for one in accept(SegmentAssembler(after=2), segment(1) + segment(2) + segment(3))] == [3]


def test_a_segment_whose_beginning_was_not_seen_is_left_out():
    assert [one.msn for one in accept(SegmentAssembler(), segment(1)[1:] + segment(2))] == [2]


def test_a_segment_that_is_cut_off_ends_with_the_next_one():
    found = accept(SegmentAssembler(), segment(1)[:1] + segment(2))
    assert [(one.msn, one.ticks) for one in found] == [(1, 1000), (2, 2000)]


def test_the_last_segment_ends_with_its_broadcast():
    assembler = SegmentAssembler()
    assert accept(assembler, segment(1)[:1]) == []
    (found,) = assembler.finish()
    assert found.msn == 1
    assert assembler.finish() == []
    assert accept(assembler, segment(1)[1:]) == [], "it was finished"


def test_a_gap_has_no_bytes_and_uses_no_part():
    (found,) = accept(SegmentAssembler(), gap(3))
    assert (found.flags, found.size, found.next_serial, found.ticks) == (SegmentFlag.GAP, 0, 6, 1000)


def test_a_missing_part_makes_the_segment_holed():
    chunks = segment(1)
    chunks[0] = chunk(1, 0, 0, ChunkFlag.GAP | ChunkFlag.LAST_OF_PART, data=b"")
    (found,) = accept(SegmentAssembler(), chunks)
    assert found.flags == SegmentFlag.HOLED
    assert found.ticks == 2000


def test_discontinuities_are_kept_with_their_count():
    header, data = chunk(1, 0, 0, ChunkFlag.DISCONTINUITY | ChunkFlag.LAST_OF_SEGMENT, dsn=4)
    (found,) = SegmentAssembler().accept(header, data)
    assert (found.flags, found.dsn) == (SegmentFlag.DISCONTINUITY, 4)


def test_the_first_picture_of_a_segment_is_measured():
    data = picture(100)
    (found,) = SegmentAssembler().accept(*chunk(1, flags=ChunkFlag.LAST_OF_SEGMENT, data=data))
    assert data[found.key_size - 100 : found.key_size] == bytes(100)
    assert data[found.key_size :] == b"delta"


def test_a_segment_that_does_not_begin_with_a_key_frame_has_none():
    (found,) = SegmentAssembler().accept(*chunk(1, flags=ChunkFlag.LAST_OF_SEGMENT, data=picture(key=False)))
    assert found.key_size == 0


@given(st.permutations([one for msn in range(5) for one in segment(msn)]))
def test_any_order_gives_rising_numbers_and_never_a_byte_twice(chunks):
    found = accept(assembler := SegmentAssembler(), chunks) + assembler.finish()
    numbers = [one.msn for one in found]
    assert numbers == sorted(set(numbers))
    pieces = [piece for one in found for piece in one.pieces]
    assert len(pieces) == len(set(pieces))
