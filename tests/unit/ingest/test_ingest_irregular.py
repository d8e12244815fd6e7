"""Sources that do not keep to the rules: key frames, stamps, late and missing tracks. Access units are counted."""

import itertools

import pytest
from flv_source import (
    AAC_CONFIG,
    AVC_RECORD,
    OTHER_RECORD,
    Body,
    audio_config,
    broadcast,
    media,
    picture,
    sound,
    video_config,
)

from appliance.contracts.media import AUDIO, SOURCE, VIDEO_TIMESCALE, ChunkFlag
from edge.ingest.packager import Packager, PackagerConfig
from edge.ingest.rendition import Append
from edge.media.timeline import Timeline
from edge.protocols.codecs import aac, avc
from edge.protocols.flv import TagKind, audio_tag, video_tag
from edge.protocols.fmp4 import Sample, read_fragments

SILENCE = aac.parse_config(AAC_CONFIG).silence()
T0 = 1_700_000_000_000_000


def run(packager: Packager, bodies: list[Body], *, finish: bool = True) -> list[Append]:
    out: list[Append] = []
    for body in bodies:
        take = packager.video if body.is_video else packager.audio
        out += take(body.stamp % (1 << 32), body.body, now_us=T0 + (body.stamp - bodies[0].stamp) * 1000)
    return out + packager.finish(now_us=T0 + 60_000_000) if finish else out


def samples(appends: list[Append], name: str) -> list[Sample]:
    return [
        sample
        for append in appends
        if append.rendition == name
        for part in read_fragments(append.data)
        for sample in part.samples
    ]


def sent(appends: list[Append], name: str) -> list[Sample]:
    """Without the silence that stands for sound that did not come."""
    return [sample for sample in samples(appends, name) if bytes(sample.data) != SILENCE]


def numbers(appends: list[Append], name: str) -> list[int]:
    found = sent(appends, name)
    return [int.from_bytes(bytes(s.data[-44:-40] if name == SOURCE else s.data[:4]), "big") for s in found]


def lengths(appends: list[Append]) -> dict[int, float]:
    """Seconds of each segment of the source."""
    out: dict[int, float] = {}
    for append in appends:
        if append.rendition == SOURCE:
            out[append.header.msn] = out.get(append.header.msn, 0) + append.header.duration / VIDEO_TIMESCALE
    return out


