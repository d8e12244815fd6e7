"""The origin over real loopback sockets: LL-HLS requirements 1.2 to 1.4 as a player meets them."""

import asyncio
import gzip
import json
import socket

import msgspec
import pytest
from origin_fakes import BROADCAST, Client, broadcast, put_broadcast, put_rendition, rendition, settled

from appliance.contracts.media import AudioFormat
from edge.protocols.hls import media_parser, multivariant

SOURCE = f"/media/{BROADCAST}/source"
AUDIO = f"/media/{BROADCAST}/audio"


async def playlist(client, path=f"{SOURCE}/index.m3u8"):
    answer = await client.get(path)
    assert answer.status == 200, answer.raw
    return media_parser.parse(answer.body)


async def test_multivariant_of_a_live_channel(origin):
    client = await origin.client()
    answer = await client.get("/live/alice/index.m3u8", Accept_Encoding="gzip")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/vnd.apple.mpegurl"
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert b"#EXT-X-INDEPENDENT-SEGMENTS" in answer.body
    master = multivariant.parse(answer.body)
    assert master.variants[0].uri == f"../../media/{BROADCAST}/source/index.m3u8"
    assert master.variants[0].codecs == "avc1.64001f,mp4a.40.2"
    assert master.variants[0].frame_rate_milli == 29970
    assert master.variants[0].bandwidth == 3_128_000
    assert master.audio[0].uri == f"../../media/{BROADCAST}/audio/index.m3u8"


@pytest.mark.parametrize(("channel", "status"), [("nobody", 404), ("bob", 410), ("..", 400), ("A B", 404)])
async def test_channels_without_a_broadcast(origin, channel, status):
    client = await origin.client()
    answer = await client.get(f"/live/{channel.replace(' ', '%20')}/index.m3u8")
    assert answer.status == status
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_late_extinf_and_hint(origin):
    client = await origin.client()
    found = await playlist(client)
    assert [segment.uri for segment in found.segments] == ["s0.m4s", "s1.m4s", "s2.m4s", ""]
    assert found.hint_uri == "p14.m4s"
    assert found.reports[0].uri == "../audio/index.m3u8"
    assert (found.reports[0].last_msn, found.reports[0].last_part) == (3, 1)
    for _ in range(2):
        origin.add("source", origin.video.next_part(last=origin.video.part == 3))
    answer = await client.get(f"{SOURCE}/index.m3u8?_HLS_msn=3&_HLS_part=3")
    found = media_parser.parse(answer.body)
    assert found.segments[-1].uri == ""  # finished, and its line waits for the first part of the next
    assert len(found.segments[-1].parts) == 4


async def test_blocking_reload_waits_for_the_part(origin):
    client, other = await origin.client(), await origin.client()
    await playlist(client)
    client.send(f"{SOURCE}/index.m3u8?_HLS_part=2&_HLS_msn=3")
    other.send(f"{SOURCE}/p14.m4s")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.receive(), 0.05)
    client.reader._eof = False
    origin.add("source", origin.video.next_part())
    part = await other.receive()
    assert part.status == 200
    assert part.body == b"<3.2.0>"
    answer = await asyncio.wait_for(client.receive(), 1)
    assert media_parser.parse(answer.body).segments[-1].parts[-1].uri == "p14.m4s"
    assert answer.headers["cache-control"] == "public, max-age=0, s-maxage=12"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?_HLS_part=1", 400),
        ("?_HLS_msn=x", 400),
        ("?_HLS_msn=-1", 400),
        ("?_HLS_msn=3&_HLS_part=1.5", 400),
        ("?_HLS_msn=9", 400),
        ("?_HLS_msn=3&_HLS_part=8", 400),
        ("?_HLS_msn=0", 200),
        ("?_HLS_msn=2&_HLS_part=99", 200),
        ("?_HLS_msn=3&_HLS_part=1", 200),
        ("?_HLS_skip=YES", 200),
        ("?unknown=1&_HLS_msn=2", 200),
    ],
)
async def test_directives(origin, query, status):
    client = await origin.client()
    await playlist(client)
    answer = await client.get(f"{SOURCE}/index.m3u8{query}")
    assert answer.status == status
    assert answer.headers["access-control-allow-origin"] == "*"
    if status == 400:
        assert answer.headers["cache-control"] == "public, max-age=0, s-maxage=1"


