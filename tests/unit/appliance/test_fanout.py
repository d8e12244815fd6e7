"""The same bytes to many sockets, by both ways: short sends, full and closed sockets, order, an end."""

import asyncio
import errno
import os
import socket
from array import array
from pathlib import Path

import pytest
import uvloop

from appliance.runtime import uring
from appliance.runtime.fanout import EachFanOut, Unsent
from appliance.runtime.uring import RingFanOut, open_fan_out


def ring_or_skip(entries):
    try:
        return RingFanOut(entries)
    except OSError as error:
        pytest.skip(f"io_uring is refused here: {error}")


@pytest.fixture(params=["each", "ring", "small ring"])
def fan_out(request):
    made = EachFanOut() if request.param == "each" else ring_or_skip(4 if request.param == "small ring" else 64)
    yield made
    made.close()


@pytest.fixture
def connected():
    """Makes pairs of TCP sockets: the server's end, the client's."""
    opened = []

    def make(count=1):
        pairs = []
        with socket.create_server(("127.0.0.1", 0)) as listener:
            for _ in range(count):
                client = socket.create_connection(listener.getsockname())
                client.settimeout(2)
                ours, _ = listener.accept()
                ours.setblocking(False)
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
                pairs.append((ours, client))
        opened.extend(one for pair in pairs for one in pair)
        return pairs

    yield make
    for one in opened:
        one.close()


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def descriptors(pairs):
    return array("i", [ours.fileno() for ours, _ in pairs])


def read(client, size):
    data = b""
    while len(data) < size:
        data += client.recv(size - len(data))
    return data


def fill(ours):
    """Until the socket takes nothing; how much that was."""
    size = 0
    while True:
        try:
            size += ours.send(b"." * 1000)
        except BlockingIOError:
            return size


def test_all_get_all(fan_out, connected):
    pairs = connected(11)
    said = [b"%d" % number * 100 for number in range(7)]
    for one in said:
        assert fan_out.send(descriptors(pairs), one) == []
    for _, client in pairs:
        assert read(client, 700) == b"".join(said)


def test_nobody_is_there(fan_out):
    assert fan_out.send(array("i"), b"x") == []


def test_a_full_socket_takes_nothing_and_the_others_all(fan_out, connected):
    pairs = connected(9)
    full = {2, 3, 8}
    before = {number: fill(pairs[number][0]) for number in full}
    assert fan_out.send(descriptors(pairs), b"news") == [Unsent(number, 0, 0) for number in sorted(full)]
    for number, (_, client) in enumerate(pairs):
        if number not in full:
            assert read(client, 4) == b"news"
    assert read(pairs[2][1], before[2]) == b"." * before[2]
    assert fan_out.send(descriptors(pairs)[2:3], b"news") == []
    assert read(pairs[2][1], 4) == b"news"


def test_a_short_send_says_how_much_was_taken(fan_out, connected):
    pairs = connected(3)
    data = os.urandom(8 << 20)
    unsent = fan_out.send(descriptors(pairs), data)
    assert [one.place for one in unsent] == [0, 1, 2]
    for (index, taken, error), (_, client) in zip(unsent, pairs, strict=True):
        assert error == 0
        assert 0 < taken < len(data)
        assert read(client, taken) == data[:taken], index


def test_failed_sockets_are_named(fan_out, connected):
    pairs = connected(7)
    pairs[1][0].shutdown(socket.SHUT_WR)
    fds = descriptors(pairs)
    fds[4] = -1
    assert fan_out.send(fds, b"x") == [Unsent(1, 0, errno.EPIPE), Unsent(4, 0, errno.EBADF)]
    assert read(pairs[6][1], 1) == b"x"


