"""What a hostile or broken client of HTTP/1.1 may try, by name."""

import asyncio

import pytest
from origin_fakes import BROADCAST
from test_origin_http2 import settled

SOURCE = f"/media/{BROADCAST}/source"


async def status_of(origin, data, piece=1 << 20):
    client = await origin.client()
    for at in range(0, len(data), piece):
        client.writer.write(data[at : at + piece])
        await asyncio.sleep(0)
    answer = await asyncio.wait_for(client.receive(), 5)
    return answer, client


@pytest.mark.parametrize("piece", [1 << 20, 5000])
async def test_a_head_of_64_kb_is_431_and_the_client_sees_it(origin, piece):
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 65_536 + b"\r\n\r\n"
    answer, client = await status_of(origin, head, piece)
    assert answer.status == 431
    assert answer.headers["connection"] == "close"
    assert await client.reader.read() == b""


async def test_a_refused_client_may_not_stay(origin):
    _, client = await status_of(origin, b"NONSENSE\r\n\r\n")
    client.writer.write(b"x" * 100_000)
    await origin.server._sweep(origin.server.now() + 2.0)
    await settled(lambda: not origin.server.count)


async def test_pipelined_requests_with_a_held_one_are_bounded(origin):
    client = await origin.client()
    client.send(f"{SOURCE}/index.m3u8?_HLS_msn=3&_HLS_part=2")
    await settled(lambda: origin.server.held)
    client.writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)
    (connection,) = origin.server._connections
    await settled(lambda: not connection._reading)
    assert connection._reader.waiting <= 300_000
    origin.add_part()
    assert (await client.receive()).status == 200
    for _ in range(2000):
        assert (await client.receive()).status == 200


@pytest.mark.parametrize("held", [False, True])
async def test_a_half_closed_client_gets_what_is_ready_and_is_let_go(origin, held):
    client = await origin.client()
    client.send(f"{SOURCE}/index.m3u8" + ("?_HLS_msn=4" if held else ""))
    client.writer.write_eof()
    if held:
        assert await asyncio.wait_for(client.reader.read(), 2) == b""
    else:
        assert (await client.receive()).status == 200
    await settled(lambda: not origin.server.count)
    assert not origin.server.held


async def test_slow_loris_is_cut_whatever_it_sends_meanwhile(origin):
    client = await origin.client()
    await client.get("/healthz")
    now = origin.server.now()
    for byte in b"GET / HTTP/1.1\r\n":
        client.writer.write(bytes([byte]))
        await asyncio.sleep(0.001)
    await origin.server._sweep(now + 9.0)
    assert origin.server.count == 1
    await origin.server._sweep(now + 11.0)
    assert origin.tally.events["head_timeout"] == 1
    assert await asyncio.wait_for(client.reader.read(), 2) == b""


@pytest.mark.parametrize(
    "path",
    [
        "/../etc/passwd",
        "/assets/../../etc/passwd",
        "/%2e%2e/etc/passwd",
        "/assets/%2e%2e%2f%2e%2e%2fetc/passwd",
        "/assets/..%5c..%5cetc",
        "/assets%2fapp.js",
        "/media%2F" + BROADCAST,
        "/%00",
        "/a%0d%0ab",
    ],
)
async def test_paths_that_lead_elsewhere(make_origin, tmp_path, path):
    (tmp_path / "index.html").write_text("<h1>hi</h1>")
    origin = await make_origin(pages=tmp_path)
    client = await origin.client()
    assert (await client.get(path)).status == 400


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=" + ",".join(f"{at}-{at}" for at in range(1000)),
        "bytes=0-1,2-3",
        "bytes=" + "0" * 5000 + "-1",
        "bytes=5-2",
        "lines=1-2",
    ],
)
async def test_many_ranges_are_answered_with_the_whole_once(origin, asked):
    client = await origin.client()
    await client.get(f"{SOURCE}/index.m3u8")
    answer = await client.get(f"{SOURCE}/p1.m4s", Range=asked)
    assert (answer.status, answer.body) == (200, b"<0.1.0>")


