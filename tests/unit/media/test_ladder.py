"""Ladder and target duration."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.media.ladder import Contribution, SourceDescription, ladder_of, plan_ladder, rate_within, target_duration


def names(*args: object) -> list[str]:
    return [rung.name for rung in plan_ladder(*args)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "rungs"),
    [
        ((1920, 1080), [("720p", 1280, 720), ("480p", 854, 480), ("360p", 640, 360)]),
        ((1280, 720), [("480p", 854, 480), ("360p", 640, 360)]),
        ((606, 1078), [("480p", 480, 854), ("360p", 360, 640)]),
        ((854, 480), [("360p", 640, 360)]),
        ((2560, 1440), [("1080p", 1920, 1080), ("720p", 1280, 720), ("480p", 854, 480), ("360p", 640, 360)]),
        ((1920, 1088), [("720p", 1270, 720), ("480p", 848, 480), ("360p", 636, 360)]),
        ((1308, 736), [("480p", 854, 480), ("360p", 640, 360)]),
        ((7680, 4320), [("1080p", 1920, 1080), ("720p", 1280, 720), ("480p", 854, 480), ("360p", 640, 360)]),
        ((1, 1), []),
        ((640, 360), []),
        ((0, 0), []),
    ],
)
def test_sizes(source: tuple[int, int], rungs: list[tuple[str, int, int]]) -> None:
    assert [(rung.name, rung.width, rung.height) for rung in plan_ladder(*source)] == rungs


def test_anamorphic_source_becomes_square() -> None:
    rung = plan_ladder(1440, 1080, (30, 1), (4, 3))[0]
    assert (rung.width, rung.height) == (1280, 720)


def test_frame_rates() -> None:
    rates = {rung.name: rung.frame_rate for rung in plan_ladder(1920, 1080, (60000, 1001))}
    assert rates == {"720p": (60000, 1001), "480p": (30000, 1001), "360p": (30000, 1001)}
    assert {rung.frame_rate for rung in plan_ladder(1920, 1080, (30, 1))} == {(30, 1)}
    assert {rung.frame_rate for rung in plan_ladder(1920, 1080, (24, 1))} == {(24, 1)}
    fast = {rung.name: rung.frame_rate for rung in plan_ladder(1920, 1080, (240, 1))}
    assert fast == {"720p": (60, 1), "480p": (30, 1), "360p": (30, 1)}
    assert [rung.frame_rate for rung in plan_ladder(1280, 720, (0, 1))] == [(0, 1), (0, 1)]


HD = SourceDescription(width=1920, height=1080)
HEVC, AV1, VP9, VP8 = "hvc1.1.6.L120.B0", "av01.0.08M.08", "vp09.00.40.08", "vp08"


def described(**changes: object) -> SourceDescription:
    return msgspec.structs.replace(HD, **changes)


def test_a_playable_h264_source_is_its_own_top() -> None:
    ladder = ladder_of(described(codec="avc1.64002a"))
    assert ladder.names == ["source", "720p", "480p", "360p"]
    assert [rung.name for rung in ladder.rungs] == ["720p", "480p", "360p"]


@pytest.mark.parametrize("codec", [HEVC, AV1, VP9])
def test_other_codecs_stay_listed_and_get_an_h264_top(codec: str) -> None:
    ladder = ladder_of(described(codec=codec))
    assert ladder.names == ["source", "1080p", "720p", "480p", "360p"]
    top = ladder.rungs[0]
    assert (top.width, top.height, top.bit_rate) == (1920, 1080, 6_000_000)


@pytest.mark.parametrize(
    "source",
    [described(codec=VP8), described(playable=False), described(codec="x.1"), described(codec="avc1.7A0028")],
)
def test_what_players_cannot_show_is_not_listed(source: SourceDescription) -> None:
    assert ladder_of(source).names == ["1080p", "720p", "480p", "360p"]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((3840, 2160), [("1080p", 6_000_000), ("720p", 3_000_000), ("480p", 1_500_000), ("360p", 800_000)]),
        ((1600, 900), [("900p", 4_500_000), ("720p", 3_000_000), ("480p", 1_500_000), ("360p", 800_000)]),
        ((1296, 730), [("730p", 3_083_333), ("480p", 1_500_000), ("360p", 800_000)]),
        ((1280, 720), [("720p", 3_000_000), ("480p", 1_500_000), ("360p", 800_000)]),
        ((640, 360), [("360p", 800_000)]),
        ((426, 240), [("240p", 533_333)]),
        ((1080, 1920), [("1080p", 6_000_000), ("720p", 3_000_000), ("480p", 1_500_000), ("360p", 800_000)]),
        ((2, 2), [("2p", 100_000)]),
    ],
)
def test_the_own_size_of_a_source_that_must_be_transcoded(
    size: tuple[int, int], expected: list[tuple[str, int]]
) -> None:
    rungs = ladder_of(described(width=size[0], height=size[1], codec=HEVC)).rungs
    assert [(rung.name, rung.bit_rate) for rung in rungs] == expected
    assert all(rung.width <= size[0] and rung.height <= size[1] for rung in rungs)


def test_contributed_renditions_replace_rungs_of_their_height() -> None:
    given = (Contribution("mid", 700), Contribution("low", 300))
    ladder = ladder_of(described(contributed=given))
    assert ladder.names == ["source", "mid", "480p", "360p", "low"]
    assert [rung.name for rung in ladder.rungs] == ["480p", "360p"]


def test_a_contributed_rendition_of_another_codec_replaces_nothing() -> None:
    ladder = ladder_of(described(codec=HEVC, contributed=(Contribution("mid", 720, HEVC),)))
    assert [rung.name for rung in ladder.rungs] == ["1080p", "720p", "480p", "360p"]
    assert ladder.names == ["source", "1080p", "720p", "mid", "480p", "360p"]


def test_a_rung_beside_a_contributed_rendition_has_a_name_of_its_own() -> None:
    given = (Contribution("720p", 720, HEVC), Contribution("480p", 480, HEVC))
    ladder = ladder_of(described(codec=HEVC, contributed=given))
    assert ladder.names == ["source", "1080p", "720pr", "720p", "480pr", "480p", "360p"]
    assert [rung.name for rung in ladder.rungs] == ["1080p", "720pr", "480pr", "360p"]
    assert ladder.rungs[1].height == 720
    later = ladder_of(described(taken=("720p",)))
    assert later.names == ["source", "720pr", "480p", "360p"]


def test_a_contributed_rendition_serves_those_who_cannot_play_the_source() -> None:
    ladder = ladder_of(described(codec=VP8, contributed=(Contribution("own", 1080),)))
    assert ladder.names == ["own", "720p", "480p", "360p"]


def test_what_a_channel_is_given() -> None:
    more = ladder_of(HD, wanted=("720p", "360p", "160p"))
    assert more.names == ["source", "720p", "360p", "160p"]
    assert (more.rungs[-1].width, more.rungs[-1].height, more.rungs[-1].bit_rate) == (284, 160, 250_000)
    assert ladder_of(HD, wanted=()).names == ["source"]
    assert ladder_of(described(codec=HEVC), wanted=()).names == ["source", "1080p"], "nobody is left without"


@pytest.mark.parametrize(
    ("codec", "bit_rate", "rates"),
    [
        pytest.param("avc1.64001f", 6_000_000, {"480p": 1_500_000, "360p": 800_000}, id="as usual"),
        pytest.param("avc1.64001f", 0, {"480p": 1_500_000, "360p": 800_000}, id="unknown"),
        pytest.param("avc1.64001f", 900_000, {"480p": 720_000, "360p": 540_000}, id="less than a rung usually has"),
        pytest.param("avc1.64001f", 40_000, {"480p": 500_000, "360p": 266_666}, id="hardly true"),
        pytest.param(HEVC, 900_000, {"720p": 1_800_000, "480p": 1_440_000, "360p": 800_000}, id="a better codec"),
    ],
)
def test_no_rung_is_larger_than_what_it_is_made_of(codec: str, bit_rate: int, rates: dict[str, int]) -> None:
    source = described(codec=codec, width=1280, height=720)
    assert {rung.name: rate_within(rung, source, bit_rate) for rung in ladder_of(source).rungs} == rates


def test_without_a_transcoder() -> None:
    given = (Contribution("mid", 720),)
    assert ladder_of(described(contributed=given), transcoded=False) == (["source", "mid"], [])
    assert ladder_of(described(codec=VP8), transcoded=False).names == []


@given(
    st.builds(
        SourceDescription,
        width=st.integers(0, 8192),
        height=st.integers(0, 8192),
        frame_rate=st.tuples(st.integers(0, 240), st.integers(0, 1001)),
        sample_aspect=st.tuples(st.integers(0, 100), st.integers(0, 100)),
        codec=st.sampled_from(["avc1.64001f", HEVC, AV1, VP9, VP8, ""]),
        playable=st.booleans(),
    )
)
def test_any_source_has_a_sound_ladder(source: SourceDescription) -> None:
    ladder = ladder_of(source)
    assert len(set(ladder.names)) == len(ladder.names)
    assert {rung.name for rung in ladder.rungs} <= set(ladder.names)
    assert all(rung.width % 2 == rung.height % 2 == 0 for rung in ladder.rungs)
    assert all(min(rung.width, rung.height) <= 1080 for rung in ladder.rungs)
    assert all(rung.frame_rate[0] <= 61 * max(1, rung.frame_rate[1]) for rung in ladder.rungs)


@pytest.mark.parametrize(("gop", "target"), [(2.0, 4), (1.0, 3), (0.03, 2), (4.0, 6), (9.0, 10), (None, 10)])
def test_target_duration(gop: float | None, target: int) -> None:
    assert target_duration(gop, 2.0) == target
