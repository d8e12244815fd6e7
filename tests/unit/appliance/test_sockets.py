"""Transports on an epoll of their own do what uvloop's do: the same cases on both."""

import asyncio
import contextlib
import os
import socket
from pathlib import Path

import pytest
import uvloop

from appliance.runtime.sockets import Sockets

BIG = os.urandom(3 << 20)


class Peer(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self):
        self.told = []
        self.data = b""
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        transport.set_write_buffer_limits(0)

    def data_received(self, data):
        assert isinstance(data, bytes)
        self.data += data

    def eof_received(self):
        self.told.append("eof")

    def pause_writing(self):
        self.told.append("pause")

    def resume_writing(self):
        self.told.append("resume")

    def connection_lost(self, exc):
        self.told.append("lost")
        self.lost.set_result(exc)


class Setting:
    def __init__(self, own):
        self.loop = asyncio.get_running_loop()
        self.sockets = Sockets(self.loop) if own else None
        self.clients = []

    async def pair(self, protocol=None):
        protocol = protocol or Peer()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname())
            taken, _ = listener.accept()
        for one in (taken, client):
            one.setblocking(False)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        self.clients.append(client)
        if self.sockets is None:
            await self.loop.connect_accepted_socket(lambda: protocol, taken)
        else:
            self.sockets.open(taken, protocol)
        return protocol, client

    async def read(self, client, size):
        data = b""
        while len(data) < size:
            found = await self.loop.sock_recv(client, min(1 << 20, size - len(data)))
            if not found:
                break
            data += found
        return data

    def close(self):
        for client in self.clients:
            client.close()
        if self.sockets is not None:
            self.sockets.close()


async def soon(what):
    async with asyncio.timeout(2):
        while not what():
            await asyncio.sleep(0.001)


def run(case, own):
    """A coroutine function with a Setting, on uvloop."""

    async def set_up():
        setting = Setting(own)
        try:
            async with asyncio.timeout(5):
                await case(setting)
        finally:
            setting.close()
            await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(set_up())


def both(case):
    """For either kind of transport."""

    @pytest.mark.parametrize("own", [True, False], ids=["own", "uvloop"])
    def test(own):
        run(case, own)

    test.__doc__ = case.__doc__
    return test


@both
async def test_bytes_go_both_ways(setting):
    peer, client = await setting.pair()
    await setting.loop.sock_sendall(client, BIG)
    await soon(lambda: len(peer.data) == len(BIG))
    assert peer.data == BIG
    peer.transport.write(b"one,")
    peer.transport.write(memoryview(b"two"))
    assert await setting.read(client, 7) == b"one,two"
    assert peer.told == []


@both
async def test_a_full_socket_pauses_and_a_drained_one_goes_on(setting):
    peer, client = await setting.pair()
    peer.transport.write(BIG)
    assert peer.told == ["pause"]
    held = peer.transport.get_write_buffer_size()
    assert 0 < held < len(BIG)
    peer.transport.write(b"behind it")
    assert peer.transport.get_write_buffer_size() == held + 9
    assert await setting.read(client, len(BIG) + 9) == BIG + b"behind it"
    await soon(lambda: peer.told == ["pause", "resume"])
    assert peer.transport.get_write_buffer_size() == 0
    await setting.loop.sock_sendall(client, b"still heard")
    await soon(lambda: peer.data == b"still heard")


@both
async def test_what_a_full_socket_is_given_comes_in_order(setting):
    peer, client = await setting.pair()
    fd, size = peer.transport.get_extra_info("socket").fileno(), 0
    with contextlib.suppress(BlockingIOError):
        while True:
            size += os.write(fd, b"." * 10_000)
    long = BIG[: 1 << 20]
    peer.transport.write(long)
    assert peer.told == ["pause"]
    assert peer.transport.get_write_buffer_size() == len(long)
    assert await setting.read(client, size + 1000) == b"." * size + long[:1000]
    peer.transport.write(memoryview(b"second"))
    peer.transport.write(b"third")
    assert await setting.read(client, len(long) - 1000 + 11) == long[1000:] + b"secondthird"
    await soon(lambda: peer.told == ["pause", "resume"])


