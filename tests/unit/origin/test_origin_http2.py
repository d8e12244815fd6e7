"""HTTP/2 on the viewer port: every kind of answer, many at a time, other roles, and clients that are no good."""

import asyncio
import contextlib
import gzip
import shutil

import pytest
from http2_client import Answer, Http2Client
from origin_fakes import BROADCAST, settled
from other_role import OtherRole

from edge.protocols.http2 import frames
from edge.protocols.http2.errors import ErrorCode
from edge.protocols.http2.frames import Flag, Kind, Setting

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SOURCE = f"/media/{BROADCAST}/source"


@pytest.fixture
async def connect():
    opened = []

    async def connect(origin, *settings):
        opened.append(await Http2Client.connect(origin.server.port, settings=settings))
        return opened[-1]

    yield connect
    for client in opened:
        await client.close()


async def test_answers_of_every_kind(origin, connect):
    client = await connect(origin)
    playlist = await client.get(f"{SOURCE}/index.m3u8", accept_encoding="gzip")
    assert playlist.status == 200
    assert b"#EXTM3U" in gzip.decompress(playlist.body)
    assert playlist.headers["content-length"] == str(len(playlist.body))
    assert playlist.headers["date"].endswith("GMT")
    assert "connection" not in playlist.headers
    part = await client.get(f"{SOURCE}/p1.m4s")
    assert (part.status, part.body) == (200, b"<0.1.0>")
    ranged = await client.get(f"{SOURCE}/p1.m4s", range="bytes=1-3")
    assert (ranged.status, ranged.body, ranged.headers["content-range"]) == (206, b"0.1", "bytes 1-3/7")
    head = await client.get(f"{SOURCE}/p1.m4s", method="HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "7")
    assert (await client.get("/live/nobody/index.m3u8")).status == 404
    assert (await client.get("/live/bob/index.m3u8")).status == 410
    assert (await client.get(f"{SOURCE}/index.m3u8?_HLS_part=1")).status == 400
    assert (await client.get("/live/alice/index.m3u8", method="OPTIONS")).status == 204
    assert (await client.get("/live/../etc")).status == 400
    assert (await client.get("/healthz")).body == b"ok\n"


async def test_held_requests_of_one_connection_wait_side_by_side(origin, connect):
    client = await connect(origin)
    held = [
        client.ask(f"/media/{BROADCAST}/{name}/index.m3u8?_HLS_msn=3&_HLS_part=2") for name in ("source", "audio")
    ]
    held.append(client.ask(f"{SOURCE}/p14.m4s"))
    await settled(lambda: len(origin.server.held) == 3)
    assert (await client.get("/healthz")).status == 200
    origin.add_part()
    answers = [await client.ended(number) for number in held]
    assert [answer.status for answer in answers] == [200, 200, 200]
    assert b"p14.m4s" in answers[0].body
    assert answers[2].body == b"<3.2.0>"
    assert not origin.server.held


async def test_a_held_request_has_its_time(make_origin, connect):
    origin = await make_origin()
    origin.go_live()
    client = await connect(origin)
    number = client.ask(f"{SOURCE}/index.m3u8")
    await settled(lambda: origin.server.held)
    for exchange in origin.server.held:
        exchange.held_until = 0.0
    assert (await client.ended(number)).status == 503


async def test_a_reset_and_a_lost_connection_let_held_requests_go(origin, connect):
    client = await connect(origin)
    path = f"{SOURCE}/index.m3u8?_HLS_msn=4"
    numbers = [client.ask(path) for _ in range(3)]
    await settled(lambda: len(origin.server.held) == 3)
    client.send(frames.reset(numbers[0], ErrorCode.CANCEL))
    await settled(lambda: len(origin.server.held) == 2)
    await client.close()
    await settled(lambda: not origin.server.held)
    assert origin.server.count == 0


async def test_events(origin, connect):
    client = await connect(origin)
    number = client.ask("/live/events")
    answer = client.streams[number]
    await client.until(lambda: b"channels" in answer.body)
    assert answer.headers["content-type"] == "text/event-stream"
    assert "content-length" not in answer.headers
    origin.events._last = b"other"
    origin.events.tick(1e9)
    await client.until(lambda: answer.body.count(b"event: channels") == 2)
    client.send(frames.reset(number, ErrorCode.CANCEL))
    await settled(lambda: all(listener.gone for listener in origin.events._listeners))


async def test_two_hundred_connections_get_the_same_bytes(origin, connect):
    clients = [await connect(origin) for _ in range(50)]
    numbers = [client.ask(f"{SOURCE}/index.m3u8?_HLS_msn=3&_HLS_part=2") for client in clients]
    await settled(lambda: len(origin.server.held) == 50)
    origin.add("source", origin.video.next_part())
    answers = [await client.ended(number) for client, number in zip(clients, numbers, strict=True)]
    assert len({answer.body for answer in answers}) == 1


async def test_a_large_body_in_small_windows(make_origin, connect):
    origin = await make_origin()
    origin.go_live()
    chunks = origin.video.next_part()
    body = bytes(range(256)) * 800
    origin.add("source", [(chunks[0][0], body)])
    client = await connect(origin, (Setting.INITIAL_WINDOW_SIZE, 1000))
    await client.get(f"{SOURCE}/index.m3u8?_HLS_msn=0&_HLS_part=0")
    assert (await client.get(f"{SOURCE}/p0.m4s")).body == body


async def test_a_client_whose_windows_stay_closed_is_cut(make_origin, connect):
    origin = await make_origin()
    origin.go_live()
    chunks = origin.video.next_part()
    origin.add("source", [(chunks[0][0], bytes(1 << 20))])
    client = await connect(origin)
    client.windows = False
    number = client.ask(f"{SOURCE}/p0.m4s")
    await client.until(lambda: len(client.streams[number].body) == 65_535)
    now = origin.server.now()
    await origin.server._sweep(now)
    assert not origin.tally.events["stalled_cut"]
    await origin.server._sweep(origin.server.now() + origin.server.config.stall_s)  # its own tick may have looked
    assert origin.tally.events["stalled_cut"] == 1
    await client.until(lambda: client.closed)


@pytest.mark.parametrize("after", [0.0, 100.0])
async def test_slow_and_idle_clients_are_cut(origin, connect, after):
    slow, idle = await connect(origin), await connect(origin)
    await slow.get("/healthz")
    await idle.get("/healthz")
    slow.send(frames.frame(Kind.HEADERS, Flag.END_HEADERS, 3, b"")[:5])
    await asyncio.sleep(0.02)
    await origin.server._sweep(origin.server.now() + after)
    cut = origin.tally.events
    assert (cut["head_timeout"], cut["idle_cut"]) == ((1, 1) if after else (0, 0))


async def test_a_body_that_does_not_come_ends_its_request(origin, connect):
    client = await connect(origin)
    await client.get("/healthz")
    number = client.ask("/live/alice/index.m3u8", "POST", None, content_length="5")
    await client.until(lambda: client.streams[number].reset is not None)
    assert client.streams[number].reset == ErrorCode.PROTOCOL_ERROR  # its END_STREAM contradicts its length
    client.send(frames.frame(Kind.HEADERS, Flag.END_HEADERS, 5, b"\x83\x87\x84"))
    client.streams[5] = Answer()
    (connection,) = origin.server._connections
    await settled(lambda: 5 in connection.core.streams)
    await origin.server._sweep(origin.server.now() + origin.server.config.head_s)
    await client.until(lambda: client.streams[5].reset == ErrorCode.CANCEL)
    assert origin.tally.events["head_timeout"] == 1


async def test_errors_end_the_connection_with_a_reason(origin, connect):
    client = await connect(origin)
    await client.get("/healthz")
    client.send(frames.frame(Kind.PING, 0, 0, b"short"))
    await client.until(lambda: client.closed)
    assert client.goaway == [(1, ErrorCode.FRAME_SIZE_ERROR)]
    await settled(lambda: not origin.server.count)


async def test_rapid_resets_end_the_connection(origin, connect):
    client = await connect(origin)
    with contextlib.suppress(ConnectionError):
        for _ in range(400):
            number = client.ask(f"{SOURCE}/index.m3u8?_HLS_msn=4")
            client.send(frames.reset(number, ErrorCode.CANCEL))
    await client.until(lambda: client.closed)
    assert client.goaway[0][1] == ErrorCode.ENHANCE_YOUR_CALM
    assert not origin.server.held


async def test_leaving_asks_for_no_more_streams(origin, connect):
    client = await connect(origin)
    number = client.ask(f"{SOURCE}/index.m3u8?_HLS_msn=3&_HLS_part=2")
    await settled(lambda: origin.server.held)
    draining = asyncio.ensure_future(origin.server.drain())
    await client.until(lambda: client.goaway)
    assert client.goaway == [((1 << 31) - 1, ErrorCode.NO_ERROR)]
    origin.add_part()
    assert (await client.ended(number)).status == 200
    await draining


async def test_the_preface_comes_first_or_never(origin):
    client = await origin.client()
    await client.get("/healthz")
    client.writer.write(frames.PREFACE)
    assert (await client.receive()).status == 505


async def test_bytes_one_by_one(origin):
    reader, writer = await asyncio.open_connection("127.0.0.1", origin.server.port)
    for byte in frames.PREFACE + frames.settings(()) + frames.frame(Kind.PING, 0, 0, b"12345678"):
        writer.write(bytes([byte]))
        await asyncio.sleep(0)
    found = await asyncio.wait_for(reader.readuntil(b"12345678"), 2)
    assert found.endswith(frames.ping_ack(b"12345678"))
    writer.close()


# -- other roles


@pytest.fixture
async def site(make_origin, connect):
    role = OtherRole()
    origin = await make_origin({"/chat/": role, "/whip": role})
    return origin, role, await connect(origin)


async def test_a_body_goes_to_another_role_and_its_answer_back(site):
    origin, role, client = site
    number = client.ask("/whip", "POST", b"offer", content_type="application/sdp", authorization="Bearer k")
    reader, writer, head, peer = await role.arrival()
    assert head.startswith(b"POST /whip HTTP/1.1\r\nhost: edge\r\n")
    assert b"content-length: 5\r\n" in head
    assert b"authorization: Bearer k\r\n" in head
    assert peer == "127.0.0.1"
    assert await reader.readexactly(5) == b"offer"
    writer.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nLocation: /whip/s\r\n")
    writer.write(b"Connection: keep-alive\r\nContent-Length: 6\r\n\r\nanswer")
    answer = await client.ended(number)
    assert (answer.status, answer.headers["location"], answer.body) == (201, "/whip/s", b"answer")
    assert "connection" not in answer.headers
    assert await asyncio.wait_for(reader.read(), 2) == b""
    assert not origin.server._connections.copy().pop().core.streams
    writer.close()


@pytest.mark.parametrize(
    ("sent", "method", "body"),
    [
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
            "GET",
            b"abcde",
        ),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", "GET", b"until the end"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "GET", b""),
    ],
)
async def test_bodies_of_every_length(site, sent, method, body):
    _, role, client = site
    number = client.ask("/chat/alice", method)
    _, writer, _, _ = await role.arrival()
    for at in range(len(sent)):
        writer.write(sent[at : at + 1])
        await asyncio.sleep(0)
    writer.close()
    answer = await client.ended(number)
    assert (answer.status, answer.body, answer.ended) == (200, body, True)