async def test_held_too_long_is_503(make_origin):
    origin = await make_origin()
    origin.go_live()
    client = await origin.client()
    client.send(f"{SOURCE}/index.m3u8")
    await asyncio.sleep(0.02)
    (connection,) = origin.server.held
    connection.held_until = 0.0
    answer = await asyncio.wait_for(client.receive(), 1)
    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["cache-control"] == "no-store"


async def test_media_types_caching_and_ranges(origin):
    client = await origin.client()
    await playlist(client)
    part = await client.get(f"{SOURCE}/p0.m4s")
    assert (part.status, part.body, part.headers["content-type"]) == (200, b"<0.0.0>", "video/mp4")
    assert part.headers["cache-control"] == "public, max-age=12, immutable"
    segment = await client.get(f"{AUDIO}/s1.m4s")
    assert (segment.body, segment.headers["content-type"]) == (b"<1.0.0><1.1.0><1.2.0><1.3.0>", "audio/mp4")
    assert "immutable" in segment.headers["cache-control"]
    assert segment.headers["accept-ranges"] == "bytes"
    cut = await client.get(f"{AUDIO}/s1.m4s", Range="bytes=5-9")
    assert (cut.status, cut.body, cut.headers["content-range"]) == (206, b"0><1.", "bytes 5-9/28")
    other = await client.get(f"{AUDIO}/s1.m4s", **{"Range": "bytes=5-9", "If-Range": '"another"'})
    assert (other.status, other.body) == (200, segment.body), "it has a part of something else"
    beyond = await client.get(f"{AUDIO}/s1.m4s", Range="bytes=99-")
    assert (beyond.status, beyond.headers["content-range"]) == (416, "bytes */28")
    init = await client.get(f"{SOURCE}/i0.mp4")
    assert init.body == b"init-source-0"
    head = await client.get(f"{SOURCE}/i0.mp4", method="HEAD")
    assert (head.status, head.headers["content-length"], head.raw) == (200, "13", b"")


async def test_ranges_of_a_part_that_is_waited_for(origin):
    clients = [await origin.client() for _ in range(4)]
    clients[0].send(f"{SOURCE}/p14.m4s", Range="bytes=1-3")
    clients[1].send(f"{SOURCE}/p14.m4s", Range="bytes=99-")
    clients[2].send(f"{SOURCE}/p14.m4s", Range="bytes=2-")
    clients[3].send(f"{SOURCE}/p14.m4s")
    await settled(lambda: len(origin.server.held) == 4)
    await clients[2].close()
    await settled(lambda: len(origin.server.held) == 3)
    origin.add_part()
    cut, beyond, whole = [await clients[index].receive() for index in (0, 1, 3)]
    assert (cut.status, cut.body, cut.headers["content-range"]) == (206, whole.body[1:4], "bytes 1-3/7")
    assert (beyond.status, whole.status) == (416, 200)
    assert not origin.server.held


@pytest.mark.parametrize("file", ["p99.m4s", "p15.m4s", "s3.m4s", "s9.m4s", "i7.mp4", "x", "p01.m4s", "p1.mp4"])
async def test_unknown_media_is_404_at_once(origin, file):
    client = await origin.client()
    await playlist(client)
    answer = await client.get(f"{SOURCE}/{file}")
    assert answer.status == 404
    assert answer.headers["cache-control"] == "public, max-age=0, s-maxage=1"


async def test_unknown_rendition_and_broadcast(origin):
    client = await origin.client()
    await playlist(client)
    assert (await client.get(f"/media/{BROADCAST}/999p/index.m3u8")).status == 404
    assert (await client.get("/media/nothing/source/index.m3u8")).status == 404


async def test_preflight_and_methods(origin):
    client = await origin.client()
    answer = await client.get(f"{SOURCE}/p0.m4s", method="OPTIONS", Origin="https://x")
    assert answer.status == 204
    assert "Range" in answer.headers["access-control-allow-headers"]
    assert "content-length" not in answer.headers
    assert (await client.get(f"{SOURCE}/p0.m4s", method="POST")).status == 405


