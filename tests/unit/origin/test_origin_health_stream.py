"""A streamer's own page is told how the stream arrives; nobody else is."""

import asyncio
import json

import msgspec
import pytest
from origin_fakes import broadcast, put_broadcast

from appliance.contracts.health import Advice, HealthReport, Severity, VideoHealth
from appliance.contracts.media import BroadcastState
from appliance.contracts.subjects import health_key

PATH = "/live/alice/health"


@pytest.fixture
async def site(make_origin):
    origin = await make_origin(health_clients=3)
    origin.go_live()
    origin.directory.add_token("mine", "u")
    origin.directory.add_token("other", "somebody")
    return origin


def report(at_ms=5000):
    advice = Advice(code="keyframe_interval", severity=Severity.WARNING, text="Key frames.", setting="set 2 s")
    return HealthReport(at_ms=at_ms, since_ms=1000, video=VideoHealth(width=1280, height=720), advice=[advice])


def tell(origin, channel_id="id-alice", value=None):
    origin.catalogue.live_changed(health_key(channel_id), msgspec.json.encode(value or report()))


async def event(client):
    while True:
        found = await asyncio.wait_for(client.reader.readuntil(b"\n\n"), 1)
        if found.startswith(b"event: health\ndata: "):
            return json.loads(found.removeprefix(b"event: health\ndata: "))


@pytest.mark.parametrize("how", ["header", "query"])
async def test_the_owner_hears_at_once_and_at_each_change(site, how):
    tell(site)
    client = await site.client()
    if how == "header":
        client.send(PATH, Authorization="Bearer mine")
    else:
        client.send(f"{PATH}?token=mine")
    head = await client.receive()
    assert head.headers["content-type"] == "text/event-stream"
    assert head.headers["cache-control"] == "no-store"
    first = await event(client)
    assert (first["state"], first["channel"], first["report"]["at_ms"]) == ("live", "alice", 5000)
    assert first["report"]["advice"][0]["setting"] == "set 2 s"
    tell(site, value=report(7000))
    site.health.tick(1e9)
    assert (await event(client))["report"]["at_ms"] == 7000
    put_broadcast(site.catalogue, broadcast(state=BroadcastState.ENDED))
    site.health.tick(2e9)
    ended = await event(client)
    assert (ended["state"], ended["report"]) == ("offline", None)


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (PATH, {}, 401),
        (PATH, {"Authorization": "Bearer wrong"}, 401),
        (PATH, {"Authorization": "Basic mine"}, 401),
        (f"{PATH}?token=", {}, 401),
        (f"{PATH}?token={'x' * 300}", {}, 401),
        (PATH, {"Authorization": "Bearer other"}, 403),
        ("/live/nobody/health", {"Authorization": "Bearer mine"}, 404),
    ],
)
async def test_nobody_else_does(site, path, headers, status):
    answer = await (await site.client()).get(path, **headers)
    assert answer.status == status
    assert answer.headers["cache-control"] == "no-store"


async def test_revoked_and_expired_tokens(site):
    client = await site.client()
    site.directory.add_token("mine", "u", expires_at_ms=999)
    assert (await client.get(PATH, Authorization="Bearer mine")).status == 401
    site.directory.add_token("mine", "u", revoked=True)
    assert (await client.get(PATH, Authorization="Bearer mine")).status == 401


async def test_a_stream_ends_with_its_token(site):
    client = await site.client()
    client.send(PATH, Authorization="Bearer mine")
    await client.receive()
    await event(client)
    site.directory.remove_token("mine")
    site.health.tick(1e9)
    assert await asyncio.wait_for(client.reader.read(), 1) == b""


async def test_streams_are_bounded(site):
    for _ in range(3):
        client = await site.client()
        client.send(PATH, Authorization="Bearer mine")
        await client.receive()
    refused = await (await site.client()).get(PATH, Authorization="Bearer mine")
    assert refused.status == 503


async def test_it_can_only_be_read(site):
    assert (await (await site.client()).get(PATH, method="HEAD", Authorization="Bearer mine")).status == 405


async def test_a_damaged_report_is_counted_and_the_last_one_stays(site):
    tell(site)
    site.catalogue.live_changed(health_key("id-alice"), b"{")
    assert site.tally.events["bad_record"] == 1
    assert json.loads(site.catalogue.health_document("alice"))["report"]["at_ms"] == 5000
    site.catalogue.live_changed(health_key("id-alice"), None)
    assert json.loads(site.catalogue.health_document("alice"))["report"] is None


async def test_before_anything_is_known(site):
    put_broadcast(site.catalogue, broadcast(state=BroadcastState.ENDED))
    client = await site.client()
    client.send(PATH, Authorization="Bearer mine")
    await client.receive()
    first = await event(client)
    assert (first["state"], first["report"]) == ("offline", None)
    site.health.tick(1e9)
    site.health.tick(1e9 + 20)
    assert b": still here" in await asyncio.wait_for(client.reader.readuntil(b"\n\n"), 1)
