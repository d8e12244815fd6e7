"""Pictures that stop while the sound goes on, and come back: the log of every rendition stays whole."""

import itertools
from collections import defaultdict

import pytest
from flv_source import OTHER_RECORD, Body, audio_config, broadcast, picture, sound, video_config
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.contracts.media import AUDIO, SOURCE, VIDEO_TIMESCALE, ChunkFlag, ChunkHeader
from edge.ingest.packager import Packager, PackagerConfig
from edge.ingest.rendition import Append
from edge.protocols.fmp4 import Sample, read_fragments

T0 = 1_700_000_000_000_000
RATE = {SOURCE: VIDEO_TIMESCALE, AUDIO: 48_000}


def feed(packager: Packager, bodies: list[Body]) -> list[Append]:
    """As they come, each at the time of the latest stamp so far."""
    out: list[Append] = []
    arrived = 0
    for body in bodies:
        arrived = max(arrived, body.stamp)
        take = packager.video if body.is_video else packager.audio
        out += take(body.stamp, body.body, now_us=T0 + arrived * 1000)
    return out


def run(bodies: list[Body]) -> list[Append]:
    packager = Packager(PackagerConfig())
    return feed(packager, bodies) + packager.finish(now_us=T0 + 600_000_000)


def numbers(appends: list[Append], name: str) -> list[int]:
    data = [
        bytes(sample.data)
        for append in appends
        if append.rendition == name
        for piece in read_fragments(append.data)
        for sample in piece.samples
    ]
    return [int.from_bytes(one[-44:-40] if name == SOURCE else one[:4], "big") for one in data]


def headers(appends: list[Append], name: str) -> list[ChunkHeader]:
    return [append.header for append in appends if append.rendition == name]


def gaps(appends: list[Append]) -> list[tuple[float, float]]:
    """Where the source says that pictures are missing: seconds of stamps, what follows at once as one."""
    found: list[tuple[float, float]] = []
    for one in headers(appends, SOURCE):
        if one.flags & ChunkFlag.GAP:
            begin = one.dts / VIDEO_TIMESCALE - 1
            end = begin + one.duration / VIDEO_TIMESCALE
            if found and abs(found[-1][1] - begin) < 0.001:
                begin = found.pop()[0]
            found.append((begin, end))
    return found


def assert_whole(appends: list[Append]) -> None:
    """What every playlist promises, in both renditions."""
    starts: dict[str, dict[int, float]] = {}
    for name, rate in RATE.items():
        found = headers(appends, name)
        for before, after in itertools.pairwise(found):
            assert before.dts + before.duration == after.dts, "no hole in the time of the playlist"
            assert (before.msn, before.part, before.chunk) < (after.msn, after.part, after.chunk)
            assert after.msn <= before.msn + 1
            assert before.serial <= after.serial <= before.serial + 1
        parts: dict[int, int] = defaultdict(int)
        segments: dict[int, int] = defaultdict(int)
        flags: dict[int, set[bool]] = defaultdict(set)
        for one in found:
            parts[one.serial] += one.duration
            segments[one.msn] += one.duration
            if one.duration:
                flags[one.serial].add(bool(one.flags & ChunkFlag.GAP))
        missing = {one.serial for one in found if one.flags & ChunkFlag.GAP}
        assert all(ticks <= 0.35 * rate for serial, ticks in parts.items() if name == AUDIO or serial in missing)
        whole = [ticks for msn, ticks in segments.items() if msn < max(segments)]  # the last has what sound is left
        assert max(whole, default=0) < 4.5 * rate, "a duration is rounded when it is judged"
        assert all(len(kinds) == 1 for kinds in flags.values()), "a part is missing or it is not"
        starts[name] = {msn: min(h.dts for h in found if h.msn == msn) / rate for msn in segments}
    assert starts[SOURCE].keys() == starts[AUDIO].keys()
    for msn, at in starts[SOURCE].items():
        assert -0.001 <= starts[AUDIO][msn] - at < 0.024 + 0.1, "the same segments are the same time"
    for append in appends:
        if append.header.flags & ChunkFlag.GAP:
            assert append.rendition == SOURCE
            assert not append.data
            assert not append.header.flags & ChunkFlag.INDEPENDENT


