"""Markers of live streams."""

import msgspec
import pytest

from appliance.contracts import subjects
from appliance.contracts.moments import Moment, MomentKind, MomentRequest

EDGE = "lyon"
LIVE = "update broadcasts set status = 'live', edge_id = %s where stream_id = %s"


@pytest.fixture
async def stream(api):
    """A channel that is live, and its owner."""
    owner = await api.channel("ana")
    wanted = {"title": "t", "user_id": owner["user_id"]}
    made = (await api.post("/v1/streams", wanted, token=owner["token"])).body
    await api.sql(LIVE, EDGE, made["stream_id"])
    return owner["token"], f"/v1/streams/{made['stream_id']}/markers"


def answered(api, text):
    moment = Moment(moment_id="m1", kind=MomentKind.MARKER, at_ms=1234, text=text)
    api.hub.answers[subjects.ingest_moment(EDGE)] = msgspec.json.encode(moment)


async def test_a_marker_is_set_by_the_edge_that_writes_the_stream(api, stream):
    token, path = stream
    answered(api, "goal")
    answer = await api.post(path, {"text": "goal"}, token=token)
    assert (answer.status, answer.body) == (201, {"marker_id": "m1", "at_ms": 1234, "text": "goal"})
    await api.post(path, {"text": "goal"}, token=token, headers={"Idempotency-Key": "k1"})
    nonces = [msgspec.json.decode(asked, type=MomentRequest).nonce for _, asked in api.hub.asked]
    assert (nonces[0], nonces[1].partition(":")[2]) == ("", "k1")


async def test_refusals(api, stream):
    token, path = stream
    stranger = await api.channel("ben")
    answered(api, "goal")
    assert (await api.post(path, {"text": "  "}, token=token)).body["code"] == "marker_text"
    assert (await api.post(path, {"text": "x" * 201}, token=token)).status == 400
    assert (await api.post(path, {"text": "goal"}, token=stranger["token"])).status == 403
    assert (await api.post(path, {"text": "goal"})).status == 401
    await api.sql("update broadcasts set status = 'ended'")
    assert (await api.post(path, {"text": "goal"}, token=token)).body["code"] == "not_live"


async def test_an_edge_that_is_away(api, stream):
    token, path = stream
    api.hub.answers[subjects.ingest_moment(EDGE)] = b"?"
    assert (await api.post(path, {"text": "goal"}, token=token)).status == 503
