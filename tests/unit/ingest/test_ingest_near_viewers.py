"""Sound is cut as fine as pictures only while somebody watches who does not wait for parts."""

import msgspec
from flv_source import broadcast, media
from ingest_site import Site, until

from appliance.contracts.media import AUDIO, BroadcastState, ChunkFlag, ChunkHeader
from appliance.contracts.transcode import DemandRecord
from appliance.runtime.bus import LogMessage
from edge.ingest.near_viewers import FILTER, NearViewers


def record(origin: str, *broadcasts: str, near: bool = True) -> bytes:
    watchers = {one: {"source": 1} for one in broadcasts}
    return msgspec.json.encode(DemandRecord(origin=origin, near=near, watchers=watchers))


def test_what_is_told_holds_for_a_while() -> None:
    viewers = NearViewers()
    viewers.heard(record("whep-1", "a", "b"), 10.0)
    viewers.heard(record("whep-2", "b", "c"), 11.0)
    viewers.heard(record("hls", "d", near=False), 11.0)
    viewers.heard(b"{", 11.0)
    assert viewers.broadcasts(12.0) == {"a", "b", "c"}
    viewers.heard(record("whep-2"), 12.4)
    assert viewers.broadcasts(12.5) == set()


def chunks_per_part(headers: list[ChunkHeader]) -> float:
    return len(headers) / sum(bool(header.flags & ChunkFlag.LAST_OF_PART) for header in headers)


async def test_sound_is_cut_for_who_watches(site: Site) -> None:
    service = await site.ingest()
    client = await site.client(service)
    client.send(broadcast(3))
    await until(lambda: site.state() is BroadcastState.LIVE)
    broadcast_id = site.log.broadcasts()[0].broadcast_id

    def sound() -> list[ChunkHeader]:
        return [header for header, _ in site.log.chunks(broadcast_id, AUDIO)]

    await until(lambda: len(sound()) >= 7)
    assert chunks_per_part(sound()) < 1.2
    seen = len(sound())
    told = record("whep-1", broadcast_id)
    site.log.messages.append(LogMessage(len(site.log.messages) + 1, FILTER, told))
    await until(lambda: service.gate.sessions[0]._writer.packager._shared.fine)  # type: ignore[union-attr]
    client.send(media(2, start_ms=3000))
    await until(lambda: len(sound()) >= seen + 14)
    assert chunks_per_part(sound()[seen + 1 :]) > 2.5
