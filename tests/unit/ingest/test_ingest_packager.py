"""The packager: tracks, numbering, resume, problems."""

import itertools
from collections.abc import Iterable

import pytest
from flv_source import AVC_RECORD, OTHER_RECORD, Body, audio_config, broadcast, media, video_config
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.contracts.media import AUDIO, SOURCE, ChunkFlag, ChunkHeader, Init
from edge.ingest.packager import Packager, PackagerConfig
from edge.ingest.rendition import Append, ResumePoint
from edge.protocols.fmp4 import read_fragments

T0 = 1_700_000_000_000_000
CLOSING = ChunkFlag.LAST_OF_PART | ChunkFlag.LAST_OF_SEGMENT


def run(packager: Packager, bodies: Iterable[Body], start_us: int = T0, finish: bool = True) -> list[Append]:
    out, now_us, first = [], start_us, None
    for body in bodies:
        first = body.stamp if first is None else first
        now_us = start_us + (body.stamp - first) * 1000
        take = packager.video if body.is_video else packager.audio
        out += take(body.stamp, body.body, now_us=now_us)
    return out + packager.finish(now_us=now_us) if finish else out


def of(appends: list[Append], rendition: str) -> list[Append]:
    return [append for append in appends if append.rendition == rendition]


def frames(appends: list[Append]) -> list[int]:
    return [
        int.from_bytes(bytes(sample.data[-44:-40] if append.rendition == SOURCE else sample.data[:4]), "big")
        for append in appends
        for fragment in read_fragments(append.data)
        for sample in fragment.samples
    ]


def points(appends: list[Append], packager: Packager) -> dict[str, ResumePoint]:
    return {
        name: ResumePoint(of(appends, name)[-1].header, 1, output.timescale)
        for name, output in packager.renditions.items()
    }


def test_every_frame_once_in_equal_segments() -> None:
    packager = Packager(PackagerConfig())
    out = run(packager, broadcast(6))
    assert frames(of(out, SOURCE)) == list(range(180))
    assert frames(of(out, AUDIO)) == list(range(281))
    for name in (SOURCE, AUDIO):
        assert {append.header.msn for append in of(out, name)} == {0, 1, 2}
        assert of(out, name)[-1].header.flags & ChunkFlag.LAST_OF_SEGMENT
    assert packager.target_duration_s == 4
    assert packager.problems == {}
    assert packager.renditions[SOURCE].inits[0].video.codec == "avc1.42c01e"  # type: ignore[union-attr]


def test_headers_agree_with_the_fragments() -> None:
    out = run(Packager(PackagerConfig()), broadcast(4))
    for append in out:
        for fragment in read_fragments(append.data):
            assert fragment.base_dts == append.header.dts
            assert sum(sample.duration for sample in fragment.samples) == append.header.duration
    first = of(out, SOURCE)[0].header
    assert first.pdt_us == T0
    assert of(out, SOURCE)[-1].header.pdt_us == pytest.approx(T0 + 4_000_000, abs=1_000)
    assert abs(of(out, AUDIO)[0].header.pdt_us - T0) < 1_000


def test_video_only_and_audio_only() -> None:
    packager = Packager(PackagerConfig())
    out = run(packager, broadcast(4, audio=False))
    assert len(frames(of(out, SOURCE))) == 120
    assert list(packager.problems) == ["no_audio"]
    packager = Packager(PackagerConfig())
    out = run(packager, broadcast(5, video=False))
    assert len(frames(of(out, AUDIO))) == 234
    assert list(packager.problems) == ["no_video"]
    assert packager.target_duration_s == 3


def test_audio_that_comes_late_joins() -> None:
    packager = Packager(PackagerConfig())
    late = [body for body in media(8) if body.is_video or body.stamp > 3000]
    at = next(index for index, body in enumerate(late) if not body.is_video)
    out = run(packager, [video_config(), *late[:at], audio_config()._replace(stamp=3000), *late[at:]])
    assert packager.has_audio
    assert {append.header.msn for append in of(out, AUDIO)} == {2, 3}
    assert "no_audio" not in packager.problems


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"\x1e\0\0\0\0conf", "video_codec"), (b"\x90vvc1conf", "video_codec"), (b"\x12xx", "video_codec")],
)
def test_unsupported_codec_is_named(body: bytes, code: str) -> None:
    packager = Packager(PackagerConfig())
    run(packager, [Body(True, 0, body), *broadcast(3, video=False)])
    assert code in packager.problems
    assert packager.has_audio


