"""Media is cut finer than parts only while somebody takes it who does not wait for parts; parts wait for nobody."""

import asyncio

import msgspec
import pytest
from flv_source import OTHER_RECORD, Body, audio_config, media, video_config
from ingest_site import Client, Site, until

from appliance.contracts import subjects
from appliance.contracts.media import AUDIO, SOURCE, BroadcastState, ChunkFlag, ChunkHeader
from appliance.contracts.session import SessionRecord
from appliance.contracts.transcode import DemandRecord
from appliance.runtime.bus import LogMessage
from appliance.runtime.clock import now_ms
from edge.ingest.eager_readers import DEMANDS, LEASES, EagerReaders
from edge.ingest.service import IngestService

DEMAND, LEASE = DEMANDS.removesuffix("*"), LEASES.removesuffix("*")


def record(origin: str, *broadcasts: str, near: bool = True) -> bytes:
    watchers = {one: {"source": 1} for one in broadcasts}
    return msgspec.json.encode(DemandRecord(origin=origin, near=near, watchers=watchers))


def test_what_is_told_of_viewers_holds_for_a_while() -> None:
    readers = EagerReaders(lease_s=2.0)
    assert readers.heard(DEMAND + "whep-1", record("whep-1", "a", "b"), {}, 10.0)
    assert readers.heard(DEMAND + "whep-2", record("whep-2", "b", "c"), {}, 11.0)
    assert readers.heard(DEMAND + "hls", record("hls", "d", near=False), {}, 11.0)
    assert not readers.heard(DEMAND + "hls", record("hls", "d", near=False), {}, 11.8)  # told again: no news
    assert not readers.heard(DEMAND + "bad", b"{", {}, 11.0)
    assert readers.at(12.0) == ({"a", "b", "c"}, set(), {"d"})
    assert readers.heard(DEMAND + "whep-2", record("whep-2"), {}, 12.4)
    assert readers.at(12.5) == (set(), set(), {"d"})
    assert readers.at(14.4) == (set(), set(), set())
    assert readers.heard(DEMAND + "hls", record("hls", "d", near=False), {}, 14.5)


def test_a_lease_holds_until_it_is_given_back_or_runs_out() -> None:
    readers = EagerReaders(lease_s=2.0)
    readers.await_transcoder("c", 10.0)
    assert readers.heard(LEASE + "a", b"{}", {}, 10.0)
    assert readers.heard(LEASE + "b", b"{}", {}, 10.5)
    assert not readers.heard(LEASE + "b", b"{}", {}, 11.5)  # renewed: no news
    assert readers.at(11.6).transcoders == {"a", "b", "c"}
    assert readers.at(12.1).transcoders == {"b"}
    assert readers.heard(LEASE + "b", b"", {"KV-Operation": "DEL"}, 12.2)
    assert not readers.heard(LEASE + "b", b"", {"KV-Operation": "DEL"}, 12.3)
    assert readers.at(12.4).transcoders == set()


def large(seconds: float) -> list[Body]:
    """Pictures of which rungs are made."""
    return [video_config(OTHER_RECORD), audio_config(), *media(seconds)]


class OnTheAir:
    """One publisher whose broadcast nobody reads eagerly yet."""

    def __init__(self, site: Site, service: IngestService, client: Client) -> None:
        self.site, self.service, self.client = site, service, client
        self.broadcast_id = site.log.broadcasts()[0].broadcast_id
        self.sent_ms = 3000

    def is_fine(self) -> tuple[bool, bool]:
        shared = self.service.gate.sessions[0]._writer.packager._shared  # type: ignore[union-attr]
        return shared.fine_pictures, shared.fine_sound

    def tell(self, subject: str, data: bytes) -> None:
        self.site.log.messages.append(LogMessage(len(self.site.log.messages) + 1, subject, data))

    def headers(self, name: str) -> list[ChunkHeader]:
        return [header for header, _ in self.site.log.chunks(self.broadcast_id, name)]

    async def chunks_per_part(self, name: str) -> float:
        """Of two seconds that are sent."""
        seen = len(self.headers(name))
        self.client.send(media(2, start_ms=self.sent_ms))
        self.sent_ms += 2000

        def ends() -> list[bool]:
            return [bool(one.flags & ChunkFlag.LAST_OF_PART) for one in self.headers(name)[seen + 1 :]]

        await until(lambda: sum(ends()) >= 5)
        return len(ends()) / sum(ends())