async def test_a_large_answer_waits_for_the_client(site):
    origin, role, client = site
    client.windows = False
    number = client.ask("/chat/alice")
    _, writer, _, _ = await role.arrival()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n" + bytes(4_000_000))
    await client.until(lambda: len(client.streams[number].body) == 65_535)
    await asyncio.sleep(0.05)
    ((connection, exchange),) = [(c, s) for c in origin.server._connections for s in c.core.streams.values()]
    assert connection.waiting == {exchange.relay}
    assert exchange.waiting < 400_000
    client.windows = True
    client.send(frames.window_update(0, 1 << 24) + frames.window_update(number, 1 << 24))
    assert len((await client.ended(number)).body) == 4_000_000
    writer.close()


@pytest.mark.parametrize(
    ("sent", "status", "reset"),
    [
        (b"", 502, None),
        (b"nonsense\r\n\r\n", 502, None),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", 502, None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", 200, ErrorCode.INTERNAL_ERROR),
        (CHUNKED + b"xyz\r\n", 502, None),
    ],
)
async def test_a_role_that_says_something_odd(site, sent, status, reset):
    origin, role, client = site
    number = client.ask("/chat/alice")
    _, writer, _, _ = await role.arrival()
    writer.write(sent)
    writer.close()
    answer = await client.ended(number)
    assert (answer.status, answer.reset) == (status, reset)
    assert origin.tally.events["relay_failed"] == 1
    assert (await client.get("/healthz")).status == 200