def test_nothing_usable() -> None:
    packager = Packager(PackagerConfig())
    run(packager, [Body(True, stamp, b"\x91vvc1\0\0\0x") for stamp in range(0, 3000, 33)])
    assert packager.unusable
    assert "VVC" in packager.problems["video_codec"].text


def test_long_gop_is_announced_with_ten_and_cut_by_force() -> None:
    packager = Packager(PackagerConfig(repair=False))
    out = run(packager, broadcast(12, gop=100_000))
    assert packager.target_duration_s == 10
    assert "keyframe_interval" in packager.problems
    assert {append.header.msn for append in out} == {0, 1}


def test_new_configuration_is_a_discontinuity() -> None:
    packager = Packager(PackagerConfig())
    bodies = list(broadcast(4))
    bodies += [video_config(OTHER_RECORD)._replace(stamp=4000), *media(4, start_ms=4000)]
    out = run(packager, bodies)
    flagged = [append for append in out if append.header.flags & ChunkFlag.DISCONTINUITY]
    assert sorted((append.rendition, append.header.msn) for append in flagged) == [(AUDIO, 2), (SOURCE, 2)]
    assert {append.header.init for append in of(out, SOURCE) if append.header.msn >= 2} == {1}
    assert {append.header.init for append in of(out, SOURCE) if append.header.msn < 2} == {0}
    assert len(packager.renditions[SOURCE].inits) == 2
    for append in out:
        assert append.header.dsn == (1 if append.header.msn >= 2 else 0), append.header
    second = Packager(PackagerConfig(), epoch=2, resume=points(out, packager), target_duration_s=4)
    assert {append.header.dsn for append in run(second, [video_config(OTHER_RECORD), *media(2)])} == {1}


@pytest.mark.parametrize("clean", [True, False])
def test_resume_goes_on_behind_a_gap(clean: bool) -> None:
    first = Packager(PackagerConfig())
    before = run(first, broadcast(5), finish=clean)
    resume = points(before, first)
    inits = {name: output.inits for name, output in first.renditions.items()}
    second = Packager(PackagerConfig(), epoch=2, resume=resume, inits=inits, target_duration_s=4)
    after = run(second, broadcast(4, gop=60), start_us=T0 + 12_000_000)
    both = before + after
    for name in (SOURCE, AUDIO):
        headers = [append.header for append in of(both, name)]
        msns = [header.msn for header in headers]
        assert msns == sorted(msns)
        assert set(msns) == set(range(max(msns) + 1))
        scale = first.renditions[name].timescale
        for one, two in itertools.pairwise(headers):
            assert abs(two.dts - one.dts - one.duration) <= scale // 20
            assert two.serial - one.serial in (0, 1)
        gaps = [header for header in headers if header.flags & ChunkFlag.GAP]
        assert len(gaps) >= 3
        assert max(header.duration for header in gaps) <= 4 * scale
        ends_us = headers[-1].pdt_us + headers[-1].duration * 1_000_000 // scale
        assert ends_us == pytest.approx(T0 + 16_000_000, abs=100_000)
        assert not any(header.flags & ChunkFlag.DISCONTINUITY for header in headers)
    source_gaps = [a.header.msn for a in of(after, SOURCE) if a.header.flags & ChunkFlag.GAP]
    audio_gaps = [a.header.msn for a in of(after, AUDIO) if a.header.flags & ChunkFlag.GAP]
    assert set(source_gaps) <= set(audio_gaps)
    assert frames(of(after, SOURCE)) == list(range(120))