async def test_a_flood_of_ranges_costs_no_memory(origin):
    client = await origin.client()
    await client.get(f"{SOURCE}/index.m3u8")
    for at in range(7):
        answer = await client.get(f"{SOURCE}/p1.m4s", Range=f"bytes={at}-")
        assert (answer.status, answer.body) == (206, b"<0.1.0>"[at:])
    assert (await client.get(f"{SOURCE}/p1.m4s", Range="bytes=7-")).status == 416


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (b"Content-Length: 65537\r\n", 413),
        (b"Content-Length: 99999999999999999999\r\n", 400),
        (b"Content-Length: -1\r\n", 400),
        (b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Transfer-Encoding: gzip, chunked\r\n", 501),
    ],
)
async def test_request_bodies_that_are_refused(origin, fields, status):
    answer, _ = await status_of(origin, b"POST / HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n")
    assert answer.status == status


async def test_a_request_body_is_skipped(origin):
    client = await origin.client()
    client.writer.write(
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n" + b"GET / HTTP/1.1\r\n" * 3750
    )
    assert (await client.receive()).status == 405
    assert (await client.get("/healthz")).status == 200


async def test_too_many_connections_are_told_to_come_back_and_the_others_go_on(make_origin):
    origin = await make_origin(connections=1)
    origin.go_live()
    origin.add_segments(1)
    viewer = await origin.client()
    viewer.send(f"{SOURCE}/index.m3u8?_HLS_msn=1&_HLS_part=0")
    await settled(lambda: origin.server.held)
    for _ in range(3):
        refused = await origin.client()
        refused.send("/healthz")
        answer = await refused.receive()
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        refused.writer.close()
    assert origin.tally.events["over_connections"] == 3
    origin.add_part()
    assert (await viewer.receive()).status == 200
    await settled(lambda: origin.server.count == 1)
    viewer.writer.close()
    await settled(lambda: not origin.server.count)
    again = await origin.client()
    assert (await again.get("/healthz")).status == 200


async def test_who_took_long_over_an_answer_has_as_long_for_the_next_question(origin):
    client = await origin.client()
    assert (await client.get("/healthz")).status == 200
    (connection,) = origin.server._connections
    connection.pause_writing()
    connection.deadline = origin.server.now()  # what the answer before has left
    connection.resume_writing()
    await origin.server._sweep(origin.server.now() + 1)
    assert (origin.server.count, origin.tally.events["idle_cut"]) == (1, 0)
    assert (await client.get("/healthz")).status == 200


async def test_a_kept_connection_ends_after_its_time(origin):
    client = await origin.client()
    for _ in range(3):
        assert (await client.get("/healthz")).status == 200
    limit = origin.server.config.idle_connection_s
    await origin.server._sweep(origin.server.now() + limit - 1)
    assert origin.server.count == 1
    await origin.server._sweep(origin.server.now() + limit)
    assert origin.tally.events["idle_cut"] == 1


# -- challenges of ACME


@pytest.fixture
async def challenged(make_origin, tmp_path):
    (tmp_path / "token-1_A").write_bytes(b"token-1_A.key")
    (tmp_path / "large").write_bytes(bytes(5000))
    (tmp_path / "link").symlink_to(tmp_path / "token-1_A")
    (tmp_path / "folder").mkdir()
    webroot = tmp_path / ".well-known" / "acme-challenge"
    webroot.mkdir(parents=True)
    (webroot / "webroot-token").write_bytes(b"w.key")
    origin = await make_origin(acme_dir=tmp_path)
    return await origin.client()


@pytest.mark.parametrize(("token", "content"), [("token-1_A", b"token-1_A.key"), ("webroot-token", b"w.key")])
async def test_a_challenge_is_answered(challenged, token, content):
    answer = await challenged.get(f"/.well-known/acme-challenge/{token}")
    assert (answer.status, answer.body) == (200, content)
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "token", ["", "none", "large", "link", "folder", "a/b", "token-1_A.", "%74oken", "x" * 129]
)
async def test_other_challenges_are_unknown(challenged, token):
    assert (await challenged.get(f"/.well-known/acme-challenge/{token}")).status == 404


async def test_challenges_need_a_folder(origin):
    client = await origin.client()
    assert (await client.get("/.well-known/acme-challenge/token")).status == 404