def without_pictures(bodies: list[Body], begin_ms: int, end_ms: int, *, key: bool = True) -> list[Body]:
    """None between these stamps; the first one behind is a key frame, if `key`."""
    kept = [one for one in bodies if not (one.is_video and begin_ms <= one.stamp < end_ms)]
    if key:
        at = next((i for i, one in enumerate(kept) if one.is_video and one.stamp >= end_ms), None)
        if at is not None:
            number = int.from_bytes(kept[at].body[-44:-40], "big")
            kept[at] = picture(number, key=True, stamp=kept[at].stamp)
    return kept


@pytest.mark.parametrize("length_ms", [1_000, 3_000, 30_000])
def test_the_source_goes_on_in_gaps_while_only_sound_comes(length_ms: int) -> None:
    end_ms = 5_217 + length_ms
    out = run(without_pictures(list(broadcast(end_ms / 1000 + 6)), 5_217, end_ms))
    assert_whole(out)
    assert numbers(out, AUDIO) == list(range(round((end_ms / 1000 + 6) * 48_000 / 1024)))
    ((begin, end),) = gaps(out)
    shown = numbers(out, SOURCE)
    missing = next(two for one, two in itertools.pairwise(shown) if two != one + 1)
    assert shown == [*range(157), *range(missing, len(shown) - 157 + missing)]
    assert begin == pytest.approx(157 / 30, abs=0.002)
    assert end == pytest.approx(missing / 30, abs=0.002), "up to the first picture that came back"
    first = next(
        one for one in headers(out, SOURCE) if one.dts / VIDEO_TIMESCALE - 1 > end - 0.001 and one.duration
    )
    assert (first.part, first.chunk) == (0, 0)
    assert first.flags & ChunkFlag.INDEPENDENT
    assert not any(append.header.flags & ChunkFlag.DISCONTINUITY for append in out)


def test_gaps_come_as_often_as_parts_and_the_sound_with_them() -> None:
    packager = Packager(PackagerConfig())
    bodies = without_pictures(list(broadcast(20)), 5_000, 60_000)
    heard = 0
    came: dict[str, list[int]] = {SOURCE: [], AUDIO: []}
    for body in bodies:
        for append in feed(packager, [body]):
            if append.header.flags & ChunkFlag.LAST_OF_PART and append.header.duration:
                came[append.rendition].append(body.stamp)
        heard = body.stamp
    for times in came.values():
        late = [two - one for one, two in itertools.pairwise(times)]
        assert max(late) <= 1_100, "as long as it is waited for pictures that come later than the sound"
        assert max(two - one for one, two in itertools.pairwise([at for at in times if at > 6_100])) <= 375
        assert heard - times[-1] < 400
    assert packager.problems == {}


def test_however_long_there_are_no_pictures_no_more_is_held() -> None:
    """Of the sound as much as is waited for pictures."""
    packager = Packager(PackagerConfig())
    feed(packager, without_pictures(list(broadcast(90)), 5_000, 1_000_000))
    path = packager._audio
    assert path is not None
    assert len(path.cutter._held) < 50
    assert len(path.cutter._boundaries) < 3


def test_pictures_that_go_on_in_the_middle_of_a_gop_are_shown_at_once() -> None:
    """Nothing is lost when a camera pauses and its encoder does not."""
    out = run(without_pictures(list(broadcast(14)), 5_217, 8_500, key=False))
    assert_whole(out)
    shown = numbers(out, SOURCE)
    assert shown == [*range(157), *range(255, 420)]
    ((_, end),) = gaps(out)
    keys = [one for one in headers(out, SOURCE) if one.flags & ChunkFlag.INDEPENDENT and one.part == 0]
    assert any(abs(one.dts / VIDEO_TIMESCALE - 1 - 300 / 30) < 0.01 for one in keys), "the next key frame"
    assert end == pytest.approx(255 / 30, abs=0.002)


