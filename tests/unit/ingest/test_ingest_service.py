"""The ingest role over real sockets, with our runtime's interfaces faked."""

import asyncio
import contextlib
import itertools

import msgspec
import pytest
import uvloop
from flv_source import Body, broadcast, media
from ingest_fakes import KEY, FakeBucket, directory_with
from ingest_site import Client, Site, until

from appliance.contracts.media import AUDIO, SOURCE, Broadcast, BroadcastState, ChunkFlag
from appliance.runtime.settings import Settings
from edge.ingest.publisher import LinkFigures


async def test_a_broadcast(site: Site) -> None:
    service = await site.ingest()
    client = await site.client(service)
    client.send(broadcast(4))
    await until(lambda: site.state() is BroadcastState.LIVE)
    (record,) = site.log.broadcasts()
    assert (record.channel, record.has_video, record.has_audio) == ("name0", True, True)
    assert (record.target_duration_s, record.epoch, record.encoder) == (4, 1, "test/1")
    client.writer.write(client.encoder.command("FCUnpublish", 6, None, KEY))
    await until(lambda: site.state() is BroadcastState.INTERRUPTED)
    chunks = site.log.chunks(record.broadcast_id, SOURCE)
    assert sum(header.duration for header, _ in chunks) == 4 * 90_000
    assert site.log.rendition(record.broadcast_id, AUDIO).timescale == 48_000
    await until(lambda: site.events() == ["started", "interrupted"])


async def test_how_a_publisher_fared_is_told_at_its_end(site: Site) -> None:
    service = await site.ingest()
    client = await site.client(service)
    client.send(body for body in broadcast(4) if body.is_video)
    await until(lambda: site.state() is BroadcastState.LIVE)
    assert site.reports() == []
    client.writer.write(client.encoder.command("FCUnpublish", 6, None, KEY))
    await until(site.reports)
    (report,) = site.reports()
    session = report.session
    (record,) = site.log.broadcasts()
    assert (session.broadcast_id, session.channel_id, session.encoder) == (
        record.broadcast_id,
        "channel0",
        "test/1",
    )
    assert (session.kind, session.slot, session.address) == ("rtmp", "primary", "")
    assert session.received_bytes > 10_000
    assert session.ended_at_ms >= session.since_ms
    assert [event.code for event in session.events] == ["connected", "on_air", "ended"]
    assert [problem.code for problem in report.problems] == ["no_audio"]


async def test_what_is_left_of_a_broadcast_is_removed_after_its_media(site: Site) -> None:
    service = await site.ingest(stop_grace_s=0.0)
    client = await site.client(service)
    client.send(broadcast(3))
    await until(lambda: site.state() is BroadcastState.LIVE)
    client.writer.write(client.encoder.command("FCUnpublish", 6, None, KEY))
    await until(lambda: site.state() is BroadcastState.ENDED)
    (record,) = site.log.broadcasts()
    other = await site.client(service, "other-key")
    other.send(broadcast(3))
    await until(lambda: site.state() is BroadcastState.LIVE)
    kept = Settings().rewind_s
    service._broadcasts.forget_ended(record.changed_at_ms + int(1000 * kept))
    await asyncio.sleep(0.02)
    assert len(site.log.broadcasts()) == 2, "a player may still be at its end"
    service._broadcasts.forget_ended(record.changed_at_ms + int(1000 * kept) + 121_000)
    await until(lambda: len(site.log.broadcasts()) == 1)
    (left,) = site.log.broadcasts()
    assert (left.channel_id, left.state) == ("channel1", BroadcastState.LIVE), "who is on the air stays"
    await until(lambda: not [key for key in site.log.live if record.broadcast_id in key])


async def test_a_refused_publisher_has_no_report(site: Site) -> None:
    client = await site.client(await site.ingest(), "wrong")
    await client.read_all()
    assert site.reports() == []


@pytest.mark.parametrize("name", ["stream1?key={key}", "{key}?token=other", "obs?a=b&streamkey={key}"])
async def test_the_key_beside_another_name(site: Site, name: str) -> None:
    client = await site.client(await site.ingest(), name.format(key=KEY))
    client.send(broadcast(2))
    await until(lambda: site.state() is BroadcastState.LIVE)


@pytest.mark.parametrize("key", ["wrong", ""])
async def test_wrong_key(site: Site, key: str) -> None:
    client = await site.client(await site.ingest(), key)
    assert b"NetStream.Publish.BadName" in await client.read_all()
    assert site.log.live == {}