def with_keys(seconds: float, keys: set[int]) -> list[Body]:
    """30 frames/s with key frames at the given numbers, and sound."""
    pictures = [picture(i, key=i in keys, stamp=i * 1000 // 30) for i in range(round(seconds * 30))]
    sounds = [sound(i, stamp=i * 1024 // 48) for i in range(round(seconds * 48000 / 1024))]
    return [video_config(), audio_config(), *sorted([*pictures, *sounds], key=lambda body: body.stamp)]


# --- key frames


@pytest.mark.parametrize("keys", [{0}, {0, 150, 300}, {0, 20, 270}, {0, 53, 98, 240}])
def test_long_gop_is_repaired_once_a_segment_ends_without_a_key_frame(keys: set[int]) -> None:
    packager = Packager(PackagerConfig())
    out = run(packager, with_keys(12, keys))
    assert packager.needs_repair
    assert not packager.source_playable
    assert packager.target_duration_s == 4
    assert numbers(out, SOURCE) == list(range(360))
    assert numbers(out, AUDIO) == list(range(562))
    assert list(packager.problems) == ["keyframe_interval"]
    cut = list(lengths(out).values())
    assert max(cut) <= 4.41
    long = next(index for index, length in enumerate(cut) if length > 4.01)
    assert all(length <= 2.01 for length in cut[long + 1 :])


def test_target_duration_is_announced_before_the_first_gop_is_over() -> None:
    packager = Packager(PackagerConfig())
    run(packager, with_keys(0.5, {0}), finish=False)
    assert packager.target_duration_s == 4
    assert packager.source_playable


def test_a_repaired_broadcast_stays_so_when_its_publisher_returns() -> None:
    packager = Packager(PackagerConfig(cut_by_time=True), target_duration_s=4)
    out = run(packager, with_keys(8, set(range(0, 240, 60))))
    assert not packager.source_playable
    assert max(lengths(out).values()) <= 2.01


@pytest.mark.parametrize("keys", [set(range(0, 360, 60)), set(range(0, 360, 30)), {0, 45, 105, 165, 200, 260, 320}])
def test_usual_key_frames_need_no_repair(keys: set[int]) -> None:
    packager = Packager(PackagerConfig())
    out = run(packager, with_keys(12, keys))
    assert not packager.needs_repair
    assert packager.source_playable
    assert packager.target_duration_s == 4
    assert packager.problems == {}
    for append in out:
        if append.rendition == SOURCE and append.header.part == append.header.chunk == 0:
            assert append.header.flags & ChunkFlag.INDEPENDENT


def test_pictures_that_were_missing_for_a_while_do_not_make_key_frames_rare() -> None:
    """As when a phone's camera stops, or a device is plugged in again: the GOP goes on behind it."""
    bodies = [one for one in broadcast(20) if not (one.is_video and 5_200 <= one.stamp < 8_200)]
    packager = Packager(PackagerConfig())
    out = run(packager, bodies)
    assert packager.problems == {}
    assert packager.source_playable
    assert max(lengths(out).values()) <= 4.41


def test_key_frames_that_are_rare_are_so_in_spite_of_a_pause() -> None:
    bodies = [one for one in with_keys(20, {0}) if not (one.is_video and 2_000 <= one.stamp < 5_000)]
    packager = Packager(PackagerConfig())
    run(packager, bodies)
    assert packager.needs_repair


def test_without_repair_a_long_gop_is_waited_for() -> None:
    packager = Packager(PackagerConfig(repair=False))
    out = run(packager, with_keys(12, {0, 120, 240}))
    assert packager.target_duration_s == 10
    assert packager.source_playable
    assert [round(length, 3) for length in lengths(out).values()] == [4.0, 4.0, 4.0]


@pytest.mark.parametrize(("repair", "repaired_before"), [(True, False), (True, True), (False, False)])
def test_open_gop_with_recovery_points(repair: bool, repaired_before: bool) -> None:
    """Key frames after the first are no IDR: an SEI says that decoding may begin there; B-frames lead it."""
    bodies = [video_config(), audio_config()]
    for index in range(180):
        key = index % 60 == 0
        body = picture(index, key=index == 0, stamp=index * 1000 // 30)
        if key and index:
            sei = b"\x06\x06\x01\xc4\x80"
            data = b"\x17\1\0\0\x21" + len(sei).to_bytes(4, "big") + sei + body.body[5:]
            body = body._replace(body=data)
        elif index:
            body = body._replace(body=body.body[:2] + (0 if index % 3 else 66).to_bytes(3, "big") + body.body[5:])
        bodies.append(body)
    packager = Packager(PackagerConfig(repair=repair, cut_by_time=repaired_before))
    out = run(packager, bodies)
    assert numbers(out, SOURCE) == list(range(180))
    assert packager.source_playable is not repair
    assert list(packager.problems) == ["open_gop"]
    assert set(lengths(out)) == {0, 1, 2}


# --- stamps


@pytest.mark.parametrize("wrap", [1 << 31, 1 << 32])
def test_stamps_that_wrap(wrap: int) -> None:
    start = wrap - 3000
    packager = Packager(PackagerConfig())
    bodies = [video_config()._replace(stamp=start), audio_config()._replace(stamp=start), *media(8, start_ms=start)]
    out: list[Append] = []
    for body in bodies:
        take = packager.video if body.is_video else packager.audio
        out += take(body.stamp % wrap, body.body, now_us=T0 + (body.stamp - start) * 1000)
    out += packager.finish(now_us=T0 + 8_000_000)
    assert numbers(out, SOURCE) == list(range(240))
    assert len(numbers(out, AUDIO)) == 375
    assert not any(append.header.flags & ChunkFlag.DISCONTINUITY for append in out)
    times = samples(out, SOURCE)
    assert all(two.dts - one.dts == 3000 for one, two in itertools.pairwise(times))
    assert packager.problems == {}


def test_negative_composition_times() -> None:
    bodies = [video_config(), audio_config()]
    for body in media(4):
        if body.is_video and body.body[0] == 0x27:
            body = body._replace(body=body.body[:2] + (-33).to_bytes(3, "big", signed=True) + body.body[5:])
        bodies.append(body)
    packager = Packager(PackagerConfig())
    out = run(packager, bodies)
    assert numbers(out, SOURCE) == list(range(120))
    assert all(sample.cts >= 0 for sample in samples(out, SOURCE))


def test_nanosecond_offsets_are_exact() -> None:
    """A variable rate, so that nothing is snapped: stamps of 7.3 ms steps and more, told to the nanosecond."""
    exact_us = [0]
    for index in range(200):
        exact_us.append(exact_us[-1] + 21_731 + index * 977 % 20_011)
    timeline, found = Timeline(), []
    for index, at_us in enumerate(exact_us):
        nano = at_us % 1000 * 1000
        found += timeline.video(at_us // 1000, 0, index % 60 == 0, b"", now_us=T0, nano=nano)
    found += timeline.flush()
    assert len(found) == len(exact_us)
    for timed, at_us in zip(found, exact_us, strict=True):
        assert abs(timed.sample.pts - found[0].sample.pts - at_us * 9 / 100) <= 1


def test_nanosecond_offsets_in_composition_times() -> None:
    data = picture(0, key=True, stamp=0).body[5:]
    body = video_tag("avc1", TagKind.FRAME, key=True, cts_ms=20, nano=500_000, data=data)
    out = run(Packager(PackagerConfig()), [video_config(), Body(True, 0, body)])
    assert samples(out, SOURCE)[0].cts == 20 * 90 + 45


@pytest.mark.parametrize("ppm", [300, -300, 2000, -2000])
def test_audio_clock_that_drifts(ppm: int) -> None:
    bodies = [video_config(), audio_config()]
    sounds = [sound(i, stamp=i * 1024 * 1_000_000 // (48 * (1_000_000 + ppm))) for i in range(2800)]
    bodies += sorted([*media(60, audio=False), *sounds], key=lambda body: body.stamp)
    packager = Packager(PackagerConfig())
    out = run(packager, bodies)
    assert numbers(out, SOURCE) == list(range(1800))
    heard = numbers(out, AUDIO)
    assert heard == sorted(set(heard))
    assert len(heard) >= 2800 - 8
    for sample, number in zip(sent(out, AUDIO), heard, strict=True):
        at = number * 1024 * 1_000_000 / (48_000 * (1_000_000 + ppm))
        assert abs(sample.pts / 48_000 - 1 - at) < 0.085


def test_audio_and_video_jump_hours_and_go_on() -> None:
    packager = Packager(PackagerConfig())
    later = [body._replace(stamp=body.stamp + 7_200_000) for body in media(4)]
    out = run(packager, [video_config(), audio_config(), *media(4), *later])
    assert len(numbers(out, SOURCE)) == 240
    flagged = {append.header.msn for append in out if append.header.flags & ChunkFlag.DISCONTINUITY}
    assert len(flagged) == 1
    assert "timestamps" in packager.problems
    assert samples(out, SOURCE)[-1].dts < 12 * VIDEO_TIMESCALE


# --- tracks that come late, change or end


@pytest.mark.parametrize("after_ms", [0, 500, 2500, 7000])
def test_late_audio(after_ms: int) -> None:
    packager = Packager(PackagerConfig())
    late = [body for body in media(10) if body.is_video or body.stamp >= after_ms]
    at = next(index for index, body in enumerate(late) if not body.is_video)
    out = run(packager, [video_config(), *late[:at], audio_config()._replace(stamp=after_ms), *late[at:]])
    assert numbers(out, SOURCE) == list(range(300))
    heard = numbers(out, AUDIO)
    assert heard == list(range(heard[0], 469))
    assert packager.has_audio
    assert packager.problems == {}


def test_late_audio_counts_discontinuities_as_the_picture() -> None:
    bodies = [*broadcast(3, audio=False), video_config(OTHER_RECORD)._replace(stamp=3000)]
    bodies += media(3, start_ms=3000, audio=False)
    bodies += [audio_config()._replace(stamp=6000), *media(3, start_ms=6000)]
    out = run(Packager(PackagerConfig()), bodies)
    counted = {
        name: {append.header.msn: append.header.dsn for append in out if append.rendition == name}
        for name in (SOURCE, AUDIO)
    }
    assert counted[AUDIO]
    assert counted[AUDIO].items() <= counted[SOURCE].items()
    assert max(counted[SOURCE].values()) == 1


def test_audio_first_by_seconds() -> None:
    packager = Packager(PackagerConfig())
    bodies = [audio_config(), *media(1.5, video=False)]
    bodies += [video_config()._replace(stamp=1500), *media(6, start_ms=1500)]
    out = run(packager, bodies)
    assert numbers(out, SOURCE) == list(range(180))
    assert packager.problems == {}


def contiguous(found: list[Sample]) -> bool:
    return all(one.end == other.dts for one, other in itertools.pairwise(found))


def test_where_no_sound_came_there_is_silence() -> None:
    """As a file that is sent again and again has, whose sound is shorter than its pictures."""
    bodies = [one for one in broadcast(12) if one.is_video or not 4_000 <= one.stamp < 7_000]
    packager = Packager(PackagerConfig())
    out = run(packager, bodies)
    heard = samples(out, AUDIO)
    assert contiguous(heard)
    assert all(1_000 <= sample.duration <= 1_060 for sample in heard)
    assert 138 <= sum(bytes(sample.data) == SILENCE for sample in heard) <= 142
    assert numbers(out, AUDIO) == [*range(188), *range(329, 562)]


def test_silence_stands_for_sound_that_was_stamped_by_a_clock_that_stood() -> None:
    """Its frames are left out, and then the stamps are right again."""
    stood = [
        one._replace(stamp=5_000) if not one.is_video and one.stamp // 1_000 == 5 else one for one in broadcast(10)
    ]
    out = run(Packager(PackagerConfig()), stood)
    heard = samples(out, AUDIO)
    assert contiguous(heard)
    assert 30 <= sum(bytes(sample.data) == SILENCE for sample in heard) <= 45
    spoken = next(one for one in heard if bytes(one.data)[:4] == (400).to_bytes(4, "big"))
    assert abs(spoken.dts / 48_000 - 1 - 400 * 1024 / 48_000) < 0.03


def test_sound_that_is_announced_and_does_not_come_is_silence_from_the_beginning() -> None:
    bodies = [one for one in broadcast(10) if one.is_video or one.stamp < 1 or one.stamp >= 6_000]
    bodies = [one for one in bodies if one.is_video or one.body[1] == 0 or one.stamp]
    packager = Packager(PackagerConfig())
    out = run(packager, bodies)
    heard, shown = samples(out, AUDIO), samples(out, SOURCE)
    assert contiguous(heard)
    assert abs(heard[0].pts / 48_000 - shown[0].pts / VIDEO_TIMESCALE) < 0.001
    assert numbers(out, AUDIO)[-1] == 468
    msns = {append.header.msn for append in out if append.rendition == AUDIO}
    assert msns == {append.header.msn for append in out if append.rendition == SOURCE}


def test_silence_follows_the_pictures_while_the_sound_has_stopped() -> None:
    bodies = [one for one in broadcast(40) if one.is_video or not 4_000 <= one.stamp < 30_000]
    packager = Packager(PackagerConfig())
    began = next(index for index, one in enumerate(bodies) if one.stamp >= 29_900)
    out = run(packager, bodies[:began], finish=False)
    ends = {name: samples(out, name)[-1].end / rate for name, rate in ((SOURCE, VIDEO_TIMESCALE), (AUDIO, 48_000))}
    assert 0 < ends[SOURCE] - ends[AUDIO] < 2.5, "a player has something to play"
    for body in bodies[began:]:
        take = packager.video if body.is_video else packager.audio
        out += take(body.stamp, body.body, now_us=T0 + body.stamp * 1000)
    out += packager.finish(now_us=T0 + 60_000_000)
    heard = samples(out, AUDIO)
    assert contiguous(heard)
    assert numbers(out, AUDIO) == [*range(188), *range(1_407, 1_875)], "all that came is heard, in its time"
    spoken = next(one for one in heard if bytes(one.data)[:4] == (1_500).to_bytes(4, "big"))
    assert abs(spoken.dts / 48_000 - 1 - 1_500 * 1024 / 48_000) < 0.03
    msns = {append.header.msn for append in out if append.rendition == AUDIO}
    assert msns == {append.header.msn for append in out if append.rendition == SOURCE}


def test_pictures_that_come_late_are_told_of() -> None:
    """They are for another session of the broadcast."""
    packager = Packager(PackagerConfig())
    bodies = [audio_config(), *media(3, video=False)]
    bodies += [video_config()._replace(stamp=3000), *media(2, start_ms=3000, audio=False)]
    out = run(packager, bodies)
    assert packager.has_late_pictures
    assert len(numbers(out, AUDIO)) == 141


def test_a_configuration_without_pictures_keeps_nobody_from_hearing() -> None:
    packager = Packager(PackagerConfig())
    run(packager, [video_config(), audio_config(), *media(7, video=False)], finish=False)
    assert packager.is_probing
    packager = Packager(PackagerConfig())
    out = run(packager, [video_config(), audio_config(), *media(10, video=False)], finish=False)
    assert packager.target_duration_s is not None, "it is on the air"
    assert list(packager.problems) == ["no_video"]
    assert numbers(out, AUDIO)
    run(packager, media(2, start_ms=10_000, audio=False), finish=False)
    assert packager.has_late_pictures


def test_pictures_that_metadata_promises_are_waited_for() -> None:
    packager = Packager(PackagerConfig())
    packager.metadata({"videocodecid": 7.0, "width": 640.0, "audiocodecid": 10.0})
    bodies = [audio_config(), *media(5, video=False)]
    bodies += [video_config()._replace(stamp=5000), *media(6, start_ms=5000)]
    out = run(packager, bodies)
    assert packager.problems == {}
    assert numbers(out, SOURCE) == list(range(180))


def test_promised_pictures_that_do_not_come_are_not_waited_for_ever() -> None:
    packager = Packager(PackagerConfig())
    packager.metadata({"videocodecid": 7.0, "width": 640.0})
    out = run(packager, [audio_config(), *media(9, video=False)], finish=False)
    assert "no_video" in packager.problems
    assert samples(out, AUDIO)


def test_audio_only_changes_its_configuration() -> None:
    packager = Packager(PackagerConfig())
    mono = Body(False, 4000, b"\xaf\0" + bytes.fromhex("1188"))
    out = run(packager, [audio_config(), *media(4, video=False), mono, *media(4, start_ms=4000, video=False)])
    assert len(numbers(out, AUDIO)) == 376
    flagged = [append.header for append in out if append.header.flags & ChunkFlag.DISCONTINUITY]
    assert [header.init for header in flagged] == [1]
    assert flagged[0].dts == pytest.approx(5 * 48_000, abs=2048)


def test_same_configuration_again_changes_nothing() -> None:
    packager = Packager(PackagerConfig())
    again = [video_config()._replace(stamp=2000), audio_config()._replace(stamp=2000)]
    out = run(packager, [*broadcast(2), *again, *media(2, start_ms=2000), Body(False, 4000, b"\xaf\0")])
    assert len(numbers(out, SOURCE)) == 120
    assert len(packager.renditions[SOURCE].inits) == len(packager.renditions[AUDIO].inits) == 1
    assert not any(append.header.flags & ChunkFlag.DISCONTINUITY for append in out)


@pytest.mark.parametrize("enhanced", [True, False])
def test_end_of_sequence_and_a_new_one(enhanced: bool) -> None:
    end = video_tag("avc1", TagKind.END, key=True) if enhanced else b"\x17\2\0\0\0"
    bodies = [*broadcast(3), Body(True, 3000, end), Body(False, 3000, audio_tag("mp4a", TagKind.END))]
    bodies += [video_config(OTHER_RECORD)._replace(stamp=3000), *media(3, start_ms=3000)]
    packager = Packager(PackagerConfig())
    out = run(packager, bodies)
    assert len(numbers(out, SOURCE)) == 180
    assert packager.quirks == []
    assert len(packager.renditions[SOURCE].inits) == 2


def test_adts_in_place_of_raw_frames() -> None:
    bodies = [video_config(), Body(False, 0, b"\xaf\0" + AAC_CONFIG)]
    for body in media(3):
        if not body.is_video:
            data = body.body[2:]
            size = 7 + len(data)
            head = bytes([0xFF, 0xF1, 0x4C, 0x80 | size >> 11, size >> 3 & 0xFF, (size & 7) << 5 | 0x1F, 0xFC])
            body = body._replace(body=b"\xaf\1" + head + data)
        bodies.append(body)
    packager = Packager(PackagerConfig())
    assert numbers(run(packager, bodies), AUDIO) == list(range(141))


@pytest.mark.parametrize("size", [1, 2, 4])
def test_length_prefixes_of_any_size(size: int) -> None:
    record = AVC_RECORD[:4] + bytes([0xFC | size - 1]) + AVC_RECORD[5:]
    bodies = [video_config(record)]
    for body in media(3, audio=False):
        nal = body.body[9:]
        bodies.append(body._replace(body=body.body[:5] + len(nal).to_bytes(size, "big") + nal))
    packager = Packager(PackagerConfig())
    assert numbers(run(packager, bodies), SOURCE) == list(range(90))
    assert packager.quirks == []


@pytest.mark.parametrize("code", [b"\0\0\0\1", b"\0\0\1"])
def test_start_codes_with_parameter_sets_in_band(code: bytes) -> None:
    config = avc.parse_config(AVC_RECORD)
    sets = b"".join(code + nal for nal in (*config.sps, *config.pps))
    bodies = []
    for index, body in enumerate(media(3, audio=False)):
        nal = body.body[9:10] + (0x01010101 + index).to_bytes(4, "big") + body.body[14:]  # nothing to be escaped
        data = (sets if body.body[0] == 0x17 else b"") + code + nal
        bodies.append(body._replace(body=body.body[:5] + data))
    packager = Packager(PackagerConfig())
    assert numbers(run(packager, bodies), SOURCE) == [0x01010101 + index for index in range(90)]
    assert packager.quirks == []


def test_parameter_sets_as_a_normal_frame_and_none_in_the_record() -> None:
    config = avc.parse_config(AVC_RECORD)
    empty = AVC_RECORD[:5] + b"\xe0\0"
    frame = b"\x17\1\0\0\0" + avc.join_avcc([*config.sps, *config.pps])
    bodies = [video_config(empty), Body(True, 0, frame), *media(3, audio=False)]
    assert numbers(run(Packager(PackagerConfig()), bodies), SOURCE) == list(range(90))


def test_sei_floods_and_empty_nals_are_no_pictures() -> None:
    bodies = list(broadcast(3))
    flood = b"\x27\1\0\0\0" + b"\0\0\0\x04\x06\x05\x01\x00" * 50
    empty = b"\x27\1\0\0\0" + bytes(4)
    none = b"\x27\1\0\0\0"
    for place in (40, 80, 120):
        for body in (flood, empty, none):
            bodies.insert(place, Body(True, bodies[place].stamp, body))
    out = run(Packager(PackagerConfig()), bodies)
    assert numbers(out, SOURCE) == list(range(90))
