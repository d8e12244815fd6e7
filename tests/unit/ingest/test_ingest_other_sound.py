"""Sound that comes in another codec than before, over real sockets."""

import pytest
from flv_source import Body, audio_config, broadcast, media, video_config
from ingest_fakes import KEY, directory_with
from ingest_site import Site, until

from appliance.contracts.media import AUDIO, SOURCE, BroadcastState, ChunkFlag
from tests.media_tools import encoded
from tests.media_tools.bodies import audio_bodies, interleaved


def with_opus(start_s: float, seconds: float) -> list[Body]:
    """Pictures as usual, sound in Opus; from a key frame on, which is every two seconds."""
    start_ms = round(1000 * start_s)
    count = round(50 * seconds)
    sounds = audio_bodies("Opus", encoded.audio("Opus"), 960, frames=count, start_ms=start_ms)
    pictures = [one for one in media(start_s + seconds) if one.is_video and one.stamp >= start_ms]
    return interleaved(sounds, pictures)


def sounds_of(site: Site) -> list[list[str]]:
    """Codecs of the sound of each broadcast."""
    return [
        [init.audio.codec for init in site.log.rendition(record.broadcast_id, AUDIO).inits if init.audio]
        for record in site.log.broadcasts()
    ]


@pytest.mark.parametrize("stream_id", ["", "announced"])
async def test_an_encoder_that_returns_with_other_sound_begins_a_new_broadcast(site: Site, stream_id: str) -> None:
    site.directory = directory_with(KEY, stream_id=stream_id)
    service = await site.ingest()
    client = await site.client(service)
    client.send(broadcast(3))
    await until(lambda: site.state() is BroadcastState.LIVE)
    client.writer.transport.abort()
    await until(lambda: site.state() is BroadcastState.INTERRUPTED)
    client = await site.client(service)
    client.send([video_config(), *with_opus(0.0, 4.0)])
    await until(lambda: site.events() == ["started", "interrupted", "ended", "started"])
    first, second = site.log.broadcasts()
    assert (first.state, second.state) == (BroadcastState.ENDED, BroadcastState.LIVE)
    assert sounds_of(site) == [["mp4a.40.2"], ["opus"]]
    await until(lambda: len(site.log.chunks(second.broadcast_id, SOURCE)) > 8)
    chunks = site.log.chunks(second.broadcast_id, SOURCE)
    assert chunks[0][0].dts == 90_000, "nothing of what came is lost"


async def test_sound_that_changes_begins_a_new_broadcast_at_the_next_key_frame(site: Site) -> None:
    service = await site.ingest()
    client = await site.client(service)
    client.send([one for one in broadcast(5) if one.is_video or one.stamp < 4_900])
    await until(lambda: site.state() is BroadcastState.LIVE)
    client.send(with_opus(5.0, 4.0))
    await until(lambda: site.events() == ["started", "ended", "started"])
    first, second = site.log.broadcasts()
    assert sounds_of(site) == [["mp4a.40.2"], ["opus"]]
    assert site.log.chunks(first.broadcast_id, SOURCE)[-1][0].flags & ChunkFlag.LAST_OF_SEGMENT
    await until(lambda: site.log.chunks(second.broadcast_id, SOURCE))
    assert site.log.chunks(second.broadcast_id, SOURCE)[0][0].flags & ChunkFlag.INDEPENDENT
    client.writer.write(client.encoder.command("FCUnpublish", 6, None, KEY))
    await until(lambda: site.state() is BroadcastState.INTERRUPTED)


async def test_sound_that_is_made_into_aac_may_change(site: Site) -> None:
    service = await site.ingest()
    client = await site.client(service)
    client.send([video_config(), *with_opus(0.0, 4.0)])
    await until(lambda: site.state() is BroadcastState.LIVE)
    client.send([audio_config()._replace(stamp=4_000), *(one for one in media(8) if one.stamp >= 4_000)])
    await until(lambda: sounds_of(site) == [["opus", "mp4a.40.2"]])
    assert site.events() == ["started"]