@pytest.mark.parametrize(
    ("fields", "code"), [({"revoked": True}, "revoked_key"), ({"expires_at_ms": 1}, "expired_key")]
)
async def test_refused_key_leaves_a_notice(site: Site, fields: dict[str, object], code: str) -> None:
    site.directory = directory_with(KEY, **fields)
    client = await site.client(await site.ingest())
    assert b"BadName" in await client.read_all()
    await until(lambda: code in str(site.log.live.get("notice.channel0")))


async def test_announced_stream_id_is_used_until_it_has_ended(site: Site) -> None:
    site.directory = directory_with(KEY, stream_id="announced")
    service = await site.ingest(stop_grace_s=0.01)
    for _ in range(2):
        client = await site.client(service)
        client.send(broadcast(3))
        await until(lambda: site.state() is BroadcastState.LIVE)
        client.writer.write(client.encoder.command("deleteStream", 0, None, 1))
        await until(lambda: site.state() is BroadcastState.ENDED)
        await client.close()
    first, second = site.log.broadcasts()
    assert first.broadcast_id == "announced"
    assert second.broadcast_id != "announced"
    await until(lambda: site.events().count("ended") == 2)


async def test_return_within_grace_is_the_same_broadcast(site: Site) -> None:
    service = await site.ingest()
    client = await site.client(service)
    client.writer.write(client.encoder.metadata("onMetaData", {"videodatarate": 2500.0}))
    client.send(broadcast(3))
    await until(lambda: site.state() is BroadcastState.LIVE)
    client.writer.transport.abort()
    await until(lambda: site.state() is BroadcastState.INTERRUPTED)
    client = await site.client(service)
    client.send(broadcast(3))
    await until(lambda: site.state() is BroadcastState.LIVE)
    (record,) = site.log.broadcasts()
    assert record.epoch == 2
    msns = [header.msn for header, _ in site.log.chunks(record.broadcast_id, SOURCE)]
    assert msns == sorted(msns)
    await until(lambda: site.events() == ["started", "interrupted", "resumed"])
    assert site.log.rendition(record.broadcast_id, SOURCE).bandwidth == 3_125_000, "players know it so"


async def test_return_without_a_picture_is_told_once_it_is_known(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[bool, bool]] = []
    put = FakeBucket.put

    async def noting(self: FakeBucket, key: str, value: bytes) -> int:
        if key.startswith("broadcast."):
            record = msgspec.json.decode(value, type=Broadcast)
            if (now := (record.has_video, record.has_audio)) not in told[-1:]:
                told.append(now)
        return await put(self, key, value)

    monkeypatch.setattr(FakeBucket, "put", noting)
    service = await site.ingest()
    for options in ({}, {"video": False}, {}):
        client = await site.client(service)
        client.send(broadcast(4, **options))
        await until(lambda: site.state() is BroadcastState.LIVE)
        client.writer.transport.abort()
        await until(lambda: site.state() is BroadcastState.INTERRUPTED)
    assert told[told.index((True, True)) :] == [(True, True), (False, True), (True, True)]
    assert len(site.log.broadcasts()) == 1


async def test_grace_runs_out(site: Site) -> None:
    service = await site.ingest(grace_s=0.02)
    client = await site.client(service)
    client.send(broadcast(3))
    await until(lambda: site.state() is BroadcastState.LIVE)
    client.writer.transport.abort()
    await until(lambda: site.state() is BroadcastState.ENDED)
    await until(lambda: site.events() == ["started", "interrupted", "ended"])


def test_a_connection_that_has_gone_has_no_figures() -> None:
    """A session may look at them once more; uvloop says so otherwise than asyncio."""

    async def scenario() -> None:
        async with contextlib.AsyncExitStack() as stack:
            site = Site()
            stack.push_async_callback(site.close)
            service = await site.ingest()
            client = await site.client(service)
            await until(lambda: service.gate.sessions)
            (session,) = service.gate.sessions
            client.writer.transport.abort()
            await until(lambda: not service.gate.sessions)
            assert session.publisher.figures() == LinkFigures()

    uvloop.run(scenario())


async def test_another_process_goes_on_after_a_kill(site: Site) -> None:
    first = await site.ingest()
    client = await site.client(first)
    client.send(broadcast(8.5))
    await until(lambda: site.state() is BroadcastState.LIVE)
    await until(lambda: len(site.log.messages) > 40)
    (record,) = site.log.broadcasts()
    await site.kill(first)
    before = len(site.log.chunks(record.broadcast_id, SOURCE))
    second = await site.ingest()
    again = await site.client(second)
    again.send(broadcast(12))
    await until(lambda: site.log.broadcasts()[0].epoch == 2)
    await until(lambda: len(site.log.chunks(record.broadcast_id, SOURCE)) > before + 30)
    assert len(site.log.broadcasts()) == 1
    for name in (SOURCE, AUDIO):
        headers = [header for header, _ in site.log.chunks(record.broadcast_id, name)]
        for one, two in itertools.pairwise(headers):
            closed = bool(one.flags & ChunkFlag.LAST_OF_SEGMENT)
            assert (two.msn == one.msn + 1) if closed else (two.msn == one.msn)
            assert two.dts >= one.dts + one.duration


