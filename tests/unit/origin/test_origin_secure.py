"""The port for TLS: handshakes within bounds, HTTP/1.1 behind them, and connections for other roles relayed."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl

import pytest
from http2_client import Http2Client
from origin_fakes import BROADCAST, Client, settled
from other_role import OtherRole

from appliance.engines.certificate import self_signed
from appliance.runtime.tls import ServerTls
from edge.protocols.http2 import frames
from edge.protocols.http2.errors import ErrorCode
from edge.protocols.http2.frames import Setting

SOURCE = f"/media/{BROADCAST}/source"
UPGRADE = b"GET /chat/alice/subscribe HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    today = dt.datetime.now(dt.UTC)
    return [self_signed(tmp_path_factory.mktemp("tls"), ["edge.example"], today) for _ in range(2)]


@pytest.fixture
def make_secure(make_origin, certificates):
    async def make(handoffs=None, **changes):
        return await make_origin(handoffs, tls=ServerTls(*certificates[0]), **changes)

    return make


def context(*protocols):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if protocols:
        made.set_alpn_protocols(list(protocols))
    return made


@pytest.fixture
async def connect():
    opened = []

    async def connect(origin, *protocols, narrow=False):
        wire = socket.socket()
        if narrow:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        wire.connect(("127.0.0.1", origin.server.secure_port))
        made = await asyncio.open_connection(sock=wire, ssl=context(*protocols), server_hostname="edge.example")
        opened.append(Client(*made))
        return opened[-1]

    yield connect
    for client in opened:
        client.writer.close()
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            await client.writer.wait_closed()


async def test_playlists_parts_and_held_requests(make_secure, connect):
    origin = await make_secure()
    origin.go_live()
    origin.add_segments(2)
    client = await connect(origin)
    assert (await client.get("/live/alice/index.m3u8")).status == 200
    assert (await client.get(f"{SOURCE}/index.m3u8")).status == 200
    part = await client.get(f"{SOURCE}/p1.m4s")
    assert part.body == b"<0.1.0>"
    client.send(f"{SOURCE}/index.m3u8?_HLS_msn=2&_HLS_part=0")
    await settled(lambda: origin.server.held)
    origin.add_part()
    assert b"p8.m4s" in (await client.receive()).body


@pytest.mark.parametrize(
    ("offered", "chosen"), [(("h2", "http/1.1"), "h2"), (("http/1.1",), "http/1.1"), ((), None), (("x",), None)]
)
async def test_what_is_spoken(make_secure, connect, offered, chosen):
    origin = await make_secure()
    client = await connect(origin, *offered)
    wire = client.writer.get_extra_info("ssl_object")
    assert wire.selected_alpn_protocol() == chosen
    assert wire.version() in ("TLSv1.2", "TLSv1.3")
    if chosen != "h2":
        assert (await client.get("/healthz")).status == 200


async def test_a_new_certificate_for_new_connections(make_origin, certificates, connect, tmp_path):
    first, second = certificates
    files = [tmp_path / "c", tmp_path / "k"]
    for file, source in zip(files, first, strict=True):
        file.write_bytes(source.read_bytes())
    tls = ServerTls(*files)
    origin = await make_origin(tls=tls)

    async def shown(client):
        return client.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)

    before = await connect(origin)
    for file, source in zip(files, second, strict=True):
        file.write_bytes(source.read_bytes())
    assert tls.look()
    after = await connect(origin)
    assert await shown(before) != await shown(after)
    assert (await before.get("/healthz")).status == (await after.get("/healthz")).status == 200


async def test_a_handshake_has_a_time_limit(make_secure):
    origin = await make_secure(handshake_s=0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", origin.server.secure_port)
    assert await asyncio.wait_for(reader.read(), 2) == b""
    assert origin.tally.events["handshake_failed"] == 1
    writer.close()


async def test_handshakes_are_bounded_and_the_oldest_goes(make_secure, connect):
    origin = await make_secure(handshakes=2)
    silent = [await asyncio.open_connection("127.0.0.1", origin.server.secure_port) for _ in range(3)]
    assert await asyncio.wait_for(silent[0][0].read(), 2) == b""
    client = await connect(origin)
    assert (await client.get("/healthz")).status == 200
    assert origin.tally.events["handshake_dropped"] == 2
    for _, writer in silent:
        writer.close()


async def test_another_protocol_on_this_port(make_secure):
    origin = await make_secure()
    reader, writer = await asyncio.open_connection("127.0.0.1", origin.server.secure_port)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    with contextlib.suppress(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 2)
    assert origin.tally.events["handshake_failed"] == 1
    writer.close()


async def test_a_client_that_leaves_in_its_handshake_is_only_counted(make_secure):
    origin = await make_secure()
    told = []
    asyncio.get_running_loop().default_exception_handler = told.append
    _, writer = await asyncio.open_connection("127.0.0.1", origin.server.secure_port)
    await asyncio.sleep(0.01)
    writer.close()
    await settled(lambda: origin.tally.events["handshake_failed"] == 1)
    assert not told


async def test_connections_are_limited(make_secure, connect):
    origin = await make_secure(connections=1)
    first = await connect(origin)
    assert (await first.get("/healthz")).status == 200
    second = await connect(origin)
    answer = await second.receive()
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert (await first.get("/healthz")).status == 200


async def test_connections_of_http2_are_limited(make_secure):
    origin = await make_secure(connections=1)
    port = origin.server.secure_port
    first = await Http2Client.connect(port, context("h2"))
    assert (await first.get("/healthz")).status == 200
    second = await Http2Client.connect(port, context("h2"))
    answer = await second.get("/healthz")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    await second.until(lambda: second.closed)
    assert second.goaway == [(1, ErrorCode.NO_ERROR)]
    assert (await first.get("/healthz")).status == 200
    for client in (first, second):
        await client.close()


async def test_a_slow_client_of_http2_has_little_copied(make_secure):
    origin = await make_secure()
    origin.go_live()
    chunks = origin.video.next_part()
    body = bytes(16 << 20)
    origin.add("source", [(chunks[0][0], body)])
    window = [(Setting.INITIAL_WINDOW_SIZE, 1 << 30)]
    client = await Http2Client.connect(origin.server.secure_port, context("h2"), window)
    client.send(frames.window_update(0, 1 << 30))
    client.windows = False
    await client.get(f"{SOURCE}/index.m3u8?_HLS_msn=0&_HLS_part=0")
    client.reader._transport.pause_reading()
    number = client.ask(f"{SOURCE}/p0.m4s")
    (connection,) = origin.server._connections
    await settled(lambda: connection.core.streams and connection.stalled_since < float("inf"))
    assert connection.transport.get_write_buffer_size() < 200_000
    assert connection.core.streams[number].waiting > 1 << 20  # the rest is still the part's own bytes
    client.writer.transport.abort()
    await settled(lambda: not origin.server.count)


# -- relayed connections


async def relayed(make_secure, connect, *, narrow=False):
    role = OtherRole()
    origin = await make_secure({"/chat/": role})
    client = await connect(origin, narrow=narrow)
    client.writer.write(UPGRADE + b"first")
    reader, writer, head, peer = await role.arrival()
    assert head == UPGRADE + b"first"
    assert peer == "127.0.0.1"
    return origin, client, reader, writer


async def test_bytes_go_both_ways(make_secure, connect):
    origin, client, reader, writer = await relayed(make_secure, connect)
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    assert (await client.receive()).status == 101
    for size in (1, 100_000, 1_000_000):
        writer.write(b"d" * size)
        client.writer.write(b"u" * size)
        assert await asyncio.wait_for(client.reader.readexactly(size), 5) == b"d" * size
        assert await asyncio.wait_for(reader.readexactly(size), 5) == b"u" * size
    assert origin.server.count == 1
    client.writer.close()
    assert await asyncio.wait_for(reader.read(), 2) == b""
    writer.close()
    await settled(lambda: not origin.server.count)


async def test_the_role_ends_and_its_last_bytes_arrive(make_secure, connect):
    origin, client, _, writer = await relayed(make_secure, connect)
    writer.write(b"l" * 300_000)
    writer.close()
    assert await asyncio.wait_for(client.reader.read(), 5) == b"l" * 300_000
    client.writer.close()
    await settled(lambda: not origin.server.count)


@pytest.mark.parametrize("down", [True, False])
async def test_who_does_not_read_stops_the_other(make_secure, connect, down):
    _, client, reader, writer = await relayed(make_secure, connect)
    talking, listening = (writer, client.reader) if down else (client.writer, reader)
    listening._transport.pause_reading()
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < 64 << 20:
            talking.write(bytes(1 << 18))
            sent += 1 << 18
            await asyncio.wait_for(talking.drain(), 0.1)
    assert sent < 32 << 20
    listening._transport.resume_reading()
    assert len(await asyncio.wait_for(listening.readexactly(sent), 10)) == sent
    writer.close()


async def test_a_relay_whose_client_is_stuck_is_cut(make_secure, connect):
    origin, client, _, writer = await relayed(make_secure, connect, narrow=True)
    client.reader._transport.pause_reading()
    writer.write(bytes(6 << 20))
    (relay,) = origin.server._connections
    await settled(lambda: relay.stalled_since < float("inf"))
    await origin.server._sweep(relay.stalled_since + origin.server.config.stall_s)
    assert origin.tally.events["stalled_cut"] == 1
    await settled(lambda: not origin.server.count)
    writer.transport.abort()
    client.writer.transport.abort()


async def test_a_role_that_is_away(make_secure, connect):
    role = OtherRole()
    role.away = True
    origin = await make_secure({"/chat/": role})
    client = await connect(origin)
    assert (await client.get("/chat/alice")).status == 503
    assert (await client.get("/healthz")).status == 200