async def test_pipelined_requests_are_answered_in_order(origin):
    client = await origin.client()
    await playlist(client)
    client.send(f"{SOURCE}/p0.m4s")
    client.send(f"{SOURCE}/p14.m4s")  # held
    client.send(f"{SOURCE}/p1.m4s")
    assert (await client.receive()).body == b"<0.0.0>"
    origin.add("source", origin.video.next_part())
    assert (await client.receive()).body == b"<3.2.0>"
    assert (await client.receive()).body == b"<0.1.0>"


async def test_two_hundred_waiters_get_the_same_bytes(origin):
    clients = [await origin.client() for _ in range(200)]
    await playlist(clients[0])
    for client in clients:
        client.send(f"{SOURCE}/index.m3u8?_HLS_msn=3&_HLS_part=2", Accept_Encoding="gzip")
    while len(origin.server.held) < 200:
        await asyncio.sleep(0.005)
    origin.add("source", origin.video.next_part())
    answers = await asyncio.gather(*(client.receive() for client in clients))
    assert len({answer.head + answer.raw for answer in answers}) == 1
    assert not origin.server.held


async def test_end_writes_endlist_and_then_410(origin):
    client, waiting = await origin.client(), await origin.client()
    await playlist(client)
    waiting.send(f"{SOURCE}/index.m3u8?_HLS_msn=4")
    await asyncio.sleep(0.01)
    put_broadcast(origin.catalogue, broadcast(state="ended"))
    assert not (await playlist(client)).ended, "the last chunks may still come"
    origin.skew += 2
    origin.catalogue.tick()
    ended = media_parser.parse((await waiting.receive()).body)
    assert ended.ended
    assert (await playlist(client)).ended
    assert ended.hint_uri == ""
    assert ended.segments[-1].uri == "s3.m4s"
    answer = await client.get(f"{SOURCE}/index.m3u8?_HLS_msn=99&_HLS_part=7")
    assert answer.status == 200  # directives no longer count
    assert (await client.get("/live/alice/index.m3u8")).status == 410
    assert (await client.get(f"{SOURCE}/p14.m4s")).status == 404
    origin.skew += 10
    origin.catalogue.tick()
    assert (await client.get(f"{SOURCE}/index.m3u8")).status == 410
    assert origin.store.held_bytes == 0


async def test_multivariant_waits_for_the_ladder(make_origin):
    origin = await make_origin()
    origin.go_live(ladder=["source", "360p"])
    client = await origin.client()
    client.send("/live/alice/index.m3u8")
    origin.add_segments(1)
    origin.add_part()
    await asyncio.sleep(0.03)
    assert len(origin.server.held) == 1
    put_rendition(origin.catalogue, rendition("360p", bandwidth=800_000))
    answer = await asyncio.wait_for(client.receive(), 1)
    assert len(multivariant.parse(answer.body).variants) == 2


async def test_who_names_no_part_waits_for_the_line_of_a_segment(make_origin):
    origin = await make_origin()
    origin.go_live()
    origin.add_part()
    simple, modern = await origin.client(), await origin.client()
    simple.send(f"{SOURCE}/index.m3u8")
    assert (await modern.get(f"{SOURCE}/index.m3u8?_HLS_msn=0&_HLS_part=0")).status == 200
    await asyncio.sleep(0.03)
    assert len(origin.server.held) == 1
    origin.add_segments(1)
    origin.add_part()
    answer = await asyncio.wait_for(simple.receive(), 1)
    assert b"#EXTINF" in answer.body


async def test_multivariant_goes_on_without_a_missing_rung(make_origin):
    origin = await make_origin()
    origin.go_live(ladder=["source", "360p"])
    client = await origin.client()
    client.send("/live/alice/index.m3u8")
    origin.add_part()
    await asyncio.sleep(0.03)
    origin.skew += 3.1
    origin.catalogue.tick()
    answer = await asyncio.wait_for(client.receive(), 1)
    assert len(multivariant.parse(answer.body).variants) == 1