async def test_publishing_again_at_once_on_the_same_connection(site: Site) -> None:
    """As encoders do whose settings are changed: it takes nothing over from itself."""
    service = await site.ingest(takeovers_per_minute=0)
    client = await site.client(service)
    client.send(broadcast(3))
    await until(lambda: site.state() is BroadcastState.LIVE)
    encoder = client.encoder
    client.writer.write(
        encoder.command("FCUnpublish", 6, None, KEY)
        + encoder.command("deleteStream", 7, None, 1)
        + encoder.command("createStream", 8, None)
        + encoder.publish(KEY)
    )
    client.send(broadcast(3))
    await until(lambda: site.log.broadcasts()[0].epoch == 2)
    await until(lambda: site.state() is BroadcastState.LIVE)
    (session,) = service.gate.sessions
    assert not session.publisher.closed


async def test_take_over_from_another_process(site: Site) -> None:
    """The other process ends its session first: nothing of it comes between, nothing of it is lost."""
    first, second = await site.ingest(), await site.ingest()
    old = await site.client(first)
    old.send(broadcast(3))
    await until(lambda: site.state() is BroadcastState.LIVE)
    (record,) = site.log.broadcasts()
    new = await site.client(second)
    new.send(broadcast(3))
    assert b"took over" in await old.read_all()
    await until(lambda: site.log.broadcasts()[0].epoch == 2)
    await until(lambda: site.state() is BroadcastState.LIVE)
    epochs = [header.epoch for header, _ in site.log.chunks(record.broadcast_id, SOURCE)]
    assert epochs == sorted(epochs)
    assert len(site.log.broadcasts()) == 1
    third = await site.client(first)
    third.send(broadcast(3))
    assert b"took over" in await new.read_all()
    await until(lambda: site.log.broadcasts()[0].epoch == 3)


async def test_a_key_made_a_moment_ago_is_waited_for(site: Site) -> None:
    service = await site.ingest()
    known = dict(site.directory.values)
    site.directory.values.clear()
    client = await site.client(service)
    client.send(broadcast(3))
    await asyncio.sleep(0.1)
    assert site.state() is None
    site.directory.values.update(known)
    await until(lambda: site.state() is BroadcastState.LIVE)
    (record,) = site.log.broadcasts()
    header, _ = site.log.chunks(record.broadcast_id, SOURCE)[0]
    assert header.msn == 0
    assert header.flags & ChunkFlag.INDEPENDENT


async def test_fenced_by_another_writer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.ingest.broadcasts._DEAD_AFTER_S", 0.1)
    service = await site.ingest(grace_s=0.1)
    client = await site.client(service)
    client.send(broadcast(3))
    await until(lambda: site.state() is BroadcastState.LIVE)
    record = site.log.broadcasts()[0]
    site.log.add(f"media.{record.broadcast_id}.source", b"", {"Chunk": "9 9 0 0 9 0 0 0 0 0"}, None)
    client.send(broadcast(3))
    assert b"another process" in await client.read_all()
    await until(lambda: site.state() is BroadcastState.ENDED)  # nobody went on with it


async def test_unsupported_codec_is_said(site: Site) -> None:
    service = await site.ingest()
    client = await site.client(service)
    client.send(Body(True, stamp, b"\x91vvc1\0\0\0x") for stamp in range(0, 3000, 33))
    assert b"VVC" in await client.read_all()
    await until(lambda: "VVC" in str(site.log.broadcasts()[0].problems))


