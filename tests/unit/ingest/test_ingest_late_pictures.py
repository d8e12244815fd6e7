"""Pictures of an encoder that seemed to send sound alone, over real sockets."""

import asyncio
from itertools import pairwise

from flv_source import audio_config, media, sound, video_config
from ingest_site import Client, Site, until

from appliance.contracts.media import AUDIO, SOURCE, BroadcastState
from edge.protocols.fmp4 import read_fragments


def sounds(site: Site) -> list[int]:
    """Numbers of the frames in the log."""
    (record,) = site.log.broadcasts()
    chunks = [data for _, data in site.log.chunks(record.broadcast_id, AUDIO) if data]
    return [
        int.from_bytes(bytes(sample.data), "big")
        for data in chunks
        for one in read_fragments(data)
        for sample in one.samples
        if len(sample.data) == len(sound(0, stamp=0).body) - 2
    ]


async def send(client: Client, begin_ms: int, end_ms: int, *, blind: bool) -> None:
    for at in range(begin_ms, end_ms, 100):
        client.send(one for one in media(12) if at <= one.stamp < at + 100 and not (blind and one.is_video))
        await asyncio.sleep(0.02)


async def test_they_are_shown_in_the_same_broadcast(site: Site) -> None:
    service = await site.ingest()
    client = await site.client(service)
    client.send([audio_config()])
    await send(client, 0, 4_000, blind=True)
    await until(lambda: site.state() is BroadcastState.LIVE)
    assert site.log.broadcasts()[0].ladder == []
    client.send([video_config()._replace(stamp=4_000)])
    await send(client, 4_000, 8_000, blind=False)
    await until(lambda: site.log.broadcasts()[0].has_video)
    (record,) = site.log.broadcasts()
    assert record.ladder == [SOURCE]
    assert record.problems == []
    await until(lambda: len(site.log.chunks(record.broadcast_id, SOURCE)) > 8)
    await until(lambda: sounds(site)[-1] > 350)
    heard = sounds(site)
    assert all(after > before for before, after in pairwise(heard))
    assert len(heard) >= heard[-1] - 3
    for name in (SOURCE, AUDIO):
        headers = [header for header, _ in site.log.chunks(record.broadcast_id, name)]
        assert all(after.dts >= before.dts + before.duration for before, after in pairwise(headers))
    assert site.events() == ["started"]
    assert await client_is_there(client)


async def client_is_there(client: Client) -> bool:
    return not client.writer.transport.is_closing()
