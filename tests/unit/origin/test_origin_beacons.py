"""POST /beacon over a real socket."""

import asyncio
import json

import pytest
from http2_client import Http2Client
from origin_fakes import BROADCAST

from edge.origin.bodies import MAX_BODY

SOURCE = f"/media/{BROADCAST}/source/index.m3u8"


def report(session="A" * 22, **changes):
    fields = {
        "v": 1, "session": session, "stream_id": BROADCAST, "channel": "alice", "player": "hls.js 1.7.0", "seq": 0,
        "state": "playing", "interval_ms": 10_000, "startup_ms": 640, "stalls": 1, "stall_ms": 500,
        "latency_ms": 1300, "bitrate": 3_000_000, "height": 719, "switches": 0, "dropped_frames": 2,
        "errors": [{"kind": "network", "detail": "x"}], "leaving": False,
    }  # fmt: skip
    return json.dumps(fields | changes).encode()


async def send(client, body, **headers):
    return await client.get("/beacon", "POST", body, **headers)


async def viewers(client):
    return json.loads((await client.get("/live/alice/status.json")).body)["viewers"]


async def test_a_report_is_taken_and_counts(origin):
    client = await origin.client()
    for kind in ("text/plain;charset=UTF-8", "application/json"):
        answer = await send(client, report(), Content_Type=kind)
        assert (answer.status, answer.raw) == (204, b"")
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "set-cookie" not in answer.headers
    assert await viewers(client) == 1
    [cell], _ = origin.sums.take(1_700_000_000_000)
    assert (cell.height, cell.player, cell.beacons, cell.played_ms) == (720, "hls.js", 1, 9500), "once by its seq"
    assert (await send(client, report(seq=1, leaving=True))).status == 204
    assert await viewers(client) == 0
    _, [summary] = origin.sums.take(1_700_000_000_000)
    assert (summary.stalls, summary.stall_ms, summary.startup_ms, summary.errors) == (2, 1000, 640, 2)
    assert "A" * 22 not in summary.session


@pytest.mark.parametrize("told", [True, False])
async def test_a_report_over_http2(origin, told):
    client = await Http2Client.connect(origin.server.port)
    body = report()
    fields = {"content_length": str(len(body))} if told else {}
    try:
        assert (await client.get("/beacon", "POST", body, **fields)).status == 204
    finally:
        await client.close()
    assert await viewers(await origin.client()) == 1


async def test_a_body_in_pieces_and_what_is_pipelined_behind_it(origin):
    client = await origin.client()
    body = report()
    client.writer.write(f"POST /beacon HTTP/1.1\r\nHost: t\r\nContent-Length: {len(body)}\r\n\r\n".encode())
    for at in (0, 1, 50):
        await asyncio.sleep(0.01)
        client.writer.write(body[at : {0: 1, 1: 50, 50: len(body)}[at]])
    client.send("/healthz")
    assert (await client.receive()).status == 204
    assert (await client.receive()).body == b"ok\n"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "beacon"),
        (b"\xff{", "beacon"),
        (b"[1]", "beacon"),
        (report(v=2), "beacon"),
        (report(session="short"), "beacon"),
        (report(stalls=-1), "beacon"),
        (report(state="asleep"), "beacon"),
        (report(errors=[{"kind": "network", "detail": "x" * 101}]), "beacon"),
        (report(channel="a b"), "beacon"),
        (report(stream_id="elsewhere"), "unknown_stream"),
        (report(channel="bob"), "unknown_stream"),
    ],
)
async def test_what_is_no_report_is_a_problem(origin, body, code):
    client = await origin.client()
    answer = await send(client, body)
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.body)["code"] == code
    assert (await client.get("/healthz")).status == 200, "the connection goes on"


async def test_sizes_methods_and_lengths(origin):
    client = await origin.client()
    assert (await send(client, b" " * (MAX_BODY + 1))).status == 413
    assert (await send(client, report() + b" " * (MAX_BODY - len(report())))).status == 204
    assert (await client.get("/beacon", "PUT")).status == 405
    assert (await client.get("/beacon")).status != 405, "the page of a channel of that name"
    preflight = await client.get("/beacon", "OPTIONS")
    assert "POST" in preflight.headers["access-control-allow-methods"]
    client.send("/beacon", "POST", Transfer_Encoding="chunked")
    assert (await client.receive()).status == 411


async def test_one_address_has_a_limit(make_origin):
    origin = await make_origin(beacons_per_address=6)
    origin.go_live()
    client = await origin.client()
    found = [await send(client, report(seq=seq), X_Forwarded_For="1.2.3.4") for seq in range(4)]
    assert [answer.status for answer in found] == [204, 204, 204, 429]
    assert int(found[-1].headers["retry-after"]) > 0
    assert (await send(client, report(seq=9), X_Forwarded_For="5.6.7.8")).status == 204


async def test_under_overload_a_share_of_the_sessions_is_taken_and_every_viewer_counts(origin):
    client = await origin.client()
    await send(client, report("first" + "x" * 17))
    for _ in range(6):
        origin.shedding.late(1.0)
    answers = [await send(client, report(f"{number:022d}")) for number in range(40)]
    statuses = [answer.status for answer in answers]
    assert statuses.count(503) > 20
    assert int(next(one for one in answers if one.status == 503).headers["retry-after"]) > 0
    assert await viewers(client) == 41
    cells, _ = origin.sums.take(1_700_000_000_000)
    assert sum(cell.shed for cell in cells) == statuses.count(503)
    assert sum(cell.beacons for cell in cells) == 41 - statuses.count(503)


async def test_requests_with_the_id_of_a_report_are_the_same_viewer(origin):
    client, other = await origin.client(), await origin.client()
    session = "B" * 22
    await send(client, report(session))
    for one in (client, other):
        await one.get(f"{SOURCE}?CMCD=sid%3D%22{session}%22")
        await one.get(SOURCE, CMCD_Session=f'sid="{session}"', CMCD_Request="bl=1000")
    assert await viewers(client) == 1
    assert origin.catalogue.watchers() == {BROADCAST: {"source": 1}}
    await other.get(SOURCE, User_Agent="VLC")
    assert await viewers(client) == 2
    plain = await client.get(SOURCE)
    assert (await client.get(f"{SOURCE}?CMCD=sid%3D%22x%22")).body == plain.body


async def test_a_report_that_stops_in_the_middle_is_cut(make_origin):
    origin = await make_origin(head_s=0.2)
    origin.go_live()
    client = await origin.client()
    client.writer.write(b"POST /beacon HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n{")
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await asyncio.wait_for(client.receive(), 5)