async def test_revoked_while_live(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.ingest.gate._KEY_CHECK_S", 0.01)
    service = await site.ingest()
    client = await site.client(service)
    client.send(broadcast(3))
    await until(lambda: site.state() is BroadcastState.LIVE)
    site.directory.values.clear()
    assert b"not known" in await client.read_all()


async def test_back_pressure(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.ingest.listener._TICK_S", 0.01)
    service = await site.ingest(spool_bytes=1000)
    service._site.appender.pending_bytes = 2000  # type: ignore[misc]
    client = await site.client(service)
    client.send(broadcast(3))
    await asyncio.sleep(0.03)
    (socket,) = service._listener._sockets
    assert socket._paused
    service._site.appender.pending_bytes = 0  # type: ignore[misc]
    await until(lambda: site.state() is BroadcastState.LIVE)


async def test_back_pressure_has_an_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.ingest.listener._TICK_S", 0.01)
    monkeypatch.setattr("edge.ingest.rtmp_socket._PAUSE_S", 0.05)
    service = await site.ingest(spool_bytes=1000)
    service._site.appender.pending_bytes = 2000  # type: ignore[misc]
    client = await site.client(service)
    client.send(broadcast(3))
    with contextlib.suppress(ConnectionError):  # what it still sends is not read: that may reset the connection
        await client.read_all()
    await until(lambda: not service._listener._sockets)


async def test_drain_asks_encoders_to_connect_elsewhere(site: Site) -> None:
    """One that can publishes to the other process before it leaves the first: the broadcast goes on."""
    first, second = await site.ingest(workers=2), await site.ingest(workers=2)
    able, other = (
        Client(*await asyncio.open_connection("127.0.0.1", first.port)),
        await site.client(first, "other-key"),
    )
    site._clients.append(able)
    able.writer.write(able.encoder.opening(KEY, capsEx=1.0) + able.encoder.chunk_size(65536))
    for client in (able, other):
        client.send(broadcast(3))
    await until(lambda: [record.state for record in site.log.broadcasts()] == [BroadcastState.LIVE] * 2)
    draining = asyncio.ensure_future(first.drain())
    async with asyncio.timeout(2):
        said = b""
        while b"ReconnectRequest" not in said:
            said += await able.reader.read(4096)
    again = await site.client(second)
    again.send(broadcast(3))
    await draining
    record = next(one for one in site.log.broadcasts() if one.channel == "name0")
    assert record.epoch == 2
    epochs = [header.epoch for header, _ in site.log.chunks(record.broadcast_id, SOURCE)]
    assert epochs == sorted(epochs)


async def test_stop_leaves_broadcasts_to_be_resumed(site: Site) -> None:
    service = await site.ingest()
    client = await site.client(service)
    client.send(broadcast(3))
    await until(lambda: site.state() is BroadcastState.LIVE)
    await service.stop()
    assert site.state() is BroadcastState.INTERRUPTED


async def test_too_many_connections(site: Site) -> None:
    service = await site.ingest(connections_per_address=2)
    for key in (KEY, "other-key"):
        (await site.client(service, key)).send(broadcast(1))
    await until(lambda: len(service.gate.sessions) == 2)
    extra = await site.client(service)
    with contextlib.suppress(ConnectionError):
        assert await extra.read_all() == b""
    await until(lambda: len(service._listener._sockets) == 2)


async def test_silent_connections_make_place_for_an_encoder(site: Site) -> None:
    service = await site.ingest(connections_per_address=5)
    silent = [await asyncio.open_connection("127.0.0.1", service.port) for _ in range(20)]
    client = await site.client(service)
    client.send(broadcast(3))
    await until(lambda: site.state() is BroadcastState.LIVE)
    assert len(service._listener._sockets) <= 5
    for _, writer in silent:
        writer.close()


@pytest.mark.parametrize("trusted", [True, False])
async def test_behind_a_balancer(site: Site, trusted: bool) -> None:
    """The address of the client counts, in limits and logs; an untrusted one's word does not."""
    service = await site.ingest(proxy_from=("127.0.0.0/8" if trusted else "10.0.0.0/8",), connections_per_address=2)
    for number in range(3):
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        client = Client(reader, writer)
        site._clients.append(client)
        writer.write(f"PROXY TCP4 192.0.2.{number} 10.0.0.1 8080 1935\r\n".encode())
        await asyncio.sleep(0.01)
        writer.write(client.encoder.opening(KEY) + client.encoder.chunk_size(65536))
    sockets = service._listener._sockets
    if trusted:
        await until(lambda: {socket.address for socket in sockets} >= {"192.0.2.2"})
        client.send(broadcast(3))
        await until(lambda: site.state() is BroadcastState.LIVE)
    else:
        assert await client.read_all() == b""
        assert site.state() is None


async def test_an_error_of_ours_ends_one_stream_only(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    service = await site.ingest()
    clients = [await site.client(service, key) for key in (KEY, "other-key")]
    for client in clients:
        client.send(broadcast(3))
    await until(lambda: [one.state for one in site.log.broadcasts()] == [BroadcastState.LIVE] * 2)

    def broken(*_: object, **__: object) -> list[object]:
        raise ZeroDivisionError

    monkeypatch.setattr(service._broadcasts.moments, "cue", broken)
    clients[0].writer.write(clients[0].encoder.metadata("onCuePoint", {"name": "goal"}))
    clients[0].send(media(1, start_ms=3000))
    assert b"could not be handled" in await clients[0].read_all()
    await until(lambda: site.log.broadcasts()[0].state is BroadcastState.INTERRUPTED)
    before = len(site.log.messages)
    clients[1].send(media(3, start_ms=3000))
    await until(lambda: len(site.log.messages) > before + 5)