async def test_a_client_that_resets_ends_the_other_roles_work(site):
    _, role, client = site
    number = client.ask("/chat/alice")
    reader, writer, _, _ = await role.arrival()
    client.send(frames.reset(number, ErrorCode.CANCEL))
    assert await asyncio.wait_for(reader.read(), 2) == b""
    writer.close()


async def test_a_role_that_is_away_or_silent(site):
    origin, role, client = site
    role.away = True
    assert (await client.get("/chat/alice")).status == 503
    role.away = False
    number = client.ask("/chat/alice")
    _, writer, _, _ = await role.arrival()
    await origin.server._sweep(origin.server.now() + 61)
    assert (await client.ended(number)).status == 502
    writer.close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_curl(origin):
    argv = ["--http2-prior-knowledge", "--compressed", "-sS", "-w", "%{http_version} %{http_code}", "-m", "5"]
    url = f"http://127.0.0.1:{origin.server.port}{SOURCE}/index.m3u8"
    curl = await asyncio.create_subprocess_exec("curl", *argv, url, stdout=asyncio.subprocess.PIPE)
    out, _ = await curl.communicate()
    assert out.startswith(b"#EXTM3U")
    assert out.endswith(b"2 200")


async def test_windows_of_one_byte(origin, connect):
    client = await connect(origin, (Setting.INITIAL_WINDOW_SIZE, 1))
    assert (await client.get("/healthz")).body == b"ok\n"
