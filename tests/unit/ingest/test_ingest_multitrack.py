"""Several video tracks of one encoder: renditions on the same boundaries."""

from itertools import pairwise

import pytest
from flv_source import OTHER_RECORD, Body, audio_config, media, picture, video_config
from ingest_fakes import KEY
from ingest_site import Site, until

from appliance.contracts.media import AUDIO, SOURCE, BroadcastState, ChunkFlag
from edge.ingest.packager import Packager, PackagerConfig
from edge.ingest.rendition import Append, ResumePoint
from edge.protocols.flv import TagKind, parse_video, video_tag
from edge.protocols.fmp4 import read_fragments
from tests.media_tools import encoded
from tests.media_tools.bodies import audio_bodies, interleaved, video_bodies

T0 = 1_700_000_000_000_000
SMALL = bytes.fromhex("0142c01effe100196742c01ed900a02ff970110000030001000003003c0f162e4801000568cb83cb20")


def run(packager: Packager, bodies: list[Body], start_us: int = T0) -> list[Append]:
    out: list[Append] = []
    now_us = start_us
    for body in bodies:
        now_us = start_us + body.stamp * 1000
        take = packager.video if body.is_video else packager.audio
        out += take(body.stamp, body.body, now_us=now_us)
    return out + packager.finish(now_us=now_us)


def of(appends: list[Append], name: str) -> list[Append]:
    return [append for append in appends if append.rendition == name]


def numbers(chunks: list[bytes]) -> list[int]:
    return [
        int.from_bytes(bytes(sample.data[-44:-40]), "big")
        for data in chunks
        for part in read_fragments(data)
        for sample in part.samples
    ]


def frames(appends: list[Append]) -> list[int]:
    return numbers([append.data for append in appends])


