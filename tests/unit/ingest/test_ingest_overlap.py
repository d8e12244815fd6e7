"""A publisher that takes over with a key frame which came while the other one was on the air."""

from itertools import pairwise

import pytest
from flv_source import OTHER_RECORD, Body, audio_config, media, video_config

from appliance.contracts.media import AUDIO, SOURCE, ChunkFlag
from edge.ingest.packager import Packager, PackagerConfig
from edge.ingest.reel import Reel
from edge.ingest.rendition import Append, ResumePoint
from edge.ingest.splicing import from_key_frame
from edge.protocols.flv import TagKind, video_tag
from edge.protocols.fmp4 import read_fragments
from edge.protocols.rtmp import AudioData, Event, VideoData

T0 = 1_700_000_000_000_000
HEAD = [video_config(), audio_config()]


def event(body: Body) -> Event:
    kind = VideoData if body.is_video else AudioData
    return kind(body.stamp, body.body)


def feed(packager: Packager, bodies: list[tuple[Event, int]]) -> list[Append]:
    out: list[Append] = []
    for one, now_us in bodies:
        take = packager.video if isinstance(one, VideoData) else packager.audio
        out += take(one.timestamp, one.body, now_us=now_us)
    return out


def times(bodies: list[Body], shift_ms: int = 0) -> list[tuple[Event, int]]:
    return [(event(body._replace(stamp=body.stamp + shift_ms)), T0 + 1000 * body.stamp) for body in bodies]


def switched(
    own: list[Body],
    *,
    until_ms: int,
    shift_ms: int,
    others: list[Body] | None = None,
    head: list[Body] = HEAD,
) -> list[Append]:
    """What both wrote: the first one up to `until_ms`, the other one from its newest key frame then."""
    first = Packager(PackagerConfig())
    theirs = media(20) if others is None else others
    out = feed(first, times([*head, *(one for one in theirs if one.stamp < until_ms)]))
    out += first.finish(now_us=T0 + 1000 * until_ms)
    resume = {
        name: ResumePoint([a for a in out if a.rendition == name][-1].header, 1, output.timescale)
        for name, output in first.renditions.items()
    }
    reel = Reel()
    for one, now_us in times([*head, *(one for one in own if one.stamp < until_ms)], shift_ms):
        reel.push(one, now_us)
    start = from_key_frame(reel)
    second = Packager(
        PackagerConfig(),
        epoch=2,
        resume=resume,
        inits={name: output.inits for name, output in first.renditions.items()},
        target_duration_s=4,
        overlap_us=start.overlap_us,
    )
    out += feed(second, [*start.events, *times([one for one in own if one.stamp >= until_ms], shift_ms)])
    return out + second.finish(now_us=T0 + 20_000_000)


def samples(appends: list[Append], name: str) -> list[tuple[int, int, int]]:
    """Number in the data, decode time and duration."""
    at = slice(0, 4) if name == AUDIO else slice(5, 9)
    return [
        (int.from_bytes(bytes(sample.data)[at], "big"), sample.dts, sample.duration)
        for append in appends
        if append.rendition == name and append.data
        for part in read_fragments(append.data)
        for sample in part.samples
    ]


@pytest.mark.parametrize("shift_ms", [0, 5_000_000, -100])
@pytest.mark.parametrize("until_ms", [5_990, 5_900, 5_510, 5_120])
def test_no_sound_and_no_picture_is_repeated(until_ms: int, shift_ms: int) -> None:
    out = switched(media(12, gop=15), until_ms=until_ms, shift_ms=shift_ms)
    heard = samples(out, AUDIO)
    assert [number for number, _, _ in heard] == list(range(len(heard)))
    assert all(after[1] == before[1] + before[2] for before, after in pairwise(heard))
    assert len(heard) >= 560
    pictures = samples(out, SOURCE)
    assert all(after[1] == before[1] + before[2] for before, after in pairwise(pictures))
    seen = [number for number, _, duration in pictures if duration > 100]
    assert seen == sorted(set(seen))
    key = until_ms * 30 // 1000 // 15 * 15
    late = until_ms != 5_990  # there the next key frame is the first picture that is not in the log
    begin = next(header for header in (a.header for a in out if a.rendition == SOURCE) if header.epoch == 2)
    assert begin.flags & ChunkFlag.INDEPENDENT
    assert [number for number, _, _ in pictures].count(key) == 1 + late
    assert not any(append.header.flags & ChunkFlag.GAP for append in out)


def with_track(gop: int, small_gop: int) -> list[Body]:
    """A second video track beside that of `media`."""
    small = [one for one in media(12, gop=small_gop) if one.is_video]
    bodies = [
        one._replace(body=video_tag("avc1", TagKind.FRAME, key=one.body[0] == 0x17, track=1, data=one.body[5:]))
        for one in small
    ]
    return sorted([*media(12, gop=gop), *bodies], key=lambda one: one.stamp)


@pytest.mark.parametrize("shift_ms", [0, 5_000_000, -100])
@pytest.mark.parametrize("until_ms", [5_990, 5_900, 5_510, 5_120])
def test_no_sound_and_no_picture_of_several_tracks_is_repeated(until_ms: int, shift_ms: int) -> None:
    config = video_tag("avc1", TagKind.CONFIG, key=True, track=1, data=OTHER_RECORD)
    head = [*HEAD, Body(True, 0, config)]
    both = with_track(15, 15)
    out = switched(both, until_ms=until_ms, shift_ms=shift_ms, others=both, head=head)
    small = next(one.rendition for one in out if one.rendition not in (SOURCE, AUDIO))
    heard = samples(out, AUDIO)
    assert [number for number, _, _ in heard] == list(range(len(heard)))
    for name in (SOURCE, small):
        pictures = samples(out, name)
        assert all(after[1] >= before[1] + before[2] for before, after in pairwise(pictures))
        seen = [number for number, _, duration in pictures if duration > 100]
        assert seen == sorted(set(seen))
        assert len(seen) >= 340
        assert not any(one.header.flags & ChunkFlag.GAP for one in out if one.rendition == name)
    begins = {
        name: next(one.header for one in out if one.rendition == name and one.header.epoch == 2)
        for name in (SOURCE, small)
    }
    assert begins[SOURCE].msn == begins[small].msn
    assert abs(begins[SOURCE].dts - begins[small].dts) <= 6000
    assert begins[small].flags & ChunkFlag.INDEPENDENT


def test_sound_of_a_standby_that_is_before_its_pictures_is_kept() -> None:
    """Its pictures come 300 ms after the sound of the same time."""
    own = [one._replace(stamp=one.stamp - 300) if one.is_video else one for one in media(12, gop=15)]
    reel = Reel()
    for body in sorted([*HEAD, *own], key=lambda one: one.stamp + 300 * one.is_video):
        reel.push(event(body), T0 + 1000 * (body.stamp + 300 * body.is_video))
        if body.stamp > 8000:
            break
    events = [one for one, _ in from_key_frame(reel).events]
    key = next(one for one in events if isinstance(one, VideoData) and one.body[:2] == b"\x17\1")
    stamps = [one.timestamp for one in events if isinstance(one, AudioData) and one.body[1]]
    assert stamps[0] - key.timestamp in range(25)
    assert stamps == sorted(stamps)