def late(bodies: list[Body], *stretches: tuple[int, int]) -> list[Body]:
    """Pictures of these stamps come together, after the sound of the last one."""

    def arrival(body: Body) -> tuple[int, int]:
        ends = [end for begin, end in stretches if body.is_video and 0 < begin <= body.stamp < end]
        return (ends[0] if ends else body.stamp, body.stamp)

    return sorted(bodies, key=arrival)


def samples(appends: list[Append], name: str = SOURCE) -> list[Sample]:
    found = [append.data for append in appends if append.rendition == name]
    return [sample for data in found for piece in read_fragments(data) for sample in piece.samples]


def unseen(appends: list[Append]) -> list[int]:
    """The pictures that are decoded and not shown."""
    return [at for at, one in zip(numbers(appends, SOURCE), samples(appends), strict=True) if one.duration == 1]


@pytest.mark.parametrize(("gop", "first"), [(60, 180), (300, 150)])
def test_pictures_for_whose_time_gaps_were_told_are_decoded_and_not_shown(gop: int, first: int) -> None:
    """All that come behind them can be shown, however far away the next key frame is. `first`: those before a late
    key frame are not needed.
    """
    packager = Packager(PackagerConfig())
    bodies = late(list(broadcast(20, gop=gop)), (5_000, 7_000))
    out = feed(packager, bodies) + packager.finish(now_us=T0 + 600_000_000)
    assert_whole(out)
    assert numbers(out, AUDIO) == list(range(938))
    assert numbers(out, SOURCE) == [*range(150), *range(first, 600)]
    ((_, end),) = gaps(out)
    back = round(30 * end)
    assert 180 < back < 210, "while they were late the first ones were still waited for"
    assert unseen(out) == list(range(first, back))
    assert packager.late == back - 150
    report = packager._shared.health.report(T0 + 20_000_000)
    assert report is not None
    assert report.video is not None
    assert report.video.late == back - 150
    times = [one.pts for one in samples(out) if one.duration > 1]
    due = [VIDEO_TIMESCALE + 3_000 * at for at in [*range(150), *range(back, 600)]]
    assert [time for time in times if time not in due] == [due[150] + back - first], "less than a picture later"
    assert all(one.end <= two.dts for one, two in itertools.pairwise(samples(out)))


def test_segments_go_on_with_key_frames_behind_one_that_came_too_late() -> None:
    out = run(late(list(broadcast(20)), (4_200, 6_900)))
    starts = {one.msn: one for one in reversed(headers(out, SOURCE))}
    begun = [one.dts / VIDEO_TIMESCALE - 1 for _, one in sorted(starts.items()) if not one.flags & ChunkFlag.GAP]
    after = [at for at in begun if at > 5]
    assert 6 < after[0] < 6.5, "with the key frame that was due at 6"
    assert after[1:] == pytest.approx([8, 10, 12, 14, 16, 18], abs=0.001)