@both
async def test_close_writes_all_first(setting):
    peer, client = await setting.pair()
    peer.transport.write(BIG)
    peer.transport.close()
    assert peer.transport.is_closing()
    assert peer.transport.get_write_buffer_size() > 0
    assert await setting.read(client, len(BIG) + 1) == BIG
    assert await peer.lost is None


@both
async def test_close_of_an_idle_one(setting):
    peer, client = await setting.pair()
    peer.transport.close()
    assert peer.told == []
    assert await peer.lost is None
    assert await setting.read(client, 1) == b""
    peer.transport.close()
    peer.transport.abort()
    await asyncio.sleep(0.01)
    assert peer.told == ["lost"]


@both
async def test_an_end_of_writing_comes_behind_what_was_written(setting):
    peer, client = await setting.pair()
    peer.transport.write(BIG)
    peer.transport.write_eof()
    assert await setting.read(client, len(BIG) + 1) == BIG
    await setting.loop.sock_sendall(client, b"heard")
    await soon(lambda: peer.data == b"heard")
    client.shutdown(socket.SHUT_WR)
    assert await peer.lost is None
    assert peer.told[-2:] == ["eof", "lost"]


@both
async def test_the_peers_end(setting):
    peer, client = await setting.pair()
    client.sendall(b"last words")
    client.shutdown(socket.SHUT_WR)
    assert await peer.lost is None
    assert peer.data == b"last words"
    assert peer.told == ["eof", "lost"]


@both
async def test_the_peers_end_while_something_is_to_be_written(setting):
    peer, client = await setting.pair()
    peer.transport.write(BIG)
    client.shutdown(socket.SHUT_WR)
    await soon(lambda: "eof" in peer.told)
    assert await setting.read(client, len(BIG)) == BIG
    assert await peer.lost is None


@both
async def test_a_reset_is_an_error(setting):
    peer, client = await setting.pair()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    assert isinstance(await peer.lost, ConnectionResetError)
    assert peer.told == ["lost"]


@both
async def test_a_reset_while_closing_ends_it(setting):
    peer, client = await setting.pair()
    peer.transport.write(BIG)
    peer.transport.close()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    await peer.lost


@both
async def test_a_write_to_one_that_went(setting):
    """The protocol hears of it later, not within its own call."""
    peer, client = await setting.pair()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    peer.transport.write(b"x")
    peer.transport.write(b"y")
    assert "lost" not in peer.told
    await peer.lost
    assert peer.told[-1] == "lost"


@both
async def test_abort_drops_what_was_not_written(setting):
    peer, client = await setting.pair()
    peer.transport.write(BIG)
    peer.transport.abort()
    assert "lost" not in peer.told
    assert await peer.lost is None
    with pytest.raises(ConnectionError):
        while await setting.loop.sock_recv(client, 1 << 20):
            pass
        raise ConnectionError  # an end is as good as a reset


@both
async def test_another_protocol_takes_over(setting):
    class Door(Peer):
        def data_received(self, data):
            self.inner = Peer()
            self.inner.transport = self.transport
            self.transport.set_protocol(self.inner)
            self.inner.data_received(data)

    door, client = await setting.pair(Door())
    client.sendall(b"in")
    await soon(lambda: hasattr(door, "inner"))
    client.sendall(b"side")
    await soon(lambda: door.inner.data == b"inside")
    assert door.transport.get_protocol() is door.inner
    client.close()
    await door.inner.lost
    assert door.told == []


