"""A whole WHIP server over loopback, met by a client of our own making."""

import asyncio
import contextlib
import dataclasses
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from webrtc_bytes import AUDIO, VIDEO, check, offer, rtp
from whip_client import KEY, Answered, Browser, FakeGate, request, settled, until

from appliance.runtime.tasks import Tasks
from edge.ingest.keys import Refusal
from edge.ingest.whip.config import WhipConfig
from edge.ingest.whip.server import WhipServer
from edge.protocols.flv import TagKind, parse_audio, parse_video
from edge.protocols.rtmp import AudioData, VideoData

SPS = bytes.fromhex("6742c01eddec0440000003004000000f03c58be0")
KEY_FRAME = b"\x78" + b"".join(len(nal).to_bytes(2, "big") + nal for nal in (SPS, b"\x68\xce\x0f\xc8", b"\x65key"))


@pytest.fixture
def gate() -> FakeGate:
    return FakeGate()


Start = Callable[..., Awaitable[Browser]]


@pytest.fixture
async def start(gate: FakeGate, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a server with the given settings; a client of it."""
    failures: list[BaseException] = []
    tasks = Tasks(failures.append)
    running: list[tuple[WhipServer, Browser]] = []

    async def begin(**options: object) -> Browser:
        config = WhipConfig(host="127.0.0.1", port=0, hosts=("127.0.0.1",))
        server = WhipServer(
            dataclasses.replace(config, **options),  # type: ignore[arg-type]
            gate,
            gate,  # type: ignore[arg-type]
            tmp_path / "whip.sock",
            tasks,
        )
        await server.start()
        running.append((server, Browser(server)))
        return running[-1][1]

    yield begin
    for server, browser in running:
        await server.stop()
        browser.close()
    await tasks.close()
    await asyncio.sleep(0.01)
    assert not failures


async def test_media_of_a_publisher_comes_out(start: Start, gate: FakeGate) -> None:
    browser = await start()
    answered = await browser.post()
    assert answered.status == 201
    assert answered.fields["content-type"] == "application/sdp"
    assert answered.fields["location"].startswith("/whip/session/")
    assert answered.fields["etag"] == f'"{browser.fragment}"'
    assert answered.fields["accept-patch"] == "application/trickle-ice-sdpfrag"
    assert not gate.publishers
    await browser.connect()
    assert gate.encoders == ["Test"]
    browser.rtp(rtp(1, 9000, KEY_FRAME, marker=True))
    browser.rtp(rtp(1, 960, b"\xfcsound", payload_type=111, ssrc=2))
    await until(lambda: len(gate.sink.events) >= 4)
    pictures = [parse_video(event.body)[0] for event in gate.sink.events if isinstance(event, VideoData)]
    assert [(one.codec, one.kind, one.key) for one in pictures] == [
        ("avc1", TagKind.CONFIG, True),
        ("avc1", TagKind.FRAME, True),
    ]
    assert bytes(pictures[1].data) == b"\0\0\0\4\x65key"
    sounds = [parse_audio(event.body)[0] for event in gate.sink.events if isinstance(event, AudioData)]
    assert [(one.codec, one.kind) for one in sounds] == [("Opus", TagKind.CONFIG), ("Opus", TagKind.FRAME)]


async def test_what_lies_in_the_port_is_there_when_its_session_asks(start: Start, gate: FakeGate) -> None:
    """While every publisher is connected nobody is woken for each packet."""
    browser = await start()
    await browser.post()
    await browser.connect()
    port = browser.server._port
    await until(lambda: port.is_resting)
    for number in range(200):  # more than are taken in one go
        browser.rtp(rtp(number, 9000 + 3000 * number, KEY_FRAME, marker=True))
    assert not gate.sink.events
    gate.publishers[0].read()
    assert len(gate.sink.events) == 1 + 200
    browser.rtp(rtp(200, 9000 + 3000 * 200, KEY_FRAME, marker=True))
    await until(lambda: len(gate.sink.events) == 1 + 201)


async def test_who_connects_is_answered_at_once(start: Start) -> None:
    browser = await start()
    await browser.post()
    await browser.connect()
    port = browser.server._port
    await until(lambda: port.is_resting)
    other = Browser(browser.server)
    await other.post()
    assert not port.is_resting
    await asyncio.sleep(0.05)
    assert not port.is_resting
    await other.connect()
    await until(lambda: port.is_resting)
    other.close()


async def test_a_port_of_little_room_is_read_as_it_comes(start: Start, gate: FakeGate) -> None:
    browser = await start()
    port = browser.server._port
    port._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    await browser.post()
    await browser.connect()
    await asyncio.sleep(0.05)
    assert not port.is_resting
    browser.rtp(rtp(1, 9000, KEY_FRAME, marker=True))
    await until(lambda: len(gate.sink.events) == 2)


async def test_a_key_frame_is_asked_for(start: Start) -> None:
    browser = await start()
    await browser.post()
    await browser.connect()
    browser.rtp(rtp(1, 9000, b"\x41delta", marker=True))
    found = b""
    while b"\x81\xce" not in found:  # picture loss indication
        found = await browser.rtcp()


async def test_delete_ends_it_and_is_idempotent(start: Start, gate: FakeGate) -> None:
    browser = await start()
    await browser.post()
    await browser.connect()
    for _ in range(2):
        assert (await browser.ask("DELETE", browser.location)).status == 200
    assert gate.sink.ended == [("the encoder stopped", True)]
    assert (await browser.ask("DELETE", "/whip/session/unknown")).status == 404
    assert (
        await browser.ask("PATCH", browser.location, content_type="application/trickle-ice-sdpfrag")
    ).status == 404


async def test_close_notify_ends_it(start: Start, gate: FakeGate) -> None:
    browser = await start()
    await browser.post()
    await browser.connect()
    assert browser.dtls is not None
    for datagram in browser.dtls.close():
        browser.send(datagram)
    await until(lambda: gate.sink.ended)
    assert gate.sink.ended == [("the encoder closed the connection", True)]
    assert (await browser.ask("DELETE", browser.location)).status == 200


async def test_the_gate_ends_it(start: Start, gate: FakeGate) -> None:
    browser = await start()
    await browser.post()
    await browser.connect()
    gate.publishers[0].close("taken_over", "another encoder took over this channel")
    assert gate.sink.ended == [("another encoder took over this channel", False)]


async def test_a_late_refusal_ends_it(start: Start, gate: FakeGate) -> None:
    gate.late_refusal = "takeovers"
    browser = await start()
    await browser.post()
    await browser.connect()
    await until(lambda: not browser.server._sessions)


async def test_trickle_and_restart(start: Start, gate: FakeGate) -> None:
    browser = await start()
    answered = await browser.post()
    await browser.connect()
    kind = "application/trickle-ice-sdpfrag; charset=utf-8"
    tag = answered.fields["etag"]
    trickle = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdef0123\r\na=candidate:1 1 udp 1 192.0.2.1 1 typ host\r\n"
    assert (await browser.ask("PATCH", browser.location, trickle, content_type=kind, if_match=tag)).status == 204
    wrong = await browser.ask("PATCH", browser.location, trickle, content_type=kind, if_match='"other"')
    assert wrong.status == 412
    fresh = "a=ice-ufrag:wxyz\r\na=ice-pwd:0123456789abcdef0123\r\n"
    again = await browser.ask("PATCH", browser.location, fresh, content_type=kind, if_match="*")
    assert again.status == 200
    assert again.fields["etag"] not in ("", tag)
    lines = dict(
        line[2:].split(":", 1) for line in again.body.split("\r\n") if line.startswith(("a=ice-ufrag", "a=ice-pwd"))
    )
    browser.send(check(lines["ice-ufrag"], lines["ice-pwd"], nominate=True))
    assert (await browser.take())[:2] == b"\x01\x01"
    browser.rtp(rtp(1, 9000, KEY_FRAME, marker=True))
    await until(lambda: gate.sink.events)


async def test_a_publisher_who_never_connects_is_told_why(start: Start, gate: FakeGate) -> None:
    browser = await start(connect_s=0.05)
    await browser.post()
    await until(lambda: gate.warnings)
    key, code, text = gate.warnings[0]
    assert (key, code) == (KEY, "port_not_reachable")
    assert "UDP port" in text
    assert not browser.server._sessions


async def test_a_handshake_that_does_not_end_is_told_too(start: Start, gate: FakeGate) -> None:
    browser = await start(connect_s=0.05)
    await browser.post()
    browser.send(check(browser.fragment, browser.password))
    await until(lambda: gate.warnings)
    assert gate.warnings[0][1] == "dtls_timeout"


async def test_another_certificate_than_offered_is_refused(start: Start, gate: FakeGate) -> None:
    browser = await start()
    await browser.post(offer(VIDEO).replace("AB:AB", "AC:AB", 1))
    refused = asyncio.create_task(browser.connect())
    await until(lambda: gate.warnings)
    refused.cancel()
    with contextlib.suppress(asyncio.CancelledError, TimeoutError):
        await refused
    assert [code for _, code, _ in gate.warnings] == ["dtls_failed"]
    assert not gate.publishers


async def test_an_idle_publisher_is_taken_for_dead(start: Start, gate: FakeGate) -> None:
    browser = await start(idle_s=0.05)
    await browser.post()
    await browser.connect()
    await until(lambda: gate.sink.ended)
    assert gate.sink.ended == [("the encoder sends nothing any more", False)]


async def test_frames_are_dropped_to_a_key_frame_while_the_log_is_behind(start: Start, gate: FakeGate) -> None:
    browser = await start()
    await browser.post()
    await browser.connect()
    browser.rtp(rtp(1, 9000, KEY_FRAME, marker=True))
    await until(lambda: gate.sink.events)
    before = len(gate.sink.events)
    gate.full = True
    browser.rtp(rtp(2, 12_000, b"\x41delta", marker=True))
    await settled()
    gate.full = False
    for number in (3, 4):
        browser.rtp(rtp(number, number * 9000, b"\x41delta", marker=True))
    await settled()
    assert len(gate.sink.events) == before
    browser.rtp(rtp(5, 50_000, KEY_FRAME, marker=True))
    await until(lambda: len(gate.sink.events) == before + 1)


async def test_an_active_handshake_is_repeated_until_it_is_answered(start: Start) -> None:
    browser = await start()
    await browser.post(offer(VIDEO, head="a=setup:passive"))
    browser.send(check(browser.fragment, browser.password))
    hellos = []
    while len(hellos) < 2:
        datagram = await browser.take()
        if datagram[0] == 22:
            hellos.append(datagram)
    assert hellos[0] == hellos[1]


async def test_strangers_reach_nothing(start: Start, gate: FakeGate) -> None:
    browser = await start()
    await browser.post()
    for datagram in (
        b"",
        b"\x16\xfe\xfd" + b"x" * 50,
        rtp(1),
        check("other", "x"),
        check(browser.fragment, "wrong"),
    ):
        browser.send(datagram)
    await settled()
    counts = browser.server._port.counts
    assert counts["stray"] == 5
    with pytest.raises(TimeoutError):
        await browser.take(0.02)
    await browser.connect()


async def test_media_over_tcp(start: Start, gate: FakeGate) -> None:
    browser = await start()
    await browser.post()
    reader, writer = await asyncio.open_connection("127.0.0.1", browser.server.port)

    def send(datagram: bytes) -> None:
        writer.write(len(datagram).to_bytes(2, "big") + datagram)

    async def take(timeout_s: float = 1.0) -> bytes:
        async with asyncio.timeout(timeout_s):
            return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))

    browser.send, browser.take = send, take  # type: ignore[method-assign]
    await browser.connect()
    browser.rtp(rtp(1, 9000, KEY_FRAME, marker=True))
    await until(lambda: gate.sink.events)
    writer.close()
    await until(lambda: not browser.server._port._legs)


async def test_a_tcp_connection_that_sends_no_packets_is_cut(start: Start) -> None:
    browser = await start()
    reader, writer = await asyncio.open_connection("127.0.0.1", browser.server.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    async with asyncio.timeout(1):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()


@pytest.mark.parametrize(
    ("fields", "path", "status"),
    [
        ({"authorization": f"bearer {KEY}"}, "/whip", 201),
        ({"authorization": KEY}, "/whip", 201),
        ({}, f"/whip/{KEY}", 201),
        ({}, f"/whip?key={KEY}", 201),
        ({}, f"/whip?token={KEY}", 201),
        ({"authorization": "Bearer wrong"}, "/whip", 401),
        ({}, "/whip", 401),
        ({}, "/whip/a/b", 404),
    ],
)
async def test_where_the_key_may_stand(start: Start, fields: dict[str, str], path: str, status: int) -> None:
    browser = await start()
    answered = await browser.ask(
        "POST", path, offer(VIDEO), content_type="application/sdp; charset=utf-8", **fields
    )
    assert answered.status == status
    if status == 401:
        assert answered.fields["www-authenticate"] == "Bearer"
        assert answered.fields["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ("no description", "application/sdp", 400),
        (offer(VIDEO.replace("sendonly", "recvonly")), "application/sdp", 406),
        (offer(VIDEO), "text/plain", 415),
        (offer(VIDEO) + "a=" + "x" * 50_000, "application/sdp", 413),
        ("x" * 70_000, "application/sdp", 413),
    ],
)
async def test_bodies_that_are_refused(start: Start, body: str, kind: str, status: int) -> None:
    browser = await start()
    answered = await browser.ask("POST", f"/whip/{KEY}", body, content_type=kind)
    assert answered.status == status
    assert answered.fields["content-type"] == "application/problem+json"
    assert answered.fields["access-control-allow-origin"] == "*"
    assert not browser.server._sessions


@pytest.mark.parametrize(("code", "status"), [("draining", 503), ("suspended", 403), ("revoked_key", 401)])
async def test_refusals(start: Start, gate: FakeGate, code: str, status: int) -> None:
    browser = await start()
    gate.refusal = Refusal(code, "Not now.")
    answered = await browser.post()
    assert answered.status == status
    assert ("retry-after" in answered.fields) == (status == 503)


async def test_no_room(start: Start) -> None:
    browser = await start(sessions=2)
    statuses = [(await browser.post()).status for _ in range(3)]
    assert statuses == [201, 201, 503]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
async def test_other_methods(start: Start, method: str) -> None:
    browser = await start()
    reader, writer = await browser.open()
    writer.write(f"{method} /whip HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 405 " in head
    assert b"Allow: POST, OPTIONS" in head
    writer.close()


async def test_options(start: Start) -> None:
    browser = await start(ice_servers=("stun:stun.example.org",))
    answered = await browser.ask("OPTIONS", "/whip")
    assert answered.status == 204
    assert answered.fields["accept-post"] == "application/sdp"
    assert answered.fields["link"] == '<stun:stun.example.org>; rel="ice-server"'
    assert "If-Match" in answered.fields["access-control-allow-headers"]
    for name in ("Location", "Link", "ETag", "Accept-Patch"):
        assert name in answered.fields["access-control-expose-headers"]


async def test_several_requests_on_one_connection(start: Start) -> None:
    browser = await start()
    reader, writer = await browser.open()
    answers: list[Answered] = []
    made = await request(
        reader, writer, "POST", f"/whip/{KEY}", offer(VIDEO, AUDIO), content_type="application/sdp"
    )
    answers.append(made)
    answers.append(await request(reader, writer, "OPTIONS", "/whip"))
    answers.append(await request(reader, writer, "DELETE", made.fields["location"]))
    assert [one.status for one in answers] == [201, 204, 200]
    assert {one.fields["connection"] for one in answers} == {"keep-alive"}
    other = await request(reader, writer, "GET", "/live/x/index.m3u8")
    assert other.status == 421
    assert other.fields["connection"] == "close"
    writer.close()


async def test_a_browser_is_told_to_close(start: Start) -> None:
    browser = await start()
    answered = await browser.ask("OPTIONS", "/whip", origin="http://x")
    assert answered.fields["connection"] == "close"


async def test_a_body_in_pieces_and_expect(start: Start) -> None:
    browser = await start()
    reader, writer = await browser.open()
    body = offer(VIDEO).encode()
    head = f"POST /whip/{KEY} HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\nExpect: 100-continue\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
    async with asyncio.timeout(1):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        for at in range(0, len(body), 100):
            writer.write(body[at : at + 100])
            await asyncio.sleep(0)
        assert b" 201 " in await reader.readuntil(b"\r\n")
    writer.close()


async def test_a_chunked_body_is_refused(start: Start) -> None:
    browser = await start()
    reader, writer = await browser.open()
    writer.write(b"POST /whip HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert b" 411 " in await reader.readuntil(b"\r\n")
    writer.close()