@pytest.mark.parametrize("gop", [40, 300])
def test_late_pictures_that_are_shown_in_another_order(gop: int) -> None:
    """Whatever is decoded is shown in that order."""
    pictures = pictures_of(14, gop, b_frames=True, jitter_ms=0)
    sounds = [sound(i, stamp=i * 1024 // 48) for i in range(round(14 * 48000 / 1024))]
    media = sorted([*pictures, *sounds], key=lambda one: one.stamp)
    out = run([video_config(), audio_config(), *late(media, (5_000, 7_000))])
    assert_whole(out)
    assert len(unseen(out)) > 10
    shifts = {int.from_bytes(one.body[-44:-40], "big"): int.from_bytes(one.body[2:5], "big") for one in pictures}
    due = {number: number * 1000 // 30 + shifts[number] for number in shifts}
    came = dict(zip(numbers(out, SOURCE), [one.pts for one in samples(out)], strict=True))
    for some in (range(150), range(150, 420)):
        known = [number for number in some if number in came]
        assert sorted(known, key=lambda number: came[number]) == sorted(known, key=lambda number: due[number])
    moved = [number for number in came if abs(came[number] / 90 - 1000 - due[number]) > 2]
    assert set(moved) - set(unseen(out)) <= {max(unseen(out)) + 1, max(unseen(out)) + 2, max(unseen(out)) + 3}
    assert all(one.end <= two.dts for one, two in itertools.pairwise(samples(out)))


def test_no_late_picture_is_decoded_before_a_key_frame_in_time() -> None:
    out = run(late(list(broadcast(20, gop=192)), (5_000, 7_000)))
    assert unseen(out) == []
    assert numbers(out, SOURCE) == [*range(150), *range(192, 600)]


def test_a_publisher_whose_pictures_were_late_is_waited_for_longer() -> None:
    bodies = late(list(broadcast(20)), (5_000, 7_000), (14_000, 16_000))
    out = run(bodies)
    assert_whole(out)
    assert len(gaps(out)) == 1


@pytest.mark.parametrize("behind_ms", [800, 3_000])
def test_pictures_that_always_come_later_than_the_sound_are_not_missing(behind_ms: int) -> None:
    bodies = [video_config(), audio_config()]
    pictures = [picture(i, key=i % 60 == 0, stamp=i * 1000 // 30) for i in range(450)]
    sounds = [sound(i, stamp=i * 1024 // 48) for i in range(round(15 * 48000 / 1024))]
    mixed = sorted([*pictures, *sounds], key=lambda one: one.stamp + one.is_video * behind_ms)
    packager = Packager(PackagerConfig())
    packager.metadata({"videocodecid": 7.0, "width": 640.0, "audiocodecid": 10.0})
    out = feed(packager, [*bodies, *mixed]) + packager.finish(now_us=T0 + 600_000_000)
    assert gaps(out) == []
    assert numbers(out, SOURCE) == list(range(450))


@pytest.mark.parametrize("rate", [1, 2, 5])
def test_slow_pictures_are_not_missing_once_that_is_known(rate: int) -> None:
    pictures = [picture(i, key=i % rate == 0, stamp=i * 1000 // rate) for i in range(20 * rate)]
    sounds = [sound(i, stamp=i * 1024 // 48) for i in range(round(20 * 48000 / 1024))]
    out = run([video_config(), audio_config(), *sorted([*pictures, *sounds], key=lambda one: one.stamp)])
    assert_whole(out)
    assert all(begin < 2 for begin, _ in gaps(out))
    assert numbers(out, SOURCE) == list(range(20 * rate))


@pytest.mark.parametrize("apart_ms", [1_600, 2_000, 4_000])
def test_slides_are_all_shown(apart_ms: int) -> None:
    """Each comes alone, between gaps, and has no next one that tells how long it lasts."""
    slides = [picture(i, key=True, stamp=i * apart_ms) for i in range(10)]
    sounds = [sound(i, stamp=i * 1024 // 48) for i in range(10 * apart_ms * 48 // 1024)]
    mixed = sorted([*slides, *sounds], key=lambda one: one.stamp)
    packager = Packager(PackagerConfig())
    out = feed(packager, [video_config(), audio_config(), *mixed]) + packager.finish(now_us=T0 + 600_000_000)
    assert_whole(out)
    assert packager.late == 0
    assert numbers(out, SOURCE) == list(range(10))
    assert all(begin < 2 * apart_ms / 1000 for begin, _ in gaps(out)), "two pauses in succession are slides"


def test_slides_that_are_too_far_apart_to_be_waited_for_are_all_shown() -> None:
    """Between gaps."""
    slides = [picture(i, key=True, stamp=i * 7_000) for i in range(6)]
    sounds = [sound(i, stamp=i * 1024 // 48) for i in range(42_000 * 48 // 1024)]
    out = run([video_config(), audio_config(), *sorted([*slides, *sounds], key=lambda one: one.stamp)])
    assert_whole(out)
    assert numbers(out, SOURCE) == list(range(6))
    assert len(gaps(out)) == 6


def test_sound_whose_stamps_jump_ahead_makes_no_pictures_missing() -> None:
    bodies = [
        one._replace(stamp=one.stamp + 3_000 * (not one.is_video and one.stamp > 5_000)) for one in broadcast(12)
    ]
    packager = Packager(PackagerConfig())
    out: list[Append] = []
    for body, original in zip(bodies, broadcast(12), strict=True):
        take = packager.video if body.is_video else packager.audio
        out += take(body.stamp, body.body, now_us=T0 + original.stamp * 1000)
    assert gaps(out) == []


def lagging(bodies: list[Body], begin_ms: int, late_ms: int) -> list[tuple[Body, int]]:
    """Pictures from a stamp on come so much later, as fast as before. With their arrivals, ms."""
    come = [(one, one.stamp + late_ms * (one.is_video and one.stamp >= begin_ms)) for one in bodies]
    return sorted(come, key=lambda pair: pair[1])


def feed_at(packager: Packager, come: list[tuple[Body, int]]) -> list[Append]:
    """Bodies at their arrivals, to the end."""
    out: list[Append] = []
    for body, at in come:
        take = packager.video if body.is_video else packager.audio
        out += take(body.stamp, body.body, now_us=T0 + at * 1000)
    return out + packager.finish(now_us=T0 + come[-1][1] * 1000)


@pytest.mark.parametrize("late_ms", [6_000, 9_000, 10_500, 10_900])
def test_pictures_that_come_later_than_sound_is_held_are_not_lost_for_good(late_ms: int) -> None:
    packager = Packager(PackagerConfig())
    out = feed_at(packager, lagging(list(broadcast(40)), 8_000, late_ms))
    assert numbers(out, AUDIO) == list(range(1875))
    shown = numbers(out, SOURCE)
    assert shown == [*range(240), *range(1200 - len(shown) + 240, 1200)]
    assert packager.late < 30 * (late_ms / 1000 + 2), "after one wait and up to a key frame they are shown again"
    assert len(gaps(out)) == 1


@pytest.mark.parametrize("paused_ms", [11_100, 15_000])
def test_pictures_whose_stamps_stood_still_go_on_with_the_sound(paused_ms: int) -> None:
    """A camera that paused, whose encoder counts pictures instead of looking at the clock."""
    packager = Packager(PackagerConfig())
    out = feed_at(packager, lagging(list(broadcast(40)), 8_000, paused_ms))
    assert_whole(out)
    assert numbers(out, SOURCE) == list(range(1200))
    assert 25 < packager.late < 45, "after a second of proof"
    ((_, end),) = gaps(out)
    assert end == pytest.approx(8 + paused_ms / 1000, abs=1.5)


def test_pictures_that_were_held_up_for_long_and_catch_up_keep_their_time() -> None:
    packager = Packager(PackagerConfig())
    come = [
        (one, at if at < 8_000 or not one.is_video else max(at, 23_000 + (at - 8_000) // 3))
        for one, at in lagging(list(broadcast(40)), 0, 0)
    ]
    out = feed_at(packager, sorted(come, key=lambda pair: pair[1]))
    assert_whole(out)
    shown = numbers(out, SOURCE)
    assert shown == [*range(240), *range(1440 - len(shown), 1200)]
    ends = [(one.dts + one.duration) / VIDEO_TIMESCALE for one in headers(out, SOURCE)]
    assert max(ends) == pytest.approx(41, abs=0.1)


@pytest.mark.parametrize("length_ms", [3_000, 9_000])
def test_stamps_that_begin_anew_after_the_gap_lose_no_picture(length_ms: int) -> None:
    end_ms = 5_000 + length_ms
    come = [
        (one._replace(stamp=one.stamp - end_ms * (one.stamp >= end_ms)), one.stamp)
        for one in without_pictures(list(broadcast(end_ms / 1000 + 10)), 5_000, end_ms)
    ]
    packager = Packager(PackagerConfig())
    out = feed_at(packager, come)
    assert packager.late == 0
    assert len(numbers(out, SOURCE)) == 150 + 300
    ((begin, end),) = gaps(out)
    assert end - begin == pytest.approx(length_ms / 1000, abs=0.7)


def test_another_resolution_after_the_gap() -> None:
    """What is missing belongs to the form before, and the discontinuity is where the new one begins."""
    bodies = without_pictures(list(broadcast(16)), 5_000, 9_000)
    at = next(index for index, one in enumerate(bodies) if one.is_video and one.stamp >= 9_000)
    bodies.insert(at, video_config(OTHER_RECORD)._replace(stamp=9_000))
    out = run(bodies)
    assert_whole(out)
    found = headers(out, SOURCE)
    assert {one.init for one in found if one.flags & ChunkFlag.GAP} == {0}
    flagged = [one for one in found if one.flags & ChunkFlag.DISCONTINUITY]
    assert [(one.init, bool(one.flags & ChunkFlag.INDEPENDENT)) for one in flagged] == [(1, True)]
    assert {one.msn for one in flagged} == {
        one.msn for one in headers(out, AUDIO) if one.flags & ChunkFlag.DISCONTINUITY
    }
    assert len({one.dsn for one in found if one.msn >= flagged[0].msn}) == 1


STOPS = st.lists(st.tuples(st.integers(500, 3_000), st.integers(200, 5_000), st.booleans()), min_size=1, max_size=3)


def pictures_of(seconds: float, gop: int, *, b_frames: bool, jitter_ms: int) -> list[Body]:
    """30 a second."""
    found = []
    shifts = [66, 133, 33, 33]
    for index in range(round(seconds * 30)):
        stamp = index * 1000 // 30 + index * 7 % (jitter_ms + 1)
        one = picture(index, key=index % gop == 0, stamp=stamp)
        if b_frames:
            shift = shifts[index % 4] if index % gop else 66
            one = one._replace(body=one.body[:2] + shift.to_bytes(3, "big") + one.body[5:])
        found.append(one)
    return found


@settings(max_examples=40, deadline=None)
@given(
    stops=STOPS,
    gop=st.integers(20, 75),
    behind_ms=st.integers(0, 400),
    b_frames=st.booleans(),
    jitter_ms=st.sampled_from([0, 1, 9]),
    bunch=st.sampled_from([1, 1, 8, 30]),
)
def test_whatever_stops_and_comes_back(
    stops: list[tuple[int, int, bool]], gop: int, behind_ms: int, b_frames: bool, jitter_ms: int, bunch: int
) -> None:
    """All sound is heard, pictures come in order, and the log is whole."""
    end_ms = 3_000 + sum(went + length for went, length, _ in stops)
    pictures = pictures_of(end_ms / 1000 - 0.3, gop, b_frames=b_frames, jitter_ms=jitter_ms)
    sounds = [sound(i, stamp=i * 1024 // 48) for i in range(end_ms * 48 // 1024)]
    media = sorted([*pictures, *sounds], key=lambda one: one.stamp + one.is_video * behind_ms)
    at = 1_500
    for went, length, key in stops:
        media = without_pictures(media, at, at + length, key=key)
        at += went + length
    bunches = [media[index : index + bunch] for index in range(0, len(media), bunch)]
    mixed = [one for bunched in bunches for one in sorted(bunched, key=lambda one: one.is_video)]
    out = run([video_config(), audio_config(), *mixed])
    assert_whole(out)
    heard = numbers(out, AUDIO)
    assert heard == list(range(heard[0], len(sounds)))
    assert heard[0] <= 12
    shown = numbers(out, SOURCE)
    assert shown == sorted(set(shown))


def test_an_encoder_with_a_picture_a_second_begins_without_a_gap() -> None:
    """What its metadata says is enough: nothing was learned of it yet."""
    packager = Packager(PackagerConfig())
    packager.metadata({"framerate": 1.0})
    bodies = [*broadcast(12, video=False), *(picture(at, key=True, stamp=1000 * at) for at in range(12))]
    configs = [video_config(), *(body for body in bodies if body.stamp == 0)]
    later = sorted((body for body in bodies if body.stamp), key=lambda body: body.stamp)
    out = feed(packager, [*configs, *later]) + packager.finish(now_us=T0 + 12_000_000)
    assert gaps(out) == []
    assert_whole(out)
