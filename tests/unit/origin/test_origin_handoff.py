"""Connections that belong to another role: given away alive, on the loop that production runs."""

import asyncio
import os
import socket

import pytest
import uvloop
from origin_fakes import start_origin


def on_uvloop(scenario, handoffs):
    """Runs a scenario with an origin on the loop of production."""

    async def run():
        origin = await start_origin(handoffs)
        try:
            await scenario(origin)
        finally:
            await origin.close()

    uvloop.run(run())


class Receiver:
    """Takes the descriptor as another process would: its own copy of it."""

    def __init__(self, away=False):
        self.away = away
        self.taken = []

    def send(self, fd, head, peer):
        if self.away:
            return False
        self.taken.append((socket.socket(fileno=os.dup(fd)), head, peer))
        return True


@pytest.mark.parametrize("path", ["/chat/alice", "/streams/1/chat/subscribe", "/irc"])
def test_the_receiver_goes_on_talking(path):
    receiver = Receiver()

    async def scenario(origin):
        client = await origin.client()
        assert (await client.get("/healthz")).status == 200
        client.send(path, method="POST", Content_Length="5")
        client.writer.write(b"hello")
        async with asyncio.timeout(1):
            while not receiver.taken or origin.server._connections:
                await asyncio.sleep(0.005)
        taken, head, peer = receiver.taken[0]
        assert head.startswith(f"POST {path} HTTP/1.1\r\nHost: test\r\n".encode())
        assert peer == "127.0.0.1"
        taken.setblocking(False)
        loop = asyncio.get_running_loop()
        if not head.endswith(b"hello"):
            assert await loop.sock_recv(taken, 5) == b"hello"
        await loop.sock_sendall(taken, b"to the client")
        assert await asyncio.wait_for(client.reader.readexactly(13), 1) == b"to the client"
        client.writer.write(b"and back")
        assert await asyncio.wait_for(loop.sock_recv(taken, 100), 1) == b"and back"
        assert origin.tally.events["handed_off"] == 1
        taken.close()

    on_uvloop(scenario, {"/chat/": receiver, "/streams/": receiver, "/irc": receiver})


def test_receiver_away_is_503():
    async def scenario(origin):
        client = await origin.client()
        answer = await client.get("/chat/alice")
        assert answer.status == 503
        assert answer.headers["cache-control"] == "no-store"
        assert (await client.get("/healthz")).status == 200  # the connection is still ours

    on_uvloop(scenario, {"/chat/": Receiver(away=True)})


def test_other_paths_stay():
    receiver = Receiver()

    async def scenario(origin):
        client = await origin.client()
        assert (await client.get("/ircfan")).status == 503  # a page
        assert receiver.taken == []

    on_uvloop(scenario, {"/irc": receiver})


def test_the_first_page_and_the_websocket_of_clients_that_know_no_path():
    receiver = Receiver()

    async def scenario(origin):
        client = await origin.client()
        assert (await client.get("/")).status == 503  # a page
        client.send("/", Connection="Upgrade", Upgrade="websocket", Sec_WebSocket_Protocol="irc")
        async with asyncio.timeout(1):
            while not receiver.taken:
                await asyncio.sleep(0.005)
        receiver.taken[0][0].close()

    on_uvloop(scenario, {"/irc": receiver})


def test_live_playlists_on_uvloop():
    async def scenario(origin):
        origin.go_live()
        origin.add_segments(1)
        origin.add_part()
        client = await origin.client()
        assert (await client.get("/live/alice/index.m3u8")).status == 200
        client.send("/media/0193-broadcast/source/p5.m4s")
        await asyncio.sleep(0.01)
        origin.add_part()
        assert (await client.receive()).body == b"<1.1.0>"

    on_uvloop(scenario, {})
