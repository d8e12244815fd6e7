"""How the sockets of publishers are read: at ticks of the log while they are on the air, else as bytes come."""

import asyncio
import socket
from typing import cast

import pytest
from flv_source import broadcast, media
from ingest_site import Client, Site, until

from appliance.contracts.media import SOURCE, BroadcastState
from edge.ingest import rtmp_socket
from edge.ingest.publisher import MOST_COLLECTED
from edge.ingest.rtmp_socket import _HELD, _READ, RtmpSocket
from edge.ingest.service import IngestService


async def on_the_air(site: Site, service: IngestService) -> tuple[Client, RtmpSocket]:
    client = await site.client(service)
    client.send(broadcast(2))
    await until(lambda: site.state() is BroadcastState.LIVE)
    (connection,) = service._listener._sockets
    return client, connection


async def test_who_is_on_the_air_is_read_at_ticks(site: Site) -> None:
    client, connection = await on_the_air(site, await site.ingest())
    assert connection._held is not None
    before = len(site.log.messages)
    client.send(media(3, start_ms=2000))
    await until(lambda: len(site.log.messages) > before + 5)
    client.writer.write_eof()  # seen though the transport does not read
    await until(lambda: site.state() is BroadcastState.INTERRUPTED)
    await until(lambda: connection._held is None)


async def test_what_comes_while_the_log_has_no_ticks_is_kept(site: Site) -> None:
    service = await site.ingest()
    client, connection = await on_the_air(site, service)
    (session,) = service.gate.sessions
    session._rest._until = float("inf")
    await asyncio.sleep(0.05)
    received, queued = connection.received_bytes, session.queued_bytes
    client.send(media(3, start_ms=2000))
    await client.writer.drain()
    await until(lambda: (connection.tick(), connection.received_bytes > received + 1000)[1])
    await until(lambda: (connection.tick(), session.queued_bytes > queued + 1000)[1])
    before = len(site.log.messages)
    # Of what comes long before its time each piece rests until then.
    await until(lambda: (session._rest.end(), len(site.log.messages) > before + 5)[1])


async def test_why_a_connection_is_closed_is_read_though_bytes_lay_there(site: Site) -> None:
    service = await site.ingest()
    client, connection = await on_the_air(site, service)
    (session,) = service.gate.sessions
    session._rest._until = float("inf")
    client.send(media(1, start_ms=2000))
    await client.writer.drain()
    await asyncio.sleep(0.05)
    connection.close("test", "because of this test")
    assert b"because of this test" in await client.read_all()


async def test_who_asks_and_never_reads_is_cut_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtmp_socket, "_UNSENT", 1 << 14)
    service = await site.ingest()
    client = await site.client(service)
    await until(lambda: len(service._listener._sockets) == 1)
    (connection,) = service._listener._sockets
    assert connection._transport is not None
    connection._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    cast("asyncio.ReadTransport", client.writer.transport).pause_reading()
    questions = client.encoder.command("whoAreYou", 5.0) * 100

    def asks_on() -> bool:
        client.writer.write(questions)
        connection.tick()  # on the air it is read at ticks of the log, which come when they like
        return connection.closed

    await until(asks_on)
    await until(lambda: not service._listener._sockets)


async def test_a_large_frame_comes_packet_by_packet(site: Site) -> None:
    service = await site.ingest()
    client = await site.client(service)
    client.send(broadcast(2))
    await until(lambda: site.state() is BroadcastState.LIVE)
    nal = b"\x65" + bytes(60_000)
    frame = client.encoder.video(2000, b"\x17\1\0\0\0" + len(nal).to_bytes(4, "big") + nal)
    (connection,) = service._listener._sockets
    connection.release()  # as one that waits behind another publisher
    client.writer.write(frame[:9_000])
    await until(lambda: connection._low_water > 9_000)
    received = connection.received_bytes
    client.writer.write(frame[9_000:9_500])
    connection.tick()
    await until(lambda: connection.received_bytes == received + 500)
    client.writer.write(frame[9_500:])
    await until(lambda: connection._low_water == 1)
    client.send(media(1, start_ms=2034))
    chunks = site.log.chunks(site.log.broadcasts()[0].broadcast_id, SOURCE)
    await until(lambda: any(nal in message.data for message in site.log.messages))
    assert len(chunks) < len(site.log.chunks(site.log.broadcasts()[0].broadcast_id, SOURCE))


