"""A standby encoder behind one whose pictures stop while its sound goes on, and behind one without any."""

import asyncio
import time
from collections.abc import Iterable

import msgspec
import pytest
from ingest_fakes import KEY, directory_with
from test_ingest_service import Site, until
from test_ingest_standby import SPARE, Encoder, media

from appliance.contracts import subjects
from appliance.contracts.directory import KeyRecord, secret_hash
from appliance.contracts.media import SOURCE, BroadcastState

STEP_MS = 100
OTHER = [
    body._replace(body=body.body[:-4] + b"othr") if body.is_video and body.body[1] == 1 else body
    for body in media(40, gop=15)
]
SOUND = media(40, video=False)


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> Iterable[Site]:  # type: ignore[misc]
    monkeypatch.setattr("edge.ingest.promotion._PICTURES_S", 0.4)
    monkeypatch.setattr("edge.ingest.promotion._REST_S", 0.5)
    made = Site()
    made.directory = directory_with(KEY)
    record = KeyRecord(key_id="spare", channel_id="channel0", channel="name0", user_id="user", standby=True)
    made.directory.values[subjects.stream_key_key(secret_hash(SPARE))] = msgspec.json.encode(record)
    yield made
    await made.close()


def without_pictures(begin_ms: int, end_ms: int = 1 << 30) -> list:  # type: ignore[type-arg]
    return [body for body in media(40, gop=15) if not (body.is_video and begin_ms <= body.stamp < end_ms)]


def slot(site: Site) -> str:
    return site.log.broadcasts()[0].slot


async def play(site: Site, encoders: list[Encoder], begin_ms: int, end_ms: int, *, until_slot: str = "") -> int:
    """As fast as it happens. Where it was when `until_slot` was on the air, else `end_ms`."""
    began = time.monotonic()
    for at in range(begin_ms, end_ms, STEP_MS):
        for encoder in encoders:
            encoder.send(at)
        await asyncio.sleep(max(0.0, began + (at - begin_ms) / 1000 - time.monotonic()))
        if until_slot and slot(site) == until_slot:
            return at
    return end_ms


async def started(site: Site, primary: Encoder, spare: Encoder) -> None:
    primary.send(2000)
    await until(lambda: site.state() is BroadcastState.LIVE)
    spare.skip(1900)
    await play(site, [primary, spare], 2000, 2600)
    assert slot(site) == "primary"


async def test_the_standby_shows_its_pictures_where_the_primary_has_none_and_gives_way(site: Site) -> None:
    service = await site.ingest(standby_return_s=0.6)
    primary = Encoder(await site.client(service), program=without_pictures(2600, 6500))
    spare = Encoder(await site.client(service, SPARE), program=OTHER)
    await started(site, primary, spare)
    at = await play(site, [primary, spare], 2600, 5600, until_slot="standby")
    assert slot(site) == "standby"
    await play(site, [primary, spare], at, 6400)
    assert slot(site) == "standby", "sound alone is not well"
    await play(site, [primary, spare], 6400, 9000, until_slot="primary")
    assert slot(site) == "primary"


@pytest.mark.parametrize("program", [without_pictures(2600), SOUND], ids=["neither has pictures", "never had any"])
async def test_a_standby_without_pictures_does_not_take_over(site: Site, program: list) -> None:  # type: ignore[type-arg]
    service = await site.ingest()
    primary = Encoder(await site.client(service), program=without_pictures(2600))
    spare = Encoder(await site.client(service, SPARE), program=program)
    await started(site, primary, spare)
    await play(site, [primary, spare], 2600, 5000)
    assert slot(site) == "primary"
    assert site.log.chunks(site.log.broadcasts()[0].broadcast_id, SOURCE)[-1][0].duration


@pytest.mark.parametrize("program", [OTHER, SOUND], ids=["pictures", "sound alone"])
async def test_a_primary_that_never_had_pictures_stays(site: Site, program: list) -> None:  # type: ignore[type-arg]
    service = await site.ingest(standby_stall_s=0.4)
    primary = Encoder(await site.client(service), program=SOUND)
    primary.send(4000)
    await until(lambda: site.state() is BroadcastState.LIVE)
    spare = Encoder(await site.client(service, SPARE), program=program)
    spare.skip(3900)
    await play(site, [primary, spare], 4000, 5500)
    assert slot(site) == "primary"


async def test_a_standby_of_a_primary_without_pictures_goes_on_where_it_stops(site: Site) -> None:
    service = await site.ingest(standby_stall_s=0.4)
    primary = Encoder(await site.client(service), program=SOUND)
    primary.send(4000)
    await until(lambda: site.state() is BroadcastState.LIVE)
    spare = Encoder(await site.client(service, SPARE), program=SOUND)
    spare.skip(3900)
    await play(site, [primary, spare], 4000, 4600)
    await primary.die()
    await play(site, [spare], 4600, 6600, until_slot="standby")
    assert slot(site) == "standby"


async def test_a_primary_with_a_picture_a_second_has_not_stalled(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sound waits in the log for the next one."""
    monkeypatch.setattr("edge.ingest.promotion._PICTURES_S", 1.5)
    service = await site.ingest(standby_stall_s=0.7)
    slow = [body for body in media(40, gop=30) if not body.is_video or body.body[0] == 0x17]
    primary = Encoder(await site.client(service), program=slow)
    spare = Encoder(await site.client(service, SPARE), program=OTHER)
    primary.send(2000)
    await until(lambda: site.state() is BroadcastState.LIVE)
    spare.skip(1900)
    await play(site, [primary, spare], 2000, 7000)
    assert slot(site) == "primary"