def track(number: int, seconds: float, *, gop: int = 60, shift: int = 0, first: bool = False) -> list[Body]:
    """The synthetic pictures of `media` as track `number`; key frames `shift` frames late."""
    out = [Body(True, 0, video_tag("avc1", TagKind.CONFIG, key=True, track=number, data=SMALL))]
    for index in range(round(seconds * 30)):
        key = (index - shift) % gop == 0 or (first and index == 0)
        body = picture(index, key=key, stamp=index * 1000 // 30)
        data = body.body[5:]
        out.append(body._replace(body=video_tag("avc1", TagKind.FRAME, key=key, track=number, data=data)))
    return out


def test_tracks_are_cut_together() -> None:
    packager = Packager(PackagerConfig())
    out = run(packager, interleaved([video_config()], track(1, 6), track(2, 6), [audio_config()], media(6)))
    assert packager.contributed == ["360p", "360pb"]
    assert list(packager.renditions) == [SOURCE, "360p", "360pb", AUDIO]
    starts = {}
    for name in (SOURCE, *packager.contributed):
        assert frames(of(out, name)) == list(range(180))
        firsts = [append.header for append in of(out, name) if append.header.part == append.header.chunk == 0]
        starts[name] = [(header.msn, header.dts, header.pdt_us) for header in firsts]
        assert all(header.flags & ChunkFlag.INDEPENDENT for header in firsts)
        assert of(out, name)[-1].header.flags & ChunkFlag.LAST_OF_SEGMENT
    assert starts[SOURCE] == starts["360p"] == starts["360pb"]
    assert [msn for msn, _, _ in starts[SOURCE]] == [0, 1, 2]
    assert packager.problems == {}


def test_all_tracks_in_one_tag() -> None:
    def many(first: int, packet: int, data: bytes) -> bytes:
        bodies = b"".join(bytes([number]) + len(data).to_bytes(3, "big") + data for number in (0, 1))
        return bytes([first | 6, 0x10 | packet]) + b"avc1" + bodies

    packager = Packager(PackagerConfig())
    bodies = [Body(True, 0, many(0x90, 0, SMALL)), audio_config()]
    for body in media(4):
        if body.is_video:
            key = body.body[0] == 0x17
            bodies.append(body._replace(body=many(0x90 if key else 0xA0, 3, body.body[5:])))
        else:
            bodies.append(body)
    out = run(packager, bodies)
    assert frames(of(out, SOURCE)) == frames(of(out, "360p")) == list(range(120))


@pytest.mark.parametrize("shift", [1, 20])
def test_key_frames_elsewhere(shift: int) -> None:
    packager = Packager(PackagerConfig())
    out = run(
        packager, interleaved([video_config()], track(1, 6, shift=shift, first=True), [audio_config()], media(6))
    )
    firsts = [append.header for append in of(out, "360p") if append.header.part == append.header.chunk == 0]
    source = [append.header for append in of(out, SOURCE) if append.header.part == append.header.chunk == 0]
    assert [header.msn for header in firsts] == [0, 1, 2]
    assert firsts[1].dts - source[1].dts == shift * 3000
    assert frames(of(out, "360p")) == list(range(180))
    assert ("track_keyframes" in packager.problems) == (shift > 1)


def test_segment_without_a_key_frame_of_a_track_is_a_gap() -> None:
    packager = Packager(PackagerConfig())
    out = run(packager, interleaved([video_config()], track(1, 8, gop=120), [audio_config()], media(8)))
    headers = [append.header for append in of(out, "360p")]
    gaps = [header.msn for header in headers if header.flags & ChunkFlag.GAP]
    assert gaps == [1]
    assert sorted({header.msn for header in headers}) == [0, 1, 2]
    assert frames(of(out, "360p")) == list(range(240))


def test_forced_cuts_are_followed() -> None:
    packager = Packager(PackagerConfig(repair=True))
    out = run(packager, interleaved([video_config()], track(1, 9, gop=9999), [audio_config()], media(9, gop=9999)))
    for name in (SOURCE, "360p"):
        assert frames(of(out, name)) == list(range(270))
    assert {a.header.msn for a in of(out, SOURCE)} == {a.header.msn for a in of(out, "360p")}


def test_a_track_of_another_codec_and_size() -> None:
    packager = Packager(PackagerConfig())
    small = encoded.video("hvc1", 10, width=96, height=64)
    bodies = interleaved(
        video_bodies("avc1", encoded.video("avc1", 10), frames=80),
        video_bodies("hvc1", small, track=3, frames=80),
        audio_bodies("mp4a", encoded.audio("mp4a"), 1024, frames=120),
    )
    out = run(packager, [Body(*body) for body in bodies])
    assert packager.contributed == ["64p"]
    described = packager.renditions["64p"].inits[0].video
    assert described is not None
    assert described.codec.startswith("hvc1.")
    assert sum(len(part.samples) for append in of(out, "64p") for part in read_fragments(append.data)) == 80


def test_further_audio_is_said() -> None:
    packager = Packager(PackagerConfig())
    sound = audio_bodies("mp4a", encoded.audio("mp4a"), 1024, track=1, frames=20)
    run(packager, interleaved([video_config()], [audio_config()], media(4), [Body(*one) for one in sound]))
    assert set(packager.problems) == {"audio_tracks"}
    assert packager.contributed == []


@pytest.mark.parametrize("ms", [1, 4000, 4500])
def test_a_track_that_begins_later_is_one_from_the_next_segment_on(ms: int) -> None:
    config, *pictures = track(1, 10)
    late = [config._replace(stamp=ms), *(body for body in pictures if body.stamp >= ms)]
    packager = Packager(PackagerConfig())
    out = run(packager, [*interleaved([video_config()], [audio_config()], media(10), late)])
    first = -(-ms // 2000)
    assert packager.contributed == ["360pb"], "the transcoder may make 360p already"
    assert packager.problems == {}
    assert frames(of(out, "360pb")) == list(range(first * 60, 300))
    starts = {
        name: {a.header.msn: a.header.dts for a in of(out, name) if a.header.part == a.header.chunk == 0}
        for name in (SOURCE, "360pb")
    }
    assert starts["360pb"] == {msn: dts for msn, dts in starts[SOURCE].items() if msn >= first}


def test_a_track_of_the_broadcast_that_comes_later_than_the_source_goes_on_behind_its_gaps() -> None:
    _, resume = broadcast_of(interleaved([video_config()], track(1, 4), [audio_config()], media(4)))
    config, *pictures = track(1, 12)
    late = [config._replace(stamp=4900), *(body for body in pictures if body.stamp >= 4900)]
    second = Packager(PackagerConfig(), epoch=2, resume=resume, target_duration_s=4)
    after = run(second, interleaved([video_config()], [audio_config()], media(12), late), T0 + 10_000_000)
    assert (second.contributed, second.given_up, second.problems) == (["360p"], [], {})
    headers = [append.header for append in of(after, "360p") if append.header.duration]
    assert headers[0].flags & ChunkFlag.GAP
    assert not headers[-1].flags & ChunkFlag.GAP
    assert frames(of(after, "360p")) == list(range(180, 360))
    behind = headers[2:]  # of the hole between the sessions
    assert all(one.dts + one.duration == two.dts for one, two in pairwise(behind))
    assert all(two.serial - one.serial in (0, 1) for one, two in pairwise(behind))
    assert {one.msn for one in headers} == {append.header.msn for append in of(after, SOURCE)}


def test_a_track_that_comes_after_it_was_given_up_is_left_out() -> None:
    _, resume = broadcast_of(interleaved([video_config()], track(1, 4), [audio_config()], media(4)))
    config, *pictures = track(1, 50)
    late = [config._replace(stamp=41_000), *(body for body in pictures if body.stamp >= 41_000)]
    second = Packager(PackagerConfig(), epoch=2, resume=resume, target_duration_s=4)
    run(second, interleaved([video_config()], [audio_config()], media(50), late), T0 + 10_000_000)
    assert (second.contributed, second.given_up) == ([], ["360p"])
    assert set(second.problems) == {"video_track_gone", "video_track_late"}


def later(bodies: list[Body], record: bytes, ms: int) -> list[Body]:
    """The same track again, `ms` later and behind another configuration."""
    config = video_tag("avc1", TagKind.CONFIG, key=True, track=1, data=record)
    return [Body(True, ms, config), *[body._replace(stamp=body.stamp + ms) for body in bodies[1:]]]


@pytest.mark.parametrize("source_too", [True, False])
def test_new_configuration_of_a_track_is_a_discontinuity_of_all(source_too: bool) -> None:
    source = [video_config(), *media(4, audio=False)]
    source += [video_config(OTHER_RECORD)._replace(stamp=4000)] if source_too else []
    source += media(4, start_ms=4000, audio=False)
    other = track(1, 4) + later(track(1, 4), OTHER_RECORD, 4000)
    packager = Packager(PackagerConfig())
    out = run(packager, interleaved([audio_config()], other, source, media(8, video=False)))
    counted = {
        name: {append.header.msn: append.header.dsn for append in of(out, name)} for name in packager.renditions
    }
    assert list(counted) == [SOURCE, "360p", AUDIO]
    assert counted[SOURCE] == counted["360p"] == counted[AUDIO] == {0: 0, 1: 0, 2: 1, 3: 1}
    assert {append.header.init for append in of(out, "360p") if append.header.msn >= 2} == {1}
    assert len(frames(of(out, "360p"))) == 240


def test_tracks_resume_behind_the_same_gap() -> None:
    def bodies() -> list[Body]:
        return interleaved([video_config()], track(1, 4), [audio_config()], media(4))

    first = Packager(PackagerConfig())
    before = run(first, bodies())
    resume = {
        name: ResumePoint(of(before, name)[-1].header, 1, output.timescale)
        for name, output in first.renditions.items()
    }
    inits = {name: output.inits for name, output in first.renditions.items()}
    second = Packager(PackagerConfig(), epoch=2, resume=resume, inits=inits, target_duration_s=4)
    after = run(second, bodies(), T0 + 10_000_000)
    both = {name: [append.header for append in of(before + after, name)] for name in (SOURCE, "360p")}
    assert {h.msn for h in both[SOURCE]} == {h.msn for h in both["360p"]}
    assert [h.msn for h in both[SOURCE] if h.flags & ChunkFlag.GAP] == [
        h.msn for h in both["360p"] if h.flags & ChunkFlag.GAP
    ]
    assert frames(of(after, "360p")) == list(range(120))
    assert all(header.init == 0 for header in both["360p"])


def test_a_track_that_the_broadcast_has_not_had_has_a_name_of_its_own() -> None:
    """The plain one may be that of a rendition which the transcoder makes."""
    both = interleaved([video_config()], track(1, 4), [audio_config()], media(4))
    _, resume = broadcast_of(interleaved([video_config()], [audio_config()], media(4)))
    second = Packager(PackagerConfig(), epoch=2, resume=resume, target_duration_s=4)
    after = run(second, both, T0 + 10_000_000)
    assert second.contributed == ["360pb"]
    assert second.problems == {}
    assert frames(of(after, "360pb")) == list(range(120))
    first = of(after, "360pb")[0].header
    assert (first.msn, first.dts) == next((a.header.msn, a.header.dts) for a in of(after, SOURCE) if a.data)
    points = {**resume, "360pb": ResumePoint(of(after, "360pb")[-1].header, 1, 90_000)}
    third = Packager(PackagerConfig(), epoch=3, resume=points, target_duration_s=4)
    run(third, both, T0 + 20_000_000)
    assert third.contributed == ["360pb"]


async def test_who_sends_several_tracks_comes_back_into_the_same_broadcast(site: Site) -> None:
    service = await site.ingest()
    bodies = interleaved([video_config()], track(1, 4), [audio_config()], media(4))
    for _ in range(2):
        client = await site.client(service)
        client.send(bodies)
        await until(lambda: site.state() is BroadcastState.LIVE)
        client.writer.write(client.encoder.command("FCUnpublish", 6, None, KEY))
        await until(lambda: site.state() is BroadcastState.INTERRUPTED)
    (record,) = site.log.broadcasts()
    assert (record.epoch, record.contributed) == (2, ["360p"])
    headers = [header for header, _ in site.log.chunks(record.broadcast_id, "360p")]
    assert {header.epoch for header in headers if not header.flags & ChunkFlag.GAP} == {1, 2}
    assert all(two.dts >= one.dts + one.duration for one, two in pairwise(headers))


def broadcast_of(bodies: list[Body], **options: object) -> tuple[list[Append], dict[str, ResumePoint]]:
    """A session of the broadcast, and where it leaves the log."""
    packager = Packager(PackagerConfig(), **options)  # type: ignore[arg-type]
    out = run(packager, bodies)
    points = {
        name: ResumePoint(of(out, name)[-1].header, 1, output.timescale)
        for name, output in packager.renditions.items()
    }
    return out, points


def ends_of_parts(appends: list[Append], name: str) -> list[int]:
    """Of segments that go on, and of the first session's hole."""
    found = [append.header for append in of(appends, name)]
    return [one.dts + one.duration for one in found if one.flags & ChunkFlag.LAST_OF_PART and one.duration]


@pytest.mark.parametrize("later_s", [4, 10])
def test_a_track_that_does_not_come_again_goes_on_in_gaps(later_s: int) -> None:
    before, resume = broadcast_of(interleaved([video_config()], track(1, 4), [audio_config()], media(4)))
    second = Packager(PackagerConfig(), epoch=2, resume=resume, target_duration_s=4)
    after = run(second, [video_config(), audio_config(), *media(10)], T0 + later_s * 1_000_000)
    headers = [append.header for append in of(before + after, "360p")]
    gaps = [append.header for append in of(after, "360p") if append.header.duration]
    assert all(header.flags & ChunkFlag.GAP for header in gaps)
    assert all(two.dts - one.dts - one.duration in range(9001) for one, two in pairwise(headers))
    assert all(header.duration <= 31_500 for header in gaps if header.dts >= 90_000 * (later_s + 1))
    assert {header.msn for header in headers} == {one.header.msn for one in of(before + after, SOURCE)}
    assert ends_of_parts(after, "360p") == ends_of_parts(after, SOURCE)
    starts = {one.msn: one.dts for one in reversed([append.header for append in of(after, SOURCE)])}
    assert starts == {one.msn: one.dts for one in reversed(gaps)}
    assert of(after, "360p")[-1].header.flags & ChunkFlag.LAST_OF_SEGMENT
    ends = [of(after, name)[-1].header for name in (SOURCE, "360p")]
    assert ends[0].dts + ends[0].duration - ends[1].dts - ends[1].duration <= 31_500
    assert second.given_up == []


def test_a_track_that_does_not_come_again_is_given_up() -> None:
    _, resume = broadcast_of(interleaved([video_config()], track(1, 4), [audio_config()], media(4)))
    second = Packager(PackagerConfig(), epoch=2, resume=resume, target_duration_s=4)
    after = run(second, [video_config(), audio_config(), *media(40)], T0 + 10_000_000)
    assert second.given_up == ["360p"]
    assert list(second.problems) == ["video_track_gone"]
    last = of(after, "360p")[-1].header
    assert last.flags & ChunkFlag.LAST_OF_SEGMENT
    assert 29 * 90_000 <= last.dts + last.duration - of(after, SOURCE)[0].header.dts <= 45 * 90_000


async def test_viewers_are_not_offered_a_track_that_was_given_up_before_it_comes_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.ingest.absent_path.GIVEN_UP_S", 2)
    service = await site.ingest()
    both = interleaved([video_config()], track(1, 4), [audio_config()], media(4))
    ladders = []
    for bodies in (both, [video_config(), audio_config(), *media(6)], both):
        client = await site.client(service)
        client.send(bodies)
        await until(lambda: site.state() is BroadcastState.LIVE)
        client.writer.write(client.encoder.command("FCUnpublish", 6, None, KEY))
        await until(lambda: site.state() is BroadcastState.INTERRUPTED)
        ladders.append(site.log.broadcasts()[0].ladder)
    (record,) = site.log.broadcasts()
    assert ladders == [[SOURCE, "360p"], [SOURCE], [SOURCE, "360p"]]
    assert record.contributed == ["360p"]
    headers = [header for header, _ in site.log.chunks(record.broadcast_id, "360p")]
    assert all(two.dts >= one.dts + one.duration for one, two in pairwise(headers))
    assert {header.epoch for header in headers if header.duration and not header.flags & ChunkFlag.GAP} == {1, 3}


async def test_a_rung_is_made_in_place_of_a_track_that_was_given_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a log of its own: the encoder may send the track again."""
    monkeypatch.setattr("edge.ingest.absent_path.GIVEN_UP_S", 2)
    service = await site.ingest()
    large = [video_config(OTHER_RECORD), audio_config(), *media(6)]
    both = interleaved(track(1, 6), large)
    ladders = []
    for bodies in (both, large, both):
        client = await site.client(service)
        client.send(bodies)
        await until(lambda: site.state() is BroadcastState.LIVE)
        client.writer.write(client.encoder.command("FCUnpublish", 6, None, KEY))
        await until(lambda: site.state() is BroadcastState.INTERRUPTED)
        ladders.append(site.log.broadcasts()[0].ladder)
    assert ladders == [
        [SOURCE, "720p", "480p", "360p"],
        [SOURCE, "720p", "480p", "360pr"],
        [SOURCE, "720p", "480p", "360pr", "360p"],
    ]
    assert site.log.broadcasts()[0].contributed == ["360p"]


def open_gop(bodies: list[Body]) -> list[Body]:
    """The same track with key frames that are no IDR pictures, but for the first: an SEI says that they are."""
    out, keys = [], 0
    for body in bodies:
        tag = parse_video(body.body)[0]
        keys += tag.key and tag.kind is TagKind.FRAME
        if tag.key and keys > 1:
            sei = b"\x06\x06\x01\xc4\x80"
            data = len(sei).to_bytes(4, "big") + sei + tag.data[:4] + b"\x41" + tag.data[5:]
            tagged = video_tag("avc1", TagKind.FRAME, key=True, track=tag.track, data=data)
            out.append(body._replace(body=tagged))
        else:
            out.append(body)
    return out


@pytest.mark.parametrize("repair", [True, False])
def test_open_gop_in_a_track(repair: bool) -> None:
    packager = Packager(PackagerConfig(repair=repair))
    bodies = interleaved([video_config()], open_gop(track(1, 6)), [audio_config()], media(6))
    out = run(packager, bodies)
    assert packager.given_up == (["360p"] if repair else [])
    assert list(packager.problems) == ["track_open_gop" if repair else "open_gop"]
    assert frames(of(out, "360p")) == list(range(180)), "who watches it goes on"
    assert packager.source_playable


async def test_a_rung_is_made_in_place_of_a_track_with_open_gop(site: Site) -> None:
    service = await site.ingest()
    large = [video_config(OTHER_RECORD), audio_config(), *media(6)]
    client = await site.client(service)
    client.send(interleaved(open_gop(track(1, 6)), large))
    await until(lambda: site.state() is BroadcastState.LIVE)
    client.writer.write(client.encoder.command("FCUnpublish", 6, None, KEY))
    await until(lambda: site.state() is BroadcastState.INTERRUPTED)
    assert site.log.broadcasts()[0].ladder == [SOURCE, "720p", "480p", "360pr"]


async def test_a_track_that_begins_later_is_offered(site: Site) -> None:
    service = await site.ingest()
    client = await site.client(service)
    config, *pictures = track(1, 6)
    late = [config._replace(stamp=2500), *(body for body in pictures if body.stamp >= 2500)]
    client.send(interleaved([video_config(), audio_config(), *media(6)], late))
    await until(lambda: site.state() is BroadcastState.LIVE)
    client.writer.write(client.encoder.command("FCUnpublish", 6, None, KEY))
    await until(lambda: site.state() is BroadcastState.INTERRUPTED)
    (record,) = site.log.broadcasts()
    assert (record.ladder, record.contributed) == ([SOURCE, "360pb"], ["360pb"])
    sent = [data for _, data in site.log.chunks(record.broadcast_id, "360pb")]
    assert numbers(sent) == list(range(120, 180))