@pytest.fixture
async def on_the_air(site: Site) -> OnTheAir:
    service = await site.ingest()
    client = await site.client(service)
    client.send(large(3))
    await until(lambda: site.state() is BroadcastState.LIVE)
    one = OnTheAir(site, service, client)
    service._readers.tell()
    service._readers._readers._leased.clear()  # nobody takes it up
    service._readers.tell()
    assert one.is_fine() == (False, False)
    return one


async def test_a_part_is_one_message_when_nobody_is_eager(on_the_air: OnTheAir) -> None:
    assert await on_the_air.chunks_per_part(SOURCE) < 1.3
    assert await on_the_air.chunks_per_part(AUDIO) < 1.3


async def test_pictures_are_cut_for_a_transcoder(on_the_air: OnTheAir) -> None:
    on_the_air.tell(LEASE + on_the_air.broadcast_id, b"{}")
    await until(lambda: on_the_air.is_fine() == (True, False))
    assert await on_the_air.chunks_per_part(SOURCE) > 2.5
    assert await on_the_air.chunks_per_part(AUDIO) < 1.3


@pytest.mark.parametrize(
    ("ladder", "is_fine"), [([SOURCE, "480p", "360p"], True), ([SOURCE, "480p"], False), ([SOURCE], False)]
)
async def test_nothing_is_cut_for_one_who_makes_no_rungs_of_it(
    on_the_air: OnTheAir, ladder: list[str], is_fine: bool
) -> None:
    """But takes pictures of it for the pages, every few seconds. The 480p come from the encoder."""
    writer = on_the_air.service.gate.sessions[0]._writer
    assert writer is not None
    writer.broadcast = msgspec.structs.replace(writer.broadcast, ladder=ladder, contributed=["480p"])
    on_the_air.service._readers._readers.heard(
        LEASE + on_the_air.broadcast_id, b"{}", {}, asyncio.get_running_loop().time()
    )
    on_the_air.service._readers.tell()
    assert on_the_air.is_fine() == (is_fine, False)


async def test_sound_too_is_cut_for_who_watches(on_the_air: OnTheAir) -> None:
    on_the_air.tell(DEMAND + "whep-1", record("whep-1", on_the_air.broadcast_id))
    await until(lambda: on_the_air.is_fine() == (True, True))
    assert await on_the_air.chunks_per_part(SOURCE) > 2.5
    assert await on_the_air.chunks_per_part(AUDIO) > 2.5


async def test_parts_are_not_cut_for_who_waits_for_them_but_leave_at_once(on_the_air: OnTheAir) -> None:
    session = on_the_air.service.gate.sessions[0]
    assert not session.is_prompt
    on_the_air.tell(DEMAND + "hls", record("hls", on_the_air.broadcast_id, near=False))
    await until(lambda: session.is_prompt)
    assert on_the_air.is_fine() == (False, False)
    assert await on_the_air.chunks_per_part(SOURCE) < 1.3


async def test_pictures_are_cut_for_a_publisher_that_waits_behind(on_the_air: OnTheAir) -> None:
    key = on_the_air.service.gate.sessions[0].key
    waiting = SessionRecord(
        session_id="s", channel_id=key.channel_id, channel=key.channel, broadcast_id="", slot="standby",
        kind="rtmp", address="", encoder="", since_ms=0, at_ms=now_ms(),
    )  # fmt: skip
    name = subjects.session_key(key.channel_id, "standby")
    on_the_air.site.log.live[name] = msgspec.json.encode(waiting)
    on_the_air.service._readers.tell()
    assert on_the_air.is_fine() == (True, False)
    ended = msgspec.structs.replace(waiting, ended_at_ms=1)
    on_the_air.site.log.live[name] = msgspec.json.encode(ended)
    on_the_air.service._readers.tell()
    assert on_the_air.is_fine() == (False, False)


async def test_a_broadcast_that_begins_is_cut_for_the_transcoder_to_come(site: Site) -> None:
    service = await site.ingest()
    client = await site.client(service)
    client.send(large(2))
    await until(lambda: site.state() is BroadcastState.LIVE)
    service._readers.tell()
    shared = service.gate.sessions[0]._writer.packager._shared  # type: ignore[union-attr]
    assert (shared.fine_pictures, shared.fine_sound) == (True, False)
