"""Pictures of live channels: read once for all who ask, kept for a moment, and answered as caches want them."""

import asyncio

import pytest
from origin_fakes import BROADCAST, broadcast, put_broadcast

from appliance.contracts.errors import UnavailableError
from appliance.contracts.media import BroadcastState
from appliance.contracts.subjects import preview_key, sheet_key, storyboard_key
from edge.origin.thumbs import _READING_AT_MOST

AT = "Tue, 14 Nov 2023 22:13:20 GMT"
LATER = "Tue, 14 Nov 2023 22:13:30 GMT"


@pytest.fixture
async def gallery(make_origin):
    """A live channel with a few pictures."""
    origin = await make_origin()
    origin.go_live()
    for size, form in ((320, "jpg"), (640, "jpg"), (640, "webp"), (1280, "webp")):
        origin.shelf.put(preview_key(BROADCAST, size, form), f"{size} {form}".encode())
    origin.shelf.put(storyboard_key(BROADCAST), b"WEBVTT\n")
    origin.shelf.put(sheet_key(BROADCAST, 12), b"tiles")
    return origin


@pytest.mark.parametrize(
    ("path", "kind", "body"),
    [
        ("alice.jpg", "image/jpeg", b"640 jpg"),
        ("alice.webp", "image/webp", b"640 webp"),
        ("alice/320.jpg", "image/jpeg", b"320 jpg"),
        ("alice/1280.webp", "image/webp", b"1280 webp"),
        ("alice/storyboard.vtt", "text/vtt; charset=utf-8", b"WEBVTT\n"),
        ("alice/sheet-12.jpg?v=1", "image/jpeg", b"tiles"),
    ],
)
async def test_every_picture_has_its_path(gallery, path, kind, body):
    client = await gallery.client()
    answer = await client.get(f"/thumb/{path}")
    assert (answer.status, answer.headers["content-type"], answer.raw) == (200, kind, body)
    assert answer.headers["cache-control"] == "public, max-age=5"
    assert answer.headers["last-modified"] == AT
    assert answer.headers["etag"].startswith('"')
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["x-content-type-options"] == "nosniff"
    head = await client.get(f"/thumb/{path}", "HEAD")
    assert (head.status, head.headers["content-length"], head.raw) == (200, str(len(body)), b"")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("nobody.jpg", 404),
        ("bob.jpg", 410),
        ("bob/storyboard.vtt", 410),
        ("alice/320.webp", 404),
        ("alice/sheet-0.jpg", 404),
        ("alice/100.jpg", 404),
        ("alice.png", 404),
        ("alice", 404),
        ("alice/sheet-1234567.jpg", 404),
        ("alice/jpg/jpg.jpg", 404),
        ("", 404),
    ],
)
async def test_what_is_not_there_is_said_as_for_playlists(gallery, path, status):
    client = await gallery.client()
    answer = await client.get(f"/thumb/{path}")
    assert answer.status == status
    if path != "alice/jpg/jpg.jpg":
        assert answer.headers["cache-control"] == "public, max-age=0, s-maxage=1"
        assert answer.headers["access-control-allow-origin"] == "*"


async def test_a_broadcast_that_ended_has_no_picture(gallery):
    client = await gallery.client()
    assert (await client.get("/thumb/alice.jpg")).status == 200
    put_broadcast(gallery.catalogue, broadcast(state=BroadcastState.ENDED))
    assert (await client.get("/thumb/alice.jpg")).status == 410


async def test_conditional_requests(gallery):
    client = await gallery.client()
    whole = await client.get("/thumb/alice.jpg")
    etag = whole.headers["etag"]
    for conditions in (
        {"If_None_Match": etag},
        {"If_None_Match": f'"x", W/{etag}'},
        {"If_None_Match": "*"},
        {"If_Modified_Since": AT},
        {"If_Modified_Since": LATER},
        {"If_None_Match": etag, "If_Modified_Since": "Mon, 01 Jan 2001 00:00:00 GMT"},
    ):
        answer = await client.get("/thumb/alice.jpg", **conditions)
        assert answer.status == 304, conditions
        assert answer.headers["etag"] == etag
        assert "content-length" not in answer.headers and "content-type" not in answer.headers
    for conditions in (
        {"If_None_Match": '"x"'},
        {"If_None_Match": '"x"', "If_Modified_Since": LATER},
        {"If_Modified_Since": "Mon, 01 Jan 2001 00:00:00 GMT"},
        {"If_Modified_Since": "yesterday"},
    ):
        assert (await client.get("/thumb/alice.jpg", **conditions)).status == 200, conditions
    gallery.shelf.put(preview_key(BROADCAST, 640, "jpg"), b"next", 1_700_000_010_000)
    gallery.skew += 3
    changed = await client.get("/thumb/alice.jpg", If_None_Match=etag, If_Modified_Since=AT)
    assert (changed.status, changed.raw) == (200, b"next")
    assert changed.headers["last-modified"] == LATER
    missing = await client.get("/thumb/alice/320.webp", If_None_Match="*")
    assert missing.status == 404