@both
async def test_a_protocol_that_fails_ends_its_connection_only(setting):
    class Failing(Peer):
        def data_received(self, data):
            raise RuntimeError("no")

    failures = []
    setting.loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))
    failing, client = await setting.pair(Failing())
    other, there = await setting.pair()
    client.sendall(b"x")
    assert isinstance(await failing.lost, RuntimeError)
    assert [str(one) for one in failures] == ["no"]
    there.sendall(b"y")
    await soon(lambda: other.data == b"y")


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def on_uvloop(coroutine):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(coroutine)


def test_a_descriptor_is_closed_after_its_protocol_heard_of_the_end():
    class Looking(Peer):
        def connection_lost(self, exc):
            self.fd = self.transport.get_extra_info("socket").fileno()
            os.fstat(self.fd)
            super().connection_lost(exc)

    async def run():
        setting = Setting(own=True)
        peer, _ = await setting.pair(Looking())
        peer.transport.abort()
        await peer.lost
        await asyncio.sleep(0)
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(peer.fd)
        assert peer.transport.fileno() == -1
        peer.transport.write(b"to nobody")
        assert peer.told == ["lost"]
        setting.close()

    on_uvloop(run())


def test_the_end_of_all():
    async def run():
        before = open_descriptors()
        setting = Setting(own=True)
        peers = [(await setting.pair())[0] for _ in range(5)]
        peers[0].transport.abort()
        peers[1].transport.write(BIG)
        setting.close()
        assert all(peer.told[-1] == "lost" for peer in peers)
        setting.sockets.close()
        await asyncio.sleep(0)
        assert all(peer.told.count("lost") == 1 for peer in peers)
        assert open_descriptors() == before

    on_uvloop(run())


def test_more_than_are_served_in_a_turn():
    async def run():
        setting = Setting(own=True)
        pairs = [await setting.pair() for _ in range(300)]
        for number, (_, client) in enumerate(pairs):
            client.sendall(b"%d" % number)
        await soon(lambda: all(peer.data for peer, _ in pairs))
        assert [peer.data for peer, _ in pairs] == [b"%d" % number for number in range(300)]
        setting.close()

    on_uvloop(run())


def ours(case):
    """For our own transports."""

    def test():
        run(case, own=True)

    return test


@ours
async def test_what_is_written_together_leaves_at_the_end(setting):
    pairs = [await setting.pair() for _ in range(3)]
    with setting.sockets.together():
        for number, (peer, _) in enumerate(pairs):
            peer.transport.write(memoryview(b"first %d," % number))
            peer.transport.write(b"second")
            assert peer.transport.get_write_buffer_size() == 14
        with pytest.raises(BlockingIOError):
            pairs[0][1].recv(1)
    for number, (peer, client) in enumerate(pairs):
        assert await setting.read(client, 14) == b"first %d,second" % number
        assert (peer.told, peer.transport.get_write_buffer_size()) == ([], 0)
        peer.transport.write(b"third")
        assert await setting.read(client, 5) == b"third"


@ours
async def test_more_than_a_socket_takes_is_written_together(setting):
    peer, client = await setting.pair()
    with setting.sockets.together():
        peer.transport.write(BIG)
        assert peer.told == []
    assert peer.told == ["pause"]
    assert await setting.read(client, len(BIG)) == BIG
    await soon(lambda: peer.told == ["pause", "resume"])


@ours
async def test_those_that_end_while_all_are_written_together(setting):
    (closed, c1), (ended, c2), (aborted, c3), (gone, c4) = [await setting.pair() for _ in range(4)]
    c4.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    with pytest.raises(KeyError), setting.sockets.together():
        for peer in (closed, ended, aborted, gone):
            peer.transport.write(b"all of it")
        closed.transport.close()
        ended.transport.write_eof()
        aborted.transport.abort()
        c4.close()
        raise KeyError
    for peer in (closed, aborted, gone):
        await peer.lost
    assert await setting.read(c1, 100) == b"all of it"
    assert await setting.read(c2, 100) == b"all of it"
    assert await setting.read(c3, 100) == b""
    assert ended.told == []
    await setting.loop.sock_sendall(c2, b"heard")
    await soon(lambda: ended.data == b"heard")
