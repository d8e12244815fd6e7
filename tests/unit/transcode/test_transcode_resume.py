"""Where a rung continues, from the header of its newest chunk."""

import pytest

from appliance.contracts.media import ChunkFlag, ChunkHeader
from edge.transcode.resume import RungPosition

PART_END = ChunkFlag.LAST_OF_PART
SEGMENT_END = ChunkFlag.LAST_OF_PART | ChunkFlag.LAST_OF_SEGMENT


def position(flags: ChunkFlag, *, part: int = 3, chunk: int = 0) -> RungPosition:
    return RungPosition(ChunkHeader(1, 7, part, chunk, 45, flags, 90_000, 30_000, 0, 0), 812, 700)


def test_nothing_in_the_log_starts_from_the_beginning() -> None:
    fresh = RungPosition(None, 0, 0)
    assert (fresh.first_msn, fresh.end_dts, fresh.first_serial(4)) == (0, -1, 0)
    assert not fresh.is_published(0, 0, 0)


def test_an_open_segment_is_worked_on_again_from_its_start() -> None:
    within = position(PART_END)
    assert within.first_msn == 7
    assert within.end_dts == 120_000
    assert within.first_serial(7) == 42, "serial of part 0 of the segment"


def test_a_closed_segment_is_left_behind() -> None:
    closed = position(SEGMENT_END, chunk=1)
    assert closed.first_msn == 8
    assert closed.first_serial(8) == 46


def test_a_gap_segment_uses_up_no_serial_but_a_gap_part_does() -> None:
    assert position(SEGMENT_END | ChunkFlag.GAP, part=0).first_serial(8) == 45
    assert position(SEGMENT_END | ChunkFlag.GAP).first_serial(8) == 46
    assert position(PART_END | ChunkFlag.GAP).first_serial(7) == 42


def test_a_long_last_frame_does_not_hide_the_first_one_of_the_next_segment() -> None:
    within = position(PART_END)
    assert within.has_frame(7, 119_999)
    assert not within.has_frame(7, 120_000)
    assert not within.has_frame(8, 119_999)
    assert not RungPosition(None, 0, 0).has_frame(0, 0)


@pytest.mark.parametrize(
    ("place", "published"),
    [
        ((7, 3, 0), True),
        ((7, 2, 5), True),
        ((6, 9, 9), True),
        ((7, 3, 1), False),
        ((7, 4, 0), False),
        ((8, 0, 0), False),
    ],
)
def test_what_the_log_has(place: tuple[int, int, int], published: bool) -> None:
    assert position(PART_END).is_published(*place) is published