@pytest.mark.parametrize("kind", ["audio", "source"])
async def test_single_track_broadcasts(make_origin, kind):
    origin = await make_origin()
    sound = kind == "audio"
    put_broadcast(
        origin.catalogue,
        broadcast(has_video=not sound, has_audio=sound, ladder=[] if sound else ["source"]),
    )
    put_rendition(origin.catalogue, rendition(kind))
    origin.add(kind, origin.video.segment() + origin.video.next_part())
    client = await origin.client()
    master = multivariant.parse((await client.get("/live/alice/index.m3u8")).body)
    assert master.audio == ()
    assert master.variants[0].audio == ""
    assert master.variants[0].codecs == ("mp4a.40.2" if sound else "avc1.64001f")
    found = await playlist(client, f"/media/{BROADCAST}/{kind}/index.m3u8")
    assert found.reports == ()


@pytest.mark.parametrize("lost", ["has_video", "has_audio"])
async def test_what_the_encoder_came_back_without_is_not_listed(origin, lost):
    client = await origin.client()

    async def look():
        listed = (await client.get("/live/alice/index.m3u8")).body.decode()
        status = json.loads((await client.get("/live/alice/status.json")).body)
        return "RESOLUTION" in listed, "/audio/" in listed, (status["picture"], status["sound"])

    assert await look() == (True, True, (True, True))
    put_broadcast(origin.catalogue, broadcast(**{lost: False}))
    has = (lost != "has_video", lost != "has_audio")
    assert await look() == (*has, has)
    put_broadcast(origin.catalogue, broadcast())
    assert await look() == (True, True, (True, True))


async def test_idle_broadcasts_are_no_longer_followed(origin):
    client = await origin.client()
    before = await client.get(f"{SOURCE}/index.m3u8")
    assert origin.log.tails == 1
    origin.skew += 61
    origin.catalogue.tick()
    await asyncio.sleep(0.01)
    assert origin.log.tails == 0
    assert origin.store.held_bytes == 0
    after = await client.get(f"{SOURCE}/index.m3u8")
    assert after.raw == before.raw  # the same log makes the same playlist


async def test_documents(origin):
    client = await origin.client()
    await playlist(client)
    status = (await client.get("/live/alice/status.json")).raw
    assert b'"state":"live"' in status
    assert b'"viewers":1' in status
    assert b'"state":"offline"' in (await client.get("/live/bob/status.json")).raw
    assert (await client.get("/live/nobody/status.json")).status == 404
    answer = await client.get("/live/channels.json", Accept_Encoding="gzip")
    assert b'"channel":"alice"' in gzip.decompress(answer.raw)
    assert b'"width":1280' in gzip.decompress(answer.raw)


async def test_events(origin):
    client = await origin.client()
    client.send("/live/events")
    head = await client.receive()
    assert head.headers["content-type"] == "text/event-stream"
    first = await client.reader.readuntil(b"\n\n")
    assert first.startswith(b'event: channels\ndata: {"channels":[{"channel":"alice"')
    put_broadcast(origin.catalogue, broadcast(title="New title"))
    origin.events.tick(1e9)
    assert b"New title" in await asyncio.wait_for(client.reader.readuntil(b"\n\n"), 1)


async def test_health(origin):
    client = await origin.client()
    assert (await client.get("/healthz")).status == 200
    assert (await client.get("/readyz")).status == 200
    origin.ready = False
    assert (await client.get("/readyz")).status == 503


async def test_pages_missing_and_found(make_origin, tmp_path):
    bare = await make_origin()
    client = await bare.client()
    answer = await client.get("/")
    assert answer.status == 503
    assert b"pages" in answer.body
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<h1>hi</h1>")
    (tmp_path / "assets" / "app-1a2b.js").write_text("1")
    origin = await make_origin(pages=tmp_path)
    client = await origin.client()
    for path in ("/", "/alice", "/studio"):
        answer = await client.get(path, Accept_Encoding="gzip")
        assert (answer.status, answer.body) == (200, b"<h1>hi</h1>")
        assert answer.headers["cache-control"] == "no-cache"
        assert "media-src 'self' blob:" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "immutable" in (await client.get("/assets/app-1a2b.js")).headers["cache-control"]
    assert (await client.get("/assets/none.js")).status == 404


