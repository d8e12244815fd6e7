"""kill -9 of each role while somebody watches: the media path loses nothing, the rest is not noticed."""

import pytest

from tests.e2e.e2e_checks import (
    VIDEO,
    assert_every_picture,
    assert_in_step,
    assert_nothing_missing,
    assert_playlists_honest,
    assert_same_segments,
    runs_of,
)
from tests.e2e.e2e_node import Node
from tests.media_tools.clips import RATE, ClipMaker
from tests.media_tools.frames import pictures
from tests.media_tools.hls_client import HlsRecorder
from tests.media_tools.publisher import Publisher, RestartingPublisher

pytestmark = pytest.mark.e2e

READY_S = 15.0


def longest_waits(recorder: HlsRecorder, killed: float) -> dict[str, float]:
    """Longest time without a new part after a kill, by rendition; printed for the record."""
    waits = {name: round(track.longest_wait(killed), 2) for name, track in recorder.tracks.items()}
    print(f"longest time without a new part after the kill: {waits}")
    return waits


async def test_transcoder_killed(victim: Node, clips: ClipMaker) -> None:
    clip = clips.clip(12)
    channel = victim.channel("transcode")
    with Publisher(clip, channel.publish_url):
        async with HlsRecorder(victim.hls(channel)) as recorder:
            await recorder.start()
            await recorder.wait_for(4, 20)
            killed = await recorder.meanwhile(victim.kill, "transcode")
            await recorder.wait_over(40)
    victim.wait_ready(READY_S, "transcode")
    assert_playlists_honest(recorder.tracks.values())
    assert_nothing_missing(recorder)
    assert_same_segments(recorder)
    for name in VIDEO:
        assert_every_picture(recorder.tracks[name], 0, clip.frames - 1)
    waits = longest_waits(recorder, killed)
    assert waits["source"] < 1.5
    assert max(waits.values()) < 3.0


def assert_one_hole(recorder: HlsRecorder) -> tuple[set[int], set[int]]:
    """The gaps of all renditions, and the segment that may be a gap in some of them alone: of the one that was
    being written the log may have the beginning of the picture and nothing of the sound yet."""
    gaps = {name: set(track.gaps) for name, track in recorder.tracks.items()}
    hole = set.intersection(*gaps.values())
    assert hole, gaps
    alone = set.union(*gaps.values()) - hole
    assert alone <= {min(hole) - 1}, gaps
    return hole, alone


async def test_ingest_killed(victim: Node, clips: ClipMaker) -> None:
    clip = clips.clip(16)
    channel = victim.channel("ingest")
    # Who comes back at once may continue where the log ends; this one is away for longer than a GOP.
    with RestartingPublisher(clip, channel.publish_url, pause_s=3.0) as publisher:
        async with HlsRecorder(victim.hls(channel)) as recorder:
            await recorder.start()
            await recorder.wait_for(4, 20)
            before = await recorder.meanwhile(victim.broadcast, channel)
            await recorder.meanwhile(victim.kill, "ingest")
            await recorder.wait_for(8, 30)
            after = await recorder.meanwhile(victim.broadcast, channel)
            await recorder.wait_over(40)
        assert publisher.runs >= 2
    victim.wait_ready(READY_S, "ingest")
    assert before is not None and after is not None
    assert after["broadcast_id"] == before["broadcast_id"] == recorder.broadcast
    assert_playlists_honest(recorder.tracks.values())
    source = [picture.number for picture in pictures(recorder.tracks["source"])]
    first, *later = runs_of(source)
    assert first[0] == 0
    assert later, "the publisher did not come back"
    assert later[-1][-1] == clip.frames - 1
    assert all(run[0] % (2 * RATE) == 0 for run in later), "a return begins with a key frame"
    for name in VIDEO[1:]:
        assert [picture.number for picture in pictures(recorder.tracks[name])] == source, name
    hole, killed_in = assert_one_hole(recorder)
    assert_same_segments(recorder, cut={msn - 1 for msn in hole} | killed_in)
    assert_in_step(recorder, holes=1)


@pytest.mark.slow  # a page that watches an origin being killed is among the quick ones
async def test_origin_killed(victim: Node, clips: ClipMaker) -> None:
    clip = clips.clip(13)
    channel = victim.channel("origin")
    with Publisher(clip, channel.publish_url):
        async with HlsRecorder(victim.hls(channel)) as recorder:
            await recorder.start()
            await recorder.wait_for(4, 20)
            killed = await recorder.meanwhile(victim.kill, "origin")
            await recorder.wait_for(8, 20)
            changed = await recorder.verify_again()
            await recorder.wait_over(40)
    victim.wait_ready(READY_S, "origin")
    assert not changed
    assert_playlists_honest(recorder.tracks.values())
    assert_nothing_missing(recorder)
    assert_same_segments(recorder)
    for name in VIDEO:
        assert_every_picture(recorder.tracks[name], 0, clip.frames - 1)
    assert max(longest_waits(recorder, killed).values()) < 5.0


async def test_edge_bus_killed(victim: Node, clips: ClipMaker) -> None:
    clip = clips.clip(12)
    channel = victim.channel("bus")
    before = {name: role.restarts for name, role in victim.roles().items()}
    with Publisher(clip, channel.publish_url) as publisher:
        async with HlsRecorder(victim.hls(channel)) as recorder:
            await recorder.start()
            await recorder.wait_for(4, 20)
            killed = await recorder.meanwhile(victim.kill, "nats-edge")
            await recorder.wait_over(50)
        code, said = publisher.wait(5)
    victim.wait_ready(READY_S, "nats-edge")
    after = {name: role.restarts for name, role in victim.roles().items()}
    longest_waits(recorder, killed)
    assert code == 0, said
    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {"nats-edge": 1}
    assert_playlists_honest(recorder.tracks.values())
    assert_nothing_missing(recorder)
    for name in VIDEO:
        assert_every_picture(recorder.tracks[name], 0, clip.frames - 1)
    assert_same_segments(recorder)


async def test_roles_beside_the_media_path_killed(victim: Node, clips: ClipMaker) -> None:
    clip = clips.clip(60)
    channel = victim.channel("beside")
    recovered = {}
    with Publisher(clip, channel.publish_url) as publisher:
        async with HlsRecorder(victim.hls(channel)) as recorder:
            await recorder.start()
            await recorder.wait_for(3, 20)
            first = None
            for role in ("coordinator", "postgres", "valkey", "agent", "nats-hub"):
                killed = await recorder.meanwhile(victim.kill, role)
                first = first or killed
                recovered[role] = round(await recorder.meanwhile(victim.wait_ready, READY_S, role), 2)
            await recorder.wait_for(recorder.tracks["source"].seconds + 2, 10)
            publisher.stop()
            await recorder.wait_over(40)
    print("ready again after", recovered)
    assert first is not None
    assert max(longest_waits(recorder, first).values()) < 1.5
    assert_playlists_honest(recorder.tracks.values())
    assert_nothing_missing(recorder)
    shown = pictures(recorder.tracks["source"])
    for name in VIDEO:
        assert_every_picture(recorder.tracks[name], 0, shown[-1].number)
