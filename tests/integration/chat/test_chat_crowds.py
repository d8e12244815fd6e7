"""Many who ask in the same words at the same time: handed over with their whole request, as an origin does."""

import asyncio
import base64
import hashlib
import os
import socket
import struct
from typing import ClassVar

import msgspec
import uvloop
import websockets
from chat_site import Chatter, site

UPGRADE = (
    "GET /chat/{channel}/subscribe{query} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MANY = 40


def on_gateway(tmp_path, scenario, **changes):
    async def run():
        async with site(tmp_path) as made:
            try:
                await scenario(made, await made.gateway(**changes))
            finally:
                while Client.opened:
                    Client.opened.pop().close()

    uvloop.run(run())


class Client:
    """A viewer that only listens."""

    opened: ClassVar = []

    def __init__(self, gateway, query="", behind=b"", channel="alice"):
        self.key = base64.b64encode(os.urandom(16)).decode()
        ours, self.socket = socket.socketpair()
        self.socket.setblocking(False)
        self.opened.append(self.socket)
        head = UPGRADE.format(channel=channel, query=query, key=self.key).encode()
        assert gateway._sender.send(ours.fileno(), head + behind, "192.0.2.1")
        ours.close()
        self.data = b""

    async def more(self):
        loop = asyncio.get_running_loop()
        found = await asyncio.wait_for(loop.sock_recv(self.socket, 65536), 5)
        assert found, "it was closed"
        self.data += found

    async def open(self):
        while b"\r\n\r\n" not in self.data:
            await self.more()
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        wanted = base64.b64encode(hashlib.sha1(self.key.encode() + MAGIC).digest())
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"Sec-WebSocket-Accept: %b\r\n" % wanted in head + b"\r\n"
        assert (await self.frame())["type"] == "hello"
        return self

    async def payload(self):
        while True:
            length, start = (self.data[1] if len(self.data) > 1 else 0), 2
            if length == 126 and len(self.data) >= 4:
                length, start = struct.unpack("!H", self.data[2:4])[0], 4
            if len(self.data) >= max(2, start + length) and length != 126:
                found, self.data = self.data[start : start + length], self.data[start + length :]
                return found
            await self.more()

    async def frame(self):
        return msgspec.json.decode(await self.payload())

    async def texts(self, count):
        found = []
        while len(found) < count:
            frame = await self.frame()
            assert frame["type"] == "messages"
            found += [one["message"] for one in frame["messages"]]
        return found


async def crowd(gateway, **how):
    return await asyncio.gather(*(Client(gateway, **how).open() for _ in range(MANY)))


def test_each_of_a_crowd_has_its_own_answer_and_hears_everything_once(tmp_path):
    async def scenario(made, gateway):
        async with websockets.connect(gateway.ws("?token=token-alice")) as socket_:
            talker = Chatter(socket_)
            clients = await crowd(gateway)
            for number in range(3):
                await talker.say(f"m{number}")
            for client in clients:
                assert await client.texts(3) == ["m0", "m1", "m2"]
            later = await crowd(gateway)
            for client in later:
                assert await client.texts(3) == ["m0", "m1", "m2"]
            server = gateway.service.server
            assert server.count == 2 * MANY + 1
            for client in clients + later:
                client.socket.close()
        while server.count:
            await asyncio.sleep(0.01)
        assert not server._connections
        assert not any(server._wheel._slots)

    on_gateway(tmp_path, scenario)


def test_a_crowd_that_comes_back_gets_what_it_missed(tmp_path):
    """From memory, and from the log where memory no longer has it; a position that never was is a gap."""

    async def scenario(made, gateway):
        async with websockets.connect(gateway.ws("?token=token-alice")) as socket_:
            talker = Chatter(socket_)
            start = (await talker.until("hello"))["position"]
            for number in range(5):
                await talker.say(f"m{number}")
            await talker.until_seen(5)
            for client in await crowd(gateway, query=f"?since={start}"):
                assert await client.texts(5) == [f"m{number}" for number in range(5)]
            for client in await crowd(gateway, query=f"?since={talker.position}"):
                await talker.say("behind")
                assert (await client.texts(1))[0] == "behind"
        other = await made.gateway(replay=1)
        for client in await crowd(other, query=f"?since={start}"):
            assert (await client.texts(5 + MANY))[:5] == [f"m{number}" for number in range(5)]

    on_gateway(tmp_path, scenario)


def test_what_was_deleted_is_not_told_to_whoever_comes_next(tmp_path):
    async def scenario(made, gateway):
        async with websockets.connect(gateway.ws("?token=token-alice")) as socket_:
            talker = Chatter(socket_)
            await talker.say("stays", nonce="1")
            await talker.say("goes", nonce="2")
            await talker.until_seen(2)
            client = await Client(gateway).open()
            assert await client.texts(2) == ["stays", "goes"]
            await talker.say("/clear", nonce="3")
            await talker.until("ack")
            while (await client.frame())["type"] != "event":
                pass
            await talker.say("last", nonce="4")
            await talker.until_seen(3)
            assert await (await Client(gateway).open()).texts(1) == ["last"]

    on_gateway(tmp_path, scenario)


def test_words_that_came_before_do_not_help_where_something_is_different(tmp_path):
    """A room that is not, one beyond the limit, one that already says something."""

    async def scenario(made, gateway):
        await crowd(gateway)
        for _ in range(2):
            client = Client(gateway, channel="nobody")
            while b"no such room" not in client.data:
                await client.more()
        ping = await Client(gateway, behind=b"\x89\x80mask").open()
        while not ping.data:
            await ping.more()
        assert ping.data == b"\x8a\x00"
        beyond = Client(gateway)
        while b"too many connections" not in beyond.data:
            await beyond.more()

    on_gateway(tmp_path, scenario, connections_per_address=MANY + 3, unknown=0)


def test_one_that_fails_does_not_take_those_behind_it_along(tmp_path, monkeypatch):
    async def scenario(made, gateway):
        server, failures = gateway.service.server, []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context["exception"]))
        opened = server._open

        def open_(taken, head, peer):
            if not failures:
                taken.close()
                raise ZeroDivisionError
            opened(taken, head, peer)

        monkeypatch.setattr(server, "_open", open_)
        Client(gateway)
        for client in [Client(gateway) for _ in range(5)]:
            await client.open()
        assert [type(failure) for failure in failures] == [ZeroDivisionError]

    on_gateway(tmp_path, scenario)