def test_peers_that_went_do_not_disturb(fan_out, connected):
    pairs = connected(5)
    pairs[3][1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    pairs[3][1].close()
    (failed,) = fan_out.send(descriptors(pairs), b"x")
    assert failed in (Unsent(3, 0, errno.ECONNRESET), Unsent(3, 0, errno.EPIPE))
    assert read(pairs[4][1], 1) == b"x"


def test_what_was_sent_belongs_to_nobody(fan_out, connected):
    """The next bytes may lie where the last ones lay, and be longer or shorter."""
    pairs = connected(2)
    for number in range(300):
        size = 1 + number % 7
        assert fan_out.send(descriptors(pairs), bytes([65 + number % 26]) * size) == []
        for _, client in pairs:
            assert read(client, size) == bytes([65 + number % 26]) * size


def test_counters_go_over_their_end(connected):
    """Far more sends than a ring has places, in runs that do not divide it."""
    ring = ring_or_skip(8)
    pairs = connected(5)
    for number in range(100):
        assert ring.send(descriptors(pairs), b"%02d" % number) == []
    assert read(pairs[4][1], 200) == b"".join(b"%02d" % number for number in range(100))
    ring.close()


def test_a_closed_ring_leaves_no_descriptor():
    before = open_descriptors()
    ring = ring_or_skip(8)
    assert open_descriptors() > before
    ring.close()
    ring.close()
    assert open_descriptors() == before


def test_a_kernel_that_refuses(monkeypatch, connected):
    """The number of a system call that there is not stands for a kernel without io_uring."""
    monkeypatch.setattr(uring, "_SETUP", 4095)
    made = open_fan_out()
    assert isinstance(made, EachFanOut)
    pairs = connected()
    assert made.send(descriptors(pairs), b"x") == []
    assert read(pairs[0][1], 1) == b"x"


def test_a_kernel_that_gives_a_ring_and_refuses_to_use_it(monkeypatch):
    ring_or_skip(8).close()
    before = open_descriptors()
    monkeypatch.setattr(uring, "_ENTER", 4095)
    assert isinstance(open_fan_out(), EachFanOut)
    assert open_descriptors() == before


def test_a_working_kernel_gives_a_ring():
    ring_or_skip(8).close()
    made = open_fan_out()
    assert isinstance(made, RingFanOut)
    made.close()


class Client(asyncio.Protocol):
    """Out of the fan-out while its transport has something buffered."""

    def __init__(self):
        self.paused = False

    def connection_made(self, transport):
        self.transport = transport
        transport.set_write_buffer_limits(0)

    def pause_writing(self):
        self.paused = True

    def resume_writing(self):
        self.paused = False


def test_what_a_transport_has_buffered_goes_first(fan_out, connected):
    """Every byte once and in order, though transport and fan-out write to the same sockets in turn."""
    pairs = connected(3)

    async def converse():
        loop = asyncio.get_running_loop()
        clients = []
        for ours, theirs in pairs:
            theirs.setblocking(False)
            clients.append((await loop.connect_accepted_socket(Client, ours))[1])
        fds = [one.transport.get_extra_info("socket").fileno() for one in clients]
        said = [b""] * len(clients)
        heard = [b""] * len(clients)
        data = b"".join(b"%06d," % number for number in range(9000))
        for _ in range(30):
            ready = [number for number, one in enumerate(clients) if not one.paused]
            short = {
                one.place: one.taken for one in fan_out.send(array("i", [fds[number] for number in ready]), data)
            }
            for place, number in enumerate(ready):
                said[number] += data
                if place in short:
                    clients[number].transport.write(memoryview(data)[short[place] :])
            for number in (0, 1):  # the last one never reads
                heard[number] += await loop.sock_recv(pairs[number][1], 1 << 17)
        for number in (0, 1):
            while len(heard[number]) < len(said[number]):
                heard[number] += await loop.sock_recv(pairs[number][1], 1 << 17)
            assert heard[number] == said[number]
        for one in clients:
            one.transport.abort()
        await asyncio.sleep(0)
        return len(said[2]) // len(data)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(converse()) < 30