@pytest.mark.parametrize("after_ms", [0, 15, 60])
def test_a_publisher_that_takes_over_at_once_leaves_no_hole(after_ms: int) -> None:
    first = Packager(PackagerConfig())
    before = run(first, broadcast(5.02))
    ends_us = max(point.end_pdt_us for point in points(before, first).values())
    inits = {name: output.inits for name, output in first.renditions.items()}
    second = Packager(PackagerConfig(), epoch=2, resume=points(before, first), inits=inits, target_duration_s=4)
    after = run(second, broadcast(4), start_us=ends_us + after_ms * 1000)
    for name in (SOURCE, AUDIO):
        samples = [s for one in of(before + after, name) for part in read_fragments(one.data) for s in part.samples]
        assert all(abs(one.end - two.dts) <= 1 for one, two in itertools.pairwise(samples))
        headers = [one.header for one in of(before + after, name)]
        scale = first.renditions[name].timescale
        for one, two in itertools.pairwise(headers):
            assert abs(one.dts + one.duration - two.dts) <= 1
            assert abs(one.pdt_us + one.duration * 1_000_000 // scale - two.pdt_us) < 25_000
        assert not any(header.flags & ChunkFlag.GAP for header in headers)
    starts = [
        next(one.header.dts / first.renditions[name].timescale for one in of(after, name) if one.data)
        for name in (SOURCE, AUDIO)
    ]
    assert abs(starts[0] - starts[1]) < 0.05
    assert frames(of(after, SOURCE)) == list(range(120))


@pytest.mark.parametrize("sound_from_ms", [None, 2_500])
def test_a_publisher_that_returns_without_sound_is_silent(sound_from_ms: int | None) -> None:
    first = Packager(PackagerConfig())
    before = run(first, broadcast(5))
    inits = {name: output.inits for name, output in first.renditions.items()}
    second = Packager(PackagerConfig(), epoch=2, resume=points(before, first), inits=inits, target_duration_s=4)
    bodies = [video_config(), *media(7, audio=False)]
    if sound_from_ms is not None:
        bodies = [video_config(), *(one for one in media(7) if one.is_video or one.stamp >= sound_from_ms)]
        bodies.insert(next(at for at, one in enumerate(bodies) if one.stamp >= sound_from_ms), audio_config())
    after = run(second, bodies, start_us=T0 + 12_000_000)
    assert second.has_audio
    assert ("no_audio" in second.problems) == (sound_from_ms is None)
    msns = {name: {one.header.msn for one in of(after, name) if one.data} for name in (SOURCE, AUDIO)}
    assert msns[SOURCE] == msns[AUDIO]
    assert {one.header.init for one in of(after, AUDIO)} == {0}
    for one, two in itertools.pairwise(of(before + after, AUDIO)):
        assert abs(two.header.dts - one.header.dts - one.header.duration) <= 2_400
    heard = [sample for one in of(after, AUDIO) for part in read_fragments(one.data) for sample in part.samples]
    spoken = [int.from_bytes(bytes(one.data)[:4], "big") for one in heard if len(one.data) == 4]
    assert spoken == sorted(set(spoken))
    assert len(spoken) == (0 if sound_from_ms is None else 210)


@pytest.mark.parametrize("after_ms", [10, 60, 1_500])
@pytest.mark.parametrize("alone", [[0.1], [3.2], [5.3], [5.3, 4.1], [25.3]])
def test_pictures_that_come_back_to_sound_alone_begin_a_segment_with_it(alone: list[float], after_ms: int) -> None:
    """Sound alone is cut by its own clock, into more segments than the time makes of gaps."""
    out: list[Append] = []
    resume: dict[str, ResumePoint] = {}
    inits: dict[str, list[Init]] = {}
    ends_us = T0
    for epoch, seconds in enumerate([3.7, *alone, 4.0], 1):
        packager = Packager(PackagerConfig(), epoch=epoch, resume=resume, inits=inits, target_duration_s=4)
        pictures = epoch in (1, len(alone) + 2)
        after = run(packager, broadcast(seconds, video=pictures), start_us=ends_us + after_ms * 1000)
        out += after
        resume |= points(out, packager)
        inits |= {name: output.inits for name, output in packager.renditions.items()}
        ends_us = max(point.end_pdt_us for point in resume.values())
    starts: dict[str, ChunkHeader] = {}
    for name in (SOURCE, AUDIO):
        headers = [append.header for append in of(out, name)]
        scale = resume[name].timescale
        for one, two in itertools.pairwise(headers):
            assert two.dts - one.dts - one.duration <= scale // 20
            assert abs(one.pdt_us + one.duration * 1_000_000 // scale - two.pdt_us) < 100_000
            ended = bool(one.flags & ChunkFlag.LAST_OF_SEGMENT)
            assert two.msn == one.msn + ended, "nothing is added to a segment that is over"
        assert max(header.duration for header in headers) <= 2.01 * scale
        starts[name] = next(append.header for append in of(after, name) if append.data)
    assert starts[SOURCE].msn == starts[AUDIO].msn
    assert abs(starts[SOURCE].pdt_us - starts[AUDIO].pdt_us) < 100_000
    assert frames(of(after, SOURCE)) == list(range(120))
    heard = [sample for one in of(after, AUDIO) for part in read_fragments(one.data) for sample in part.samples]
    spoken = [int.from_bytes(bytes(one.data), "big") for one in heard if len(one.data) == 4]
    assert spoken == list(range(188))


def test_resume_with_another_configuration() -> None:
    first = Packager(PackagerConfig())
    before = run(first, broadcast(4))
    inits = {name: output.inits for name, output in first.renditions.items()}
    second = Packager(PackagerConfig(), epoch=2, resume=points(before, first), inits=inits)
    bodies = [video_config(OTHER_RECORD), *list(broadcast(4))[1:]]
    after = run(second, bodies, start_us=T0 + 6_000_000)
    real = next(append for append in of(after, SOURCE) if append.data)
    assert real.header.flags & ChunkFlag.DISCONTINUITY
    assert real.header.init == 1
    gap = next(append for append in of(after, SOURCE) if append.header.flags & ChunkFlag.GAP)
    assert gap.header.init == 0


def test_the_last_initialisation_segment_is_the_one_in_use_when_a_form_comes_back() -> None:
    there = list(broadcast(4))
    again = [
        body._replace(stamp=body.stamp + 4_000 * index)
        for index, record in enumerate((AVC_RECORD, OTHER_RECORD, AVC_RECORD))
        for body in (video_config(record), *there[2 if index else 1 :])
    ]
    packager = Packager(PackagerConfig())
    out = run(packager, again)
    inits = packager.renditions[SOURCE].inits
    assert [init.init for init in inits] == [0, 1, 2]
    assert inits[0].data == inits[2].data != inits[1].data
    assert [init for init, _ in itertools.groupby(one.header.init for one in of(out, SOURCE))] == [0, 1, 2]
    assert of(out, SOURCE)[-1].header.dsn == 2


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, (1 << 32) - 1), st.binary(max_size=60)), max_size=30))
def test_any_bodies(items: list[tuple[bool, int, bytes]]) -> None:
    packager = Packager(PackagerConfig())
    bodies = [*broadcast(0.2), *(Body(*item) for item in items)]
    run(packager, bodies)


