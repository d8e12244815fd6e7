"""Where tiles lie, which cues a window keeps, and WebVTT that reads back as it was written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.media.storyboard import Cue, Layout, StoryboardError, parse_vtt, render_vtt, rolled


def cue(start: int, end: int, uri: str = "s.jpg") -> Cue:
    return Cue(start, end, uri, 0, 0, 160, 90)


def test_tiles_fill_a_sheet_row_by_row() -> None:
    layout = Layout(160, 90)
    assert layout.tiles == 100
    assert layout.place(0) == (0, 0, 0)
    assert layout.place(9) == (0, 1440, 0)
    assert layout.place(10) == (0, 0, 90)
    assert layout.place(99) == (0, 1440, 810)
    assert layout.place(100) == (1, 0, 0)


@pytest.mark.parametrize(
    ("tiles", "size"), [(1, (160, 90)), (3, (480, 90)), (11, (1600, 180)), (100, (1600, 900)), (400, (1600, 900))]
)
def test_a_sheet_has_no_empty_rows(tiles: int, size: tuple[int, int]) -> None:
    assert Layout(160, 90).size(tiles) == size


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2000))
def test_no_two_tiles_overlap(columns: int, rows: int, index: int) -> None:
    layout = Layout(16, 8, columns, rows)
    sheet, x, y = layout.place(index)
    assert sheet * layout.tiles + y // 8 * columns + x // 16 == index
    assert 0 <= x < columns * 16 and 0 <= y < rows * 8
    within = index % layout.tiles + 1
    width, height = layout.size(within)
    assert x + 16 <= width and y + 8 <= height


def test_a_new_cue_ends_the_last_and_old_ones_leave() -> None:
    cues = rolled([cue(0, 10), cue(10, 20)], cue(25, 35), 1000)
    assert [(one.start_ms, one.end_ms) for one in cues] == [(0, 10), (10, 25), (25, 35)]
    assert [one.start_ms for one in rolled(cues, cue(35, 45), 20)] == [25, 35]
    assert [one.start_ms for one in rolled(cues, cue(10, 20), 1000)] == [0, 10], "time went back"


def test_the_text_of_a_storyboard() -> None:
    text = render_vtt([Cue(3_600_000, 3_610_500, "sheet-2.jpg?v=b-7", 160, 90, 160, 90)])
    assert text == (
        "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n\n"
        "01:00:00.000 --> 01:00:10.500\nsheet-2.jpg?v=b-7#xywh=160,90,160,90\n"
    )


_CUES = st.builds(
    Cue,
    *(st.integers(0, 10**11) for _ in range(2)),
    st.from_regex(r"[a-z0-9./?=_-]{1,30}", fullmatch=True),
    *(st.integers(0, 99_999) for _ in range(4)),
)


@given(st.lists(_CUES, max_size=5))
def test_what_is_written_reads_back(cues: list[Cue]) -> None:
    assert parse_vtt(render_vtt(cues)) == cues


@pytest.mark.parametrize(
    "text", ["", "x", "WEBVTT\n\nfoo", "WEBVTT\n\n00:00:00.000 --> 00:00:61.000\na#xywh=0,0,1,1",
             "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\na", "WEBVTT\n\n1\n00:00.000 --> 00:01.000\na#xywh=0,0,1,1"],
)  # fmt: skip
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(StoryboardError):
        parse_vtt(text)


@settings(max_examples=40)
@given(st.text(max_size=40))
def test_any_text_reads_or_is_refused(text: str) -> None:
    try:
        parse_vtt("WEBVTT\n\n" + text)
    except StoryboardError:
        return
