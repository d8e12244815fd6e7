"""One answer to many held requests: past the transports, and through them where a socket does not take all."""

import asyncio
import errno
import os
from array import array

import pytest
from origin_fakes import BROADCAST, settled

from appliance.runtime.fanout import FanOut, Unsent
from edge.origin.delivery import deliverer
from edge.origin.responses import media, text

MANY = 41
NEXT = f"/media/{BROADCAST}/source/index.m3u8?_HLS_msn=2&_HLS_part=0"


class Halves(FanOut):
    """Every third socket takes a part, every third is full, and the last has failed."""

    def __init__(self):
        self.sent = 0

    def send(self, fds: "array[int]", data: bytes) -> list[Unsent]:
        unsent = []
        self.sent += len(fds)
        for place, fd in enumerate(fds):
            taken = (len(data), 7, 0)[place % 3]
            if taken:
                os.write(fd, data[:taken])
            if taken < len(data):
                unsent.append(Unsent(place, taken, errno.EPIPE if place == len(fds) - 1 else 0))
        return unsent

    def close(self) -> None:
        """Nothing."""


@pytest.fixture
async def herd(make_origin):
    origin = await make_origin()
    origin.go_live()
    origin.add_segments(2)
    clients = [await origin.client() for _ in range(MANY)]
    for client in clients:
        client.send(NEXT)
    await settled(lambda: len(origin.server.held) == MANY)
    return origin, clients


async def test_all_get_the_same_and_ask_on(herd):
    origin, clients = herd
    origin.add_part()
    first = [await client.receive() for client in clients]
    assert {(answer.status, answer.body) for answer in first} == {(200, first[0].body)}
    assert not origin.server.held
    assert origin.tally.requests["playlist", 200][0] == MANY
    for client in clients:
        client.send(NEXT.replace("part=0", "part=1"))
    origin.add_part()
    assert {(await client.receive()).status for client in clients} == {200}


async def test_what_a_socket_does_not_take_goes_through_its_transport(herd):
    origin, clients = herd
    sockets, answer = Halves(), text("playlist", "text/plain", "no-store", b"x" * 5000, gzip=False)
    deliverer(asyncio.get_running_loop(), sockets)(list(origin.server.held), answer)
    assert sockets.sent == MANY
    for client in clients:
        assert (await client.receive()).body == b"x" * 5000
        client.send(f"/media/{BROADCAST}/source/index.m3u8")
    assert {(await client.receive()).status for client in clients} == {200}


async def test_a_large_answer_goes_out_whole(herd):
    origin, clients = herd
    answer = text("playlist", "text/plain", "no-store", os.urandom(600_000), gzip=False)
    deliverer(asyncio.get_running_loop(), origin.fan_out)(list(origin.server.held), answer)
    for client in clients[:4]:
        assert (await client.receive()).body == answer.body[0]


async def test_who_has_left_or_ends_with_this_answer_is_no_trouble(make_origin):
    origin = await make_origin()
    origin.go_live()
    origin.add_segments(2)
    clients = [await origin.client() for _ in range(MANY)]
    for index, client in enumerate(clients):
        client.send(NEXT, Connection="keep-alive" if index % 4 else "close")
    await settled(lambda: len(origin.server.held) == MANY)
    for client in clients[1::4]:
        await client.close()
    origin.add_part()
    stayed = [client for index, client in enumerate(clients) if index % 4 != 1]
    assert {(await client.receive()).status for client in stayed} == {200}
    assert await clients[0].reader.read() == b"", "it asked to be closed"
    assert not origin.server.held


def test_a_large_answer_that_is_asked_for_often_becomes_one_piece_for_a_second():
    response = media("part", "video", 24, (b"a" * 30_000, b"b" * 30_000))
    for date in (b"Date: 1\r\n", b"Date: 2\r\n"):
        seen = [response.wire(date) for _ in range(8)]
        assert {b"".join(pieces) for pieces in seen} == {response.head(date) + b"".join(response.body)}
        assert len(seen[0]) == 3, "who asks alone costs no copy"
        assert len(seen[-1]) == 1
        assert seen[-1][0] is seen[-2][0]
