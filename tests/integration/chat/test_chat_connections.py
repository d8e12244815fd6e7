"""Clients that misbehave, over raw sockets: slow, silent, half a request, too much."""

import asyncio
import socket

import msgspec
import uvloop
from chat_site import site

UPGRADE = (
    b"GET /chat/alice/chat/subscribe%b HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def on_gateway(tmp_path, scenario, **changes):
    async def run():
        async with site(tmp_path) as made:
            await scenario(made, await made.gateway(**changes))

    uvloop.run(run())


async def raw(gateway, first, receive=0):
    loop = asyncio.get_running_loop()
    client = socket.socket()
    if receive:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    client.setblocking(False)
    await loop.sock_connect(client, ("127.0.0.1", gateway.port))
    await loop.sock_sendall(client, first)
    return client


async def everything(client, timeout=5):
    loop = asyncio.get_running_loop()
    found = b""
    async with asyncio.timeout(timeout):
        while True:
            try:
                data = await loop.sock_recv(client, 65536)
            except ConnectionResetError:
                return found
            if not data:
                return found
            found += data


async def until(condition, timeout=8):
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(0.02)


def test_a_client_that_reads_nothing_costs_a_cursor_and_is_cut(tmp_path):
    async def scenario(made, gateway):
        server = gateway.service.server
        slow = [await raw(gateway, UPGRADE % b"", receive=4096) for _ in range(5)]
        await until(lambda: server.count == 5)
        room = server.rooms.get("0193aaaa-0000-7000-8000-00000000c001")
        await until(lambda: room.readers == 5)
        subject = f"chat.0.{room.room_id}.edge1"
        text = msgspec.json.encode([{"n": number, "message": "x" * 400} for number in range(100)])
        for number in range(20):
            await made.bus.append(subject, text, message_id=f"fill{number}")
        await until(lambda: server.tally.events["slow_client"] == 5)
        held = [one._transport.get_write_buffer_size() for one in server._connections]
        for number in range(20, 30):
            await made.bus.append(subject, text, message_id=f"fill{number}")
        await until(lambda: room.ring.last.seq >= 30)
        assert [one._transport.get_write_buffer_size() for one in server._connections] == held
        await until(lambda: server.count == 0)
        assert server.tally.closed[4008] == 5
        for client in slow:
            client.close()

    on_gateway(tmp_path, scenario, slow_s=1.0, close_s=0.5)


def test_no_pong(tmp_path):
    async def scenario(made, gateway):
        client = await raw(gateway, UPGRADE % b"")
        found = await everything(client)
        assert b"\x89\x00" in found
        assert found.endswith(b"\x88\x09\x03\xe9no pong")
        assert gateway.service.tally.events["pong_timeout"] == 1
        client.close()

    on_gateway(tmp_path, scenario, ping_s=0.5, pong_s=0.5, close_s=0.5)


def test_half_a_request(tmp_path):
    async def scenario(made, gateway):
        client = await raw(gateway, b"GET /chat/alice/chat HTTP/1.1\r\nHo")
        assert await everything(client) == b""
        assert gateway.service.tally.events["handshake_timeout"] == 1
        client.close()

    on_gateway(tmp_path, scenario, handshake_s=0.5)


def test_a_body_in_pieces_and_a_head_of_nonsense(tmp_path):
    async def scenario(made, gateway):
        loop = asyncio.get_running_loop()
        body = b'{"user_id":"u-bob","message":"in pieces"}'
        head = (
            b"POST /chat/alice/chat HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer token-bob\r\n"
            b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        client = await raw(gateway, head)
        assert await loop.sock_recv(client, 100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        await loop.sock_sendall(client, body[:10])
        await asyncio.sleep(0.02)
        await loop.sock_sendall(client, body[10:])
        assert (await loop.sock_recv(client, 1000)).startswith(b"HTTP/1.1 201 ")
        client.close()
        for sent, status in [
            (b"nonsense\r\n\r\n", 400),
            (b"GET /chat/alice/nothing HTTP/1.1\r\nHost: h\r\n\r\n", 404),
            (b"POST /chat/alice/chat HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n", 413),
            (b"POST /chat/alice/chat HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
            (b"POST /chat/alice/chat/poll HTTP/1.1\r\nHost: h\r\n\r\n", 405),
            (b"GET /chat/alice/chat?since=x HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ]:
            client = await raw(gateway, sent)
            assert (await loop.sock_recv(client, 1000)).startswith(b"HTTP/1.1 %d " % status)
            client.close()
        await until(lambda: gateway.service.server.count == 0)

    on_gateway(tmp_path, scenario)


def test_a_flood_of_frames(tmp_path):
    async def scenario(made, gateway):
        client = await raw(gateway, UPGRADE % b"" + b"\x8a\x80mask" * 500)
        assert b"too fast" in await everything(client)
        client.close()

    on_gateway(tmp_path, scenario, close_s=0.5)