async def test_bad_requests_are_refused_and_closed(origin):
    client = await origin.client()
    client.writer.write(b"NONSENSE\r\n\r\n")
    answer = await client.receive()
    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert await client.reader.read() == b""
    client = await origin.client()
    client.writer.write(b"GET / HTTP/1.1\r\nX: " + b"a" * 9000)
    assert (await client.receive()).status == 431


async def test_connections_are_limited(make_origin):
    origin = await make_origin(connections=1)
    first, second = await origin.client(), await origin.client()
    assert (await second.receive()).status == 503
    assert (await first.get("/healthz")).status == 200
    assert origin.tally.events["over_connections"] == 1


async def test_waiters_are_limited(make_origin):
    origin = await make_origin(waiters=1)
    origin.go_live()
    first, second = await origin.client(), await origin.client()
    first.send("/live/alice/index.m3u8")
    await asyncio.sleep(0.02)
    assert (await second.get("/live/alice/index.m3u8")).status == 503


async def test_a_client_that_leaves_is_forgotten(origin):
    client = await Client.connect(origin.server.port)
    await playlist(client)
    client.send(f"{SOURCE}/index.m3u8?_HLS_msn=4")
    await asyncio.sleep(0.01)
    assert len(origin.server.held) == 1
    await client.close()
    await asyncio.sleep(0.02)
    assert not origin.server.held


async def test_stalled_and_idle_clients_are_cut(make_origin):
    origin = await make_origin(stall_s=0.0)
    origin.go_live()
    chunks = origin.video.next_part()
    origin.add("source", [(chunks[0][0], b"x" * 8_000_000)])
    quick = await origin.client()
    stuck = socket.create_connection(("127.0.0.1", origin.server.port))
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await quick.get(f"{SOURCE}/index.m3u8?_HLS_msn=0&_HLS_part=0")
    stuck.sendall(f"GET {SOURCE}/p0.m4s HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await asyncio.sleep(0.05)
    now = origin.server.now()
    await origin.server._sweep(now)
    await origin.server._sweep(now)
    assert origin.tally.events["stalled_cut"] == 1
    await origin.server._sweep(now + 100)
    assert origin.tally.events["idle_cut"] == 1
    stuck.close()


async def test_only_what_players_can_play_is_listed(make_origin):
    """A source and sound that players cannot play are made anew; the ladder says which, CODECS what they are."""
    origin = await make_origin()
    origin.go_live(ladder=["1080p"], audio="aac")
    client = await origin.client()
    client.send("/live/alice/index.m3u8")
    origin.add_segments(1)
    origin.add_part()
    origin.skew += 3.1
    origin.catalogue.tick()
    await asyncio.sleep(0.03)
    assert len(origin.server.held) == 1, "no picture that players can show, however late"
    put_rendition(origin.catalogue, rendition("1080p", bandwidth=6_000_000))
    sound = rendition("audio", inits=1)
    opus = msgspec.structs.replace(sound.inits[0], audio=AudioFormat(codec="Opus", sample_rate=48000, channels=2))
    put_rendition(origin.catalogue, msgspec.structs.replace(sound, inits=[opus]))
    put_rendition(origin.catalogue, msgspec.structs.replace(sound, name="aac"))
    for name in ("1080p", "audio", "aac"):
        chunks = type(origin.video)()
        origin.add(name, chunks.segment() + chunks.next_part())
    master = multivariant.parse((await asyncio.wait_for(client.receive(), 1)).body)
    assert [variant.uri.split("/")[-2] for variant in master.variants] == ["1080p"]
    assert [one.uri.split("/")[-2] for one in master.audio] == ["aac"]
    assert master.variants[0].codecs == "avc1.64001f,mp4a.40.2"
    found = await playlist(client, f"/media/{BROADCAST}/1080p/index.m3u8")
    assert [report.uri for report in found.reports] == ["../aac/index.m3u8"]
    assert (await client.get(f"{SOURCE}/index.m3u8")).status == 200, "there for whoever knows its name"