async def test_what_was_collected_is_handled_when_it_is_let_go(site: Site) -> None:
    service = await site.ingest()
    client, connection = await on_the_air(site, service)
    (session,) = service.gate.sessions
    session._rest._until = float("inf")
    connection.tick = lambda: None  # type: ignore[method-assign] # it would hand on what was collected
    client.send(media(2, start_ms=2000))
    await until(lambda: connection._lying_bytes > 4000)
    received = connection.received_bytes
    connection.release()
    assert connection.received_bytes > received + 4000
    client.send(media(1, start_ms=4000))
    await until(lambda: connection.received_bytes > received + 6000)


async def test_no_more_than_a_bound_is_collected(site: Site) -> None:
    service = await site.ingest()
    client, connection = await on_the_air(site, service)
    (session,) = service.gate.sessions
    session._rest._until = float("inf")
    connection.tick = lambda: None  # type: ignore[method-assign] # it would hand on what was collected
    nal = b"\x41" + bytes(400_000)
    frame = client.encoder.video(2000, b"\x27\1\0\0\0" + len(nal).to_bytes(4, "big") + nal)
    most = 0
    collect = connection.collect

    def watched() -> int:
        nonlocal most
        due = collect()
        most = max(most, connection._lying_bytes)
        return due

    connection.collect = watched  # type: ignore[method-assign]
    received = connection.received_bytes
    client.writer.write(frame * 3)
    await until(
        lambda: connection.received_bytes > received + 3 * len(frame) - MOST_COLLECTED
    )  # though the rest lasts
    assert MOST_COLLECTED <= most < _HELD + _READ
    assert connection._lying_bytes < MOST_COLLECTED
    session._rest.end()
    await until(lambda: connection.received_bytes >= received + 3 * len(frame) - 1000)


class Counted(socket.socket):
    """A socket that counts how often it is read, and whose peer sends the next piece when the one before is."""

    reads = 0

    def recvmsg(self, *sizes: int) -> tuple[bytes, list[tuple[int, int, bytes]], int, object]:  # type: ignore[override]
        self.reads += 1
        found = super().recvmsg(*sizes)
        if self.pieces:
            self.peer.sendall(self.pieces.pop())
        return found

    def waits_for(self, peer: socket.socket, pieces: list[bytes]) -> None:
        """`pieces` come one after the other, the last of them now."""
        self.peer, self.pieces = peer, pieces
        peer.sendall(pieces.pop())


async def test_a_socket_is_read_once_a_look_unless_a_read_sets_more_free(site: Site) -> None:
    """What an encoder without TCP_NODELAY has next leaves it when the packet before is read."""
    service = await site.ingest()
    client, connection = await on_the_air(site, service)
    (session,) = service.gate.sessions
    session._rest._until = session.ready_at = session.due_at = float("inf")
    connection.collect()
    held = cast("socket.socket", connection._held)
    near, far = socket.socketpair()
    held.detach()
    counted = Counted(near.family, near.type, near.proto, near.detach())
    counted.setblocking(False)
    connection._held = counted

    def reads(*pieces: bytes) -> int:
        before = counted.reads
        counted.waits_for(far, list(pieces))
        connection.collect()
        return counted.reads - before

    assert sum(reads(b"1") for _ in range(64)) <= 64 + 5
    assert sum(reads(b"3", b"2", b"1") for _ in range(64)) >= 48 * 4, "found out soon, and then read at once"
    connection._lying.clear()  # this was no RTMP
    far.close()
    client.writer.transport.abort()