def test_damaged_units_lose_nothing_else() -> None:
    packager = Packager(PackagerConfig())
    bodies = list(broadcast(4))
    bodies.insert(50, Body(True, bodies[50].stamp, b"\x27\1\0\0\0\xff\xff\xff\xff"))
    bodies.insert(60, Body(True, bodies[60].stamp, b"\x27"))
    out = run(packager, bodies)
    assert frames(of(out, SOURCE)) == list(range(120))
    assert packager.quirks == ["codec_not_readable", "flv_not_readable"]


def test_parts_of_picture_and_sound_end_together() -> None:
    packager = Packager(PackagerConfig(fine=False))
    ended: list[set[str]] = []
    for body in broadcast(6):
        take = packager.video if body.is_video else packager.audio
        out = take(body.stamp, body.body, now_us=T0 + body.stamp * 1000)
        if any(one.header.flags & ChunkFlag.LAST_OF_PART and one.data for one in out):
            ended.append({one.rendition for one in out})
    assert ended.count({SOURCE, AUDIO}) == 18, "six in each of three segments"
    assert ended.count({AUDIO}) <= 2, "the rest of a segment's sound comes with the next one's pictures"


def parts(appends: list[Append]) -> list[tuple[object, ...]]:
    """Each part with its place, name, times, what it ends, and its frames."""
    found: dict[tuple[str, int, int], list[Append]] = {}
    for append in appends:
        header = append.header
        found.setdefault((append.rendition, header.msn, header.part), []).append(append)
    return [
        (
            place,
            run[0].header.serial,
            run[0].header.dts,
            run[0].header.pdt_us,
            sum(one.header.duration for one in run),
            run[0].header.flags & ~CLOSING | run[-1].header.flags & CLOSING,
            frames(run),
        )
        for place, run in sorted(found.items())
    ]


@given(st.integers(0, 40), st.integers(0, 40))
@settings(max_examples=12, deadline=None)
def test_parts_are_the_same_however_fine_their_chunks_are(from_frame: int, frames_fine: int) -> None:
    bodies = list(broadcast(3))
    whole, fine, both = (Packager(PackagerConfig(fine=fine)) for fine in (False, True, False))
    expected = parts(run(whole, bodies))
    assert parts(run(fine, bodies)) == expected
    out: list[Append] = []
    for index, body in enumerate(bodies):
        take = both.video if body.is_video else both.audio
        is_fine = from_frame <= index < from_frame + frames_fine
        both.set_fine(pictures=is_fine, sound=is_fine)
        out += take(body.stamp, body.body, now_us=T0 + body.stamp * 1000)
    out += both.finish(now_us=T0 + bodies[-1].stamp * 1000)
    assert parts(out) == expected
