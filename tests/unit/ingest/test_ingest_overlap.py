"""A publisher that takes over with a key frame which came while the other one was on the air."""

from itertools import pairwise

import pytest
from flv_source import Body, audio_config, media, video_config

from appliance.contracts.media import AUDIO, SOURCE, ChunkFlag
from edge.ingest.packager import Packager, PackagerConfig
from edge.ingest.reel import Reel
from edge.ingest.rendition import Append, ResumePoint
from edge.ingest.splicing import from_key_frame
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


def switched(own: list[Body], *, until_ms: int, shift_ms: int) -> list[Append]:
    """What both wrote: the first one up to `until_ms`, the other one from its newest key frame then."""
    first = Packager(PackagerConfig())
    out = feed(first, times([*HEAD, *(one for one in media(20) if one.stamp < until_ms)]))
    out += first.finish(now_us=T0 + 1000 * until_ms)
    resume = {
        name: ResumePoint([a for a in out if a.rendition == name][-1].header, 1, output.timescale)
        for name, output in first.renditions.items()
    }
    reel = Reel()
    for one, now_us in times([*HEAD, *(one for one in own if one.stamp < until_ms)], shift_ms):
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
    at = slice(5, 9) if name == SOURCE else slice(0, 4)
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
