"""A connection accepted by one process is served by another: bytes read so far, then the living socket."""

import asyncio
import socket
from pathlib import Path

import pytest

from appliance.runtime.handoff import HandoffReceiver, HandoffSender


@pytest.fixture
def taken() -> "asyncio.Queue[tuple[socket.socket, bytes, str]]":
    return asyncio.Queue()


async def accepted_pair() -> tuple[socket.socket, socket.socket]:
    """A client's socket and the accepted one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    client.setblocking(False)
    accepted.setblocking(False)
    return client, accepted


async def test_given_connection_goes_on(tmp_path: Path, taken) -> None:
    receiver = HandoffReceiver(tmp_path / "role.sock", lambda *all_of_it: taken.put_nowait(all_of_it))
    await receiver.start()
    sender = HandoffSender(tmp_path / "role.sock")
    loop = asyncio.get_running_loop()
    for number in range(20):
        client, accepted = await accepted_pair()
        assert sender.send(accepted.fileno(), b"GET /chat %d" % number, "10.0.0.1")
        accepted.close()
        async with asyncio.timeout(3):
            given, head, peer = await taken.get()
        assert (head, peer) == (b"GET /chat %d" % number, "10.0.0.1")
        await loop.sock_sendall(client, b"more")
        assert await loop.sock_recv(given, 10) == b"more"
        await loop.sock_sendall(given, b"answer")
        assert await loop.sock_recv(client, 10) == b"answer"
        given.close()
        client.close()
    sender.close()
    await receiver.close()


async def test_nobody_there(tmp_path: Path) -> None:
    sender = HandoffSender(tmp_path / "role.sock")
    client, accepted = await accepted_pair()
    assert not sender.send(accepted.fileno(), b"x", "10.0.0.1")
    assert accepted.fileno() >= 0
    accepted.close()
    client.close()


async def test_a_successor_keeps_its_place_when_its_predecessor_leaves(tmp_path: Path, taken) -> None:
    path = tmp_path / "role.sock"
    old = HandoffReceiver(path, lambda *_: pytest.fail("the predecessor takes nothing new"))
    await old.start()
    new = HandoffReceiver(path, lambda *all_of_it: taken.put_nowait(all_of_it))
    await new.start()
    await old.close()
    sender = HandoffSender(path)
    client, accepted = await accepted_pair()
    assert sender.send(accepted.fileno(), b"x", "10.0.0.1")
    async with asyncio.timeout(3):
        (await taken.get())[0].close()
    accepted.close()
    client.close()
    sender.close()
    await new.close()
    assert not path.exists()


async def test_receiver_that_came_back(tmp_path: Path, taken) -> None:
    path = tmp_path / "role.sock"
    sender = HandoffSender(path)
    for _ in range(3):
        receiver = HandoffReceiver(path, lambda *all_of_it: taken.put_nowait(all_of_it))
        await receiver.start()
        client, accepted = await accepted_pair()
        assert sender.send(accepted.fileno(), b"x", "10.0.0.1")
        accepted.close()
        async with asyncio.timeout(3):
            given, _, _ = await taken.get()
        given.close()
        client.close()
        await receiver.close()
    sender.close()


async def test_socket_left_by_a_dead_process(tmp_path: Path, taken) -> None:
    path = tmp_path / "role.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
        dead.bind(str(path))
    receiver = HandoffReceiver(path, lambda *all_of_it: taken.put_nowait(all_of_it))
    await receiver.start()
    sender = HandoffSender(path)
    client, accepted = await accepted_pair()
    assert sender.send(accepted.fileno(), b"x", "10.0.0.1")
    async with asyncio.timeout(3):
        given, _, _ = await taken.get()
    for one in (given, client, accepted):
        one.close()
    sender.close()
    await receiver.close()


async def test_malformed_gift_costs_nothing(tmp_path: Path, taken) -> None:
    path = tmp_path / "role.sock"
    receiver = HandoffReceiver(path, lambda *all_of_it: taken.put_nowait(all_of_it))
    await receiver.start()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as odd:
        odd.connect(str(path))
        client, accepted = await accepted_pair()
        odd.send(b"\x04peer no descriptor")
        socket.send_fds(odd, [b"\xffshort"], [accepted.fileno()])
        socket.send_fds(odd, [b"\x01xhead"], [accepted.fileno(), accepted.fileno()])
        socket.send_fds(odd, [b"\x01xhead"], [accepted.fileno()])
        async with asyncio.timeout(3):
            given, head, peer = await taken.get()
        assert (head, peer) == (b"head", "x")
        for one in (given, client, accepted):
            one.close()
    await asyncio.sleep(0.05)
    assert taken.empty()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    await receiver.close()


async def test_head_that_is_too_long_is_not_sent(tmp_path: Path, taken) -> None:
    receiver = HandoffReceiver(tmp_path / "role.sock", lambda *all_of_it: taken.put_nowait(all_of_it))
    await receiver.start()
    sender = HandoffSender(tmp_path / "role.sock")
    client, accepted = await accepted_pair()
    assert not sender.send(accepted.fileno(), bytes(70_000), "10.0.0.1")
    assert sender.send(accepted.fileno(), bytes(60_000), "10.0.0.1")
    async with asyncio.timeout(3):
        given, head, _ = await taken.get()
    assert len(head) == 60_000
    for one in (given, client, accepted):
        one.close()
    sender.close()
    await receiver.close()
