"""Pictures that come in another codec than before, over real sockets."""

import asyncio
import itertools

import msgspec
from flv_source import Body, audio_config, broadcast, media
from ingest_fakes import KEY, directory_with
from ingest_site import Site, until

from appliance.contracts import subjects
from appliance.contracts.directory import KeyRecord, secret_hash
from appliance.contracts.media import AUDIO, SOURCE, BroadcastState
from edge.protocols.fmp4 import read_fragments
from tests.media_tools import encoded
from tests.media_tools.bodies import interleaved, video_bodies


def with_hevc(start_s: float, seconds: float) -> list[Body]:
    """Sound as usual, pictures in HEVC."""
    pictures = video_bodies(
        "hvc1", encoded.video("hvc1", 10), frames=round(30 * seconds), start_ms=round(1000 * start_s)
    )
    sounds = [one for one in media(start_s + seconds, video=False) if one.stamp >= 1000 * start_s]
    return interleaved(pictures, sounds)


def codecs(site: Site) -> list[list[str]]:
    """Of the pictures of each broadcast."""
    return [
        [init.video.codec[:4] for init in site.log.rendition(record.broadcast_id, SOURCE).inits if init.video]
        for record in site.log.broadcasts()
    ]


def shown(site: Site, number: int) -> int:
    """Pictures in the log of one of the broadcasts."""
    record = site.log.broadcasts()[number]
    chunks = [data for _, data in site.log.chunks(record.broadcast_id, SOURCE) if data]
    return sum(len(one.samples) for data in chunks for one in read_fragments(data))


async def test_an_encoder_that_returns_with_another_codec_begins_a_new_broadcast(site: Site) -> None:
    service = await site.ingest()
    client = await site.client(service)
    client.send(broadcast(3))
    await until(lambda: site.state() is BroadcastState.LIVE)
    client.writer.transport.abort()
    await until(lambda: site.state() is BroadcastState.INTERRUPTED)
    client = await site.client(service)
    client.send([audio_config(), *with_hevc(0.0, 4.0)])
    await until(lambda: site.events() == ["started", "interrupted", "ended", "started"])
    assert codecs(site) == [["avc1"], ["hvc1"]]
    await until(lambda: shown(site, 1) >= 100)
    chunks = site.log.chunks(site.log.broadcasts()[1].broadcast_id, SOURCE)
    assert chunks[0][0].dts == 90_000, "nothing of what came is lost"


async def test_a_codec_that_changes_in_mid_stream_begins_a_new_broadcast(site: Site) -> None:
    service = await site.ingest()
    client = await site.client(service)
    client.send(broadcast(5))
    await until(lambda: site.state() is BroadcastState.LIVE)
    other = with_hevc(5.0, 5.0)
    client.send(one for one in other if one.stamp < 5_100)
    await until(lambda: site.events() == ["started", "ended"])
    client.send(one for one in other if one.stamp >= 5_100)
    await until(lambda: site.events() == ["started", "ended", "started"])
    assert codecs(site) == [["avc1"], ["hvc1"]]
    await until(lambda: shown(site, 1) >= 100)
    assert shown(site, 0) == 150
    first, second = site.log.broadcasts()
    assert site.log.chunks(second.broadcast_id, AUDIO)
    assert first.state is BroadcastState.ENDED


async def test_a_standby_encoder_with_another_codec_begins_a_new_broadcast(site: Site) -> None:
    site.directory = directory_with(KEY)
    record = KeyRecord(key_id="spare", channel_id="channel0", channel="name0", user_id="user", standby=True)
    site.directory.values[subjects.stream_key_key(secret_hash("spare"))] = msgspec.json.encode(record)
    service = await site.ingest()
    primary = await site.client(service)
    primary.send(broadcast(3))
    await until(lambda: site.state() is BroadcastState.LIVE)
    spare = await site.client(service, "spare")
    program = [audio_config(), *with_hevc(0.0, 20.0)]
    spare.send(one for one in program if one.stamp < 3_000)
    await asyncio.sleep(0.1)
    primary.writer.transport.abort()
    for at in range(3_000, 9_000, 100):
        spare.send(one for one in program if at <= one.stamp < at + 100)
        await asyncio.sleep(0.02)
    await until(lambda: codecs(site)[-1] == ["hvc1"])
    await until(lambda: shown(site, len(site.log.broadcasts()) - 1) >= 100)
    pictures = [header for header, _ in site.log.chunks(site.log.broadcasts()[-1].broadcast_id, SOURCE)]
    assert all(two.dts == one.dts + one.duration for one, two in itertools.pairwise(pictures)), "none is lost"


async def test_the_same_codec_in_another_form_goes_on(site: Site) -> None:
    service = await site.ingest()
    client = await site.client(service)
    client.send(broadcast(3))
    await until(lambda: site.state() is BroadcastState.LIVE)
    other = video_bodies("avc1", encoded.video("avc1", 10), frames=90, start_ms=3000)
    client.send(interleaved(other, [one for one in media(6, video=False) if one.stamp >= 3000]))
    await until(lambda: codecs(site) == [["avc1", "avc1"]])
    assert site.events() == ["started"]
