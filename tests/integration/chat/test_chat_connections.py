"""Clients that misbehave, over raw sockets: slow, silent, half a request, too much."""

import asyncio
import json
import socket

import msgspec
import pytest
import uvloop
import websockets
from chat_site import CHANNEL_ID, site

from appliance.contracts.subjects import chat

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


def test_a_handshake_and_frames_byte_by_byte(tmp_path):
    async def scenario(made, gateway):
        loop = asyncio.get_running_loop()
        client = await raw(gateway, b"")
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        text = b'{"type":"message","message":"hi"}'
        for byte in UPGRADE % b"" + bytes((0x81, 0x80 | len(text))) + bytes(4) + text + b"\x88\x80mask":
            await loop.sock_sendall(client, bytes((byte,)))
        found = await everything(client)
        assert b"not_authenticated" in found
        assert found.endswith(b"\x88\x02\x03\xe8")
        client.close()

    on_gateway(tmp_path, scenario, bytes_per_s=1e6)


def test_a_crowd_from_one_address(tmp_path):
    """Those beyond the limit are told, those far beyond are not, and all of them leave nothing."""

    async def scenario(made, gateway):
        server = gateway.service.server
        first = [await raw(gateway, UPGRADE % b"") for _ in range(5)]
        await until(lambda: server.count == 5)
        others = [await raw(gateway, UPGRADE % b"") for _ in range(700)]
        await until(lambda: server.tally.events["over_connections"] == 700)
        found = await asyncio.gather(*(everything(client) for client in others))
        told = sum(b"\x0f\xbdtoo many connections" in one for one in found)
        assert 512 <= told < 700
        assert sum(one == b"" for one in found) == 700 - told
        await until(lambda: server.count == 5)
        for client in first + others:
            client.close()
        await until(lambda: server.count == 0)
        assert not server._connections
        assert not any(server._wheel._slots)

    on_gateway(tmp_path, scenario, connections_per_address=5, close_s=2.0)


def test_many_who_look_for_rooms_that_are_not(tmp_path):
    async def scenario(made, gateway):
        server = gateway.service.server
        clients = [await raw(gateway, (UPGRADE % b"").replace(b"alice", b"no-%d" % n)) for n in range(300)]
        found = await asyncio.gather(*(everything(client) for client in clients))
        assert all(b"\x0f\xa4no such room" in one for one in found)
        assert server.tally.closed[4004] == 300
        assert len(server.rooms) == 0
        for client in clients:
            client.close()

    on_gateway(tmp_path, scenario, unknown=100, unknown_s=0.5, close_s=0.5)


def test_a_drain_is_spread(tmp_path):
    async def scenario(made, gateway):
        clients = [await raw(gateway, UPGRADE % b"") for _ in range(40)]
        await until(lambda: gateway.service.server.count == 40)
        reading = asyncio.gather(*(everything(client) for client in clients))
        await gateway.service.drain()
        found = await reading
        waits = [float(one.rpartition(b"\x0f\xa9retry_after=")[2]) for one in found]
        assert all(0 <= wait <= 0.8 for wait in waits)
        assert len(set(waits)) > 4
        late = await raw(gateway, UPGRADE % b"")
        assert await everything(late) == b""
        for client in (*clients, late):
            client.close()

    on_gateway(tmp_path, scenario, drain_s=0.8, close_s=0.3)


def test_a_thousand_rooms_with_one_message_each(tmp_path):
    async def scenario(made, gateway):
        rooms, appends = gateway.service.server.rooms, []
        for number in range(1000):
            room = f"0193aaaa-0000-7000-8000-{number:012d}"
            appends.append(made.bus.append(chat(room, "edge1"), b'[{"n":%d}]' % number, message_id=f"r{number}"))
        await asyncio.gather(*appends)
        await until(lambda: gateway.service.feed.seen >= 1000)
        rooms.shrink()
        assert sum(room.ring.bytes for room in rooms._rooms.values()) <= 100 * 20
        assert len(rooms) == 100

    on_gateway(tmp_path, scenario, rooms_bytes=100 * 2060)


def test_a_token_made_a_moment_ago_is_waited_for(tmp_path):
    async def scenario(made, gateway):
        server = gateway.service.server
        early = await raw(gateway, UPGRADE % b"?token=token-dora")
        never = await raw(gateway, UPGRADE % b"?token=token-nobody")
        await asyncio.sleep(0.2)
        assert not server.tally.closed
        await made.add_token("dora")
        await until(lambda: any(one.user_id == "u-dora" for one in server.moderation.presence.users(CHANNEL_ID)))
        assert b"\x0f\xa1this token is not valid" in await everything(never)
        early.close()
        never.close()

    on_gateway(tmp_path, scenario, unknown_s=1.0, close_s=0.5)


def test_a_token_in_the_first_frame_is_waited_for_and_what_is_said_meanwhile(tmp_path):
    async def scenario(made, gateway):
        newcomers = gateway.service.server.newcomers
        async with websockets.connect(gateway.ws()) as early, websockets.connect(gateway.ws()) as never:
            await early.send('{"type":"auth","token":"token-dora"}')
            await early.send('{"type":"message","message":"first words","nonce":"n1"}')
            await never.send('{"type":"auth","token":"token-nobody"}')
            gone = await websockets.connect(gateway.ws())
            await gone.send('{"type":"auth","token":"token-gone"}')
            await until(lambda: len(newcomers._waiting) == 3)
            await gone.close()
            await until(lambda: len(newcomers._waiting) == 2)
            await made.add_token("dora")
            found = []
            while "ack" not in found:
                found.append(json.loads(await asyncio.wait_for(early.recv(), 3))["type"])
            assert "error" not in found
            assert found.count("hello") == 2
            with pytest.raises(websockets.ConnectionClosed):
                while True:
                    await asyncio.wait_for(never.recv(), 3)
            assert never.close_code == 4001
        assert not newcomers._waiting

    on_gateway(tmp_path, scenario, unknown_s=1.0)
