"""Further video tracks of which nothing comes for a while, with the source's pictures or alone."""

from itertools import pairwise

import pytest
from flv_source import Body, audio_config, media, picture, video_config

from appliance.contracts.media import AUDIO, SOURCE, VIDEO_TIMESCALE, ChunkFlag, ChunkHeader
from edge.ingest.packager import Packager, PackagerConfig
from edge.ingest.rendition import Append
from edge.protocols.flv import TagKind, video_tag
from edge.protocols.fmp4 import read_fragments
from tests.media_tools.bodies import interleaved
from tests.unit.ingest.test_ingest_absence import headers, late, run

SMALL = bytes.fromhex("0142c01effe100196742c01ed900a02ff970110000030001000003003c0f162e4801000568cb83cb20")
NAME = "360p"


def track(seconds: float, *, gop: int) -> list[Body]:
    out = [Body(True, 0, video_tag("avc1", TagKind.CONFIG, key=True, track=1, data=SMALL))]
    for index in range(round(seconds * 30)):
        key = index % gop == 0
        body = picture(index, key=key, stamp=index * 1000 // 30)
        out.append(body._replace(body=video_tag("avc1", TagKind.FRAME, key=key, track=1, data=body.body[5:])))
    return out


def both(seconds: float, *, gop: int = 60) -> tuple[list[Body], list[Body], list[Body]]:
    """The source and sound, and the further track; then their configurations."""
    small = track(seconds, gop=gop)
    return media(seconds, gop=gop), small[1:], [video_config(), small[0], audio_config()]


def stopped(bodies: list[Body], begin_ms: int, end_ms: int) -> list[Body]:
    return [one for one in bodies if not (one.is_video and begin_ms <= one.stamp < end_ms)]


def mixed(*streams: list[Body]) -> list[Body]:
    return sorted((body for stream in streams for body in stream), key=lambda one: one.stamp)


def frames(appends: list[Append], name: str) -> list[int]:
    return [
        int.from_bytes(bytes(sample.data[-44:-40]), "big")
        for append in appends
        if append.rendition == name
        for part in read_fragments(append.data)
        for sample in part.samples
    ]


def missing(appends: list[Append], name: str = NAME) -> list[ChunkHeader]:
    return [one for one in headers(appends, name) if one.flags & ChunkFlag.GAP]


def assert_whole(appends: list[Append]) -> None:
    """Both go on without a hole, in the same segments."""
    starts: dict[str, dict[int, float]] = {}
    for name in (SOURCE, NAME):
        found = headers(appends, name)
        for before, after in pairwise(found):
            assert before.dts + before.duration == after.dts
            assert before.msn <= after.msn <= before.msn + 1
            assert before.serial <= after.serial <= before.serial + 1
        assert all(one.duration <= 0.35 * VIDEO_TIMESCALE for one in missing(appends, name))
        flags: dict[int, set[bool]] = {}
        for one in found:
            if one.duration:
                flags.setdefault(one.serial, set()).add(bool(one.flags & ChunkFlag.GAP))
        assert all(len(kinds) == 1 for kinds in flags.values()), "a part is missing or it is not"
        starts[name] = {msn: min(one.dts for one in found if one.msn == msn) for msn in {one.msn for one in found}}
    assert starts[SOURCE].keys() == starts[NAME].keys()
    assert all(abs(at - starts[NAME][msn]) <= 0.18 * VIDEO_TIMESCALE for msn, at in starts[SOURCE].items())


@pytest.mark.parametrize(("gop", "end_ms"), [(60, 10_000), (60, 8_500), (300, 8_500), (60, 30_000)])
def test_a_track_goes_on_in_gaps_with_the_source(gop: int, end_ms: int) -> None:
    source, small, configs = both(end_ms / 1000 + 4, gop=gop)
    out = run([*configs, *mixed(stopped(source, 5_000, end_ms), stopped(small, 5_000, end_ms))])
    assert_whole(out)
    back = end_ms * 30 // 1000
    assert frames(out, NAME) == frames(out, SOURCE) == [*range(150), *range(back, back + 120)]
    assert missing(out)[0].dts == missing(out, SOURCE)[0].dts == 7 * VIDEO_TIMESCALE - VIDEO_TIMESCALE
    assert sum(one.duration for one in missing(out)) == (end_ms - 5_000) * 90
    assert {one.msn for one in missing(out)} == {one.msn for one in missing(out, SOURCE)}


def test_gaps_of_a_track_come_when_those_of_the_source_do() -> None:
    source, small, configs = both(20)
    packager = Packager(PackagerConfig())
    came: dict[str, list[int]] = {SOURCE: [], NAME: []}
    for body in [*configs, *mixed(stopped(source, 5_000, 60_000), stopped(small, 5_000, 60_000))]:
        take = packager.video if body.is_video else packager.audio
        for append in take(body.stamp, body.body, now_us=1_700_000_000_000_000 + body.stamp * 1000):
            if append.rendition != AUDIO and append.header.flags & ChunkFlag.GAP:
                came[append.rendition].append(body.stamp)
    assert came[SOURCE] == came[NAME]
    assert came[SOURCE][0] < 6_000


@pytest.mark.parametrize("end_ms", [10_000, 8_500, 5_500])
def test_a_track_that_stops_alone_goes_on_in_gaps(end_ms: int) -> None:
    """As a browser does that sends no more than its line takes."""
    source, small, configs = both(end_ms / 1000 + 4)
    out = run([*configs, *mixed(source, stopped(small, 5_000, end_ms))])
    assert_whole(out)
    count = round(30 * (end_ms / 1000 + 4))
    assert frames(out, SOURCE) == list(range(count))
    shown = frames(out, NAME)
    assert shown == [*range(150), *range(count - len(shown) + 150, count)]
    assert len(shown) >= 150 + 120 - 60, "after the next key frame at the latest"
    assert missing(out, SOURCE) == []
    assert bool(missing(out)) == (end_ms > 6_000)


def test_a_track_goes_on_while_the_source_has_no_pictures() -> None:
    source, small, configs = both(14)
    out = run([*configs, *mixed(stopped(source, 5_000, 9_000), small)])
    assert frames(out, NAME) == list(range(420))
    assert missing(out) == []


def test_pictures_of_a_track_that_come_too_late_are_decoded() -> None:
    source, small, configs = both(14, gop=300)
    out = run([*configs, *late(mixed(source, small), (5_000, 7_000))])
    assert_whole(out)
    assert frames(out, NAME) == list(range(420))
    assert missing(out)


def test_tracks_that_are_whole_have_no_gaps() -> None:
    source, small, configs = both(14)
    assert missing(run([*configs, *interleaved(source, small)])) == []