async def test_equal_requests_wait_for_one_reading(gallery):
    gallery.shelf.open.clear()
    clients = [await gallery.client() for _ in range(5)]
    for client in clients:
        client.send("/thumb/alice.jpg")
    clients[0].send("/thumb/alice/320.jpg")
    await asyncio.sleep(0.05)
    assert gallery.shelf.gets == 1
    assert len(gallery.server.held) == 5
    clients[4].writer.close()
    gallery.shelf.open.set()
    answers = [await asyncio.wait_for(client.receive(), 2) for client in clients[:4]]
    assert {answer.raw for answer in answers} == {b"640 jpg"}
    assert (await asyncio.wait_for(clients[0].receive(), 2)).raw == b"320 jpg"
    assert gallery.shelf.gets == 2
    await clients[1].get("/thumb/alice.jpg")
    assert gallery.shelf.gets == 2, "kept for a moment"
    gallery.skew += 3
    await clients[1].get("/thumb/alice.jpg")
    assert gallery.shelf.gets == 3


async def test_conditions_of_those_who_wait_are_their_own(gallery):
    client, other = await gallery.client(), await gallery.client()
    etag = (await client.get("/thumb/alice.jpg")).headers["etag"]
    gallery.skew += 3
    gallery.shelf.open.clear()
    client.send("/thumb/alice.jpg", If_None_Match=etag)
    other.send("/thumb/alice.jpg")
    await asyncio.sleep(0.05)
    gallery.shelf.open.set()
    assert (await asyncio.wait_for(client.receive(), 2)).status == 304
    assert (await asyncio.wait_for(other.receive(), 2)).status == 200


async def test_a_bus_that_is_away_is_503_and_not_remembered(gallery):
    client = await gallery.client()
    gallery.shelf.failure = UnavailableError("away")
    answer = await client.get("/thumb/alice.jpg")
    assert (answer.status, answer.headers["cache-control"]) == (503, "no-store")
    gallery.shelf.failure = None
    assert (await client.get("/thumb/alice.jpg")).status == 200
    assert gallery.tally.events["pictures_away"] == 1


async def test_what_is_kept_is_bounded_in_bytes(make_origin):
    origin = await make_origin(picture_bytes=10_000)
    origin.go_live()
    client = await origin.client()
    for number in range(12):
        origin.shelf.put(sheet_key(BROADCAST, number), bytes(3000))
        assert (await client.get(f"/thumb/alice/sheet-{number}.jpg")).status == 200
        assert origin.thumbs.held_bytes <= 10_000
    await client.get("/thumb/alice/sheet-11.jpg")
    assert origin.shelf.gets == 12
    await client.get("/thumb/alice/sheet-0.jpg")
    assert origin.shelf.gets == 13
    for number in range(100, 200):
        await client.get(f"/thumb/alice/sheet-{number}.jpg")
    assert origin.thumbs.held_bytes <= 10_000, "what is not there is bounded as well"


async def test_readings_at_once_are_bounded(gallery):
    gallery.shelf.open.clear()
    clients = [await gallery.client() for _ in range(_READING_AT_MOST + 1)]
    for number, client in enumerate(clients):
        client.send(f"/thumb/alice/sheet-{number}.jpg")
        if number == _READING_AT_MOST - 1:
            await asyncio.sleep(0.1)
    assert (await asyncio.wait_for(clients[-1].receive(), 2)).status == 503
    gallery.shelf.open.set()
    assert (await asyncio.wait_for(clients[0].receive(), 2)).status == 404


async def test_an_unreadable_picture_is_none(gallery):
    gallery.shelf.values[preview_key(BROADCAST, 640, "jpg")] = b"junk"
    client = await gallery.client()
    assert (await client.get("/thumb/alice.jpg")).status == 404
    assert gallery.tally.events["bad_record"] == 1


async def test_the_list_of_channels_names_the_picture(gallery):
    client = await gallery.client()
    assert b'"thumbnail":"/thumb/alice.jpg"' in (await client.get("/live/channels.json")).raw
    put_broadcast(gallery.catalogue, broadcast(has_video=False))
    assert b'"thumbnail":null' in (await client.get("/live/channels.json")).raw
